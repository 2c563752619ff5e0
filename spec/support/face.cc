// A host in C++ that includes lthread.h first, and Lua's headers not before it.
#include "lthread.h"
#ifdef WITH_LUA
#include <lua.hpp>
#endif

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main() {
  lua_State *L = luaL_newstate();
  if (L == nullptr)
    return EXIT_FAILURE;
  luaL_openlibs(L);
  lthread_checkversion(L);
  static lthread_Options options = {};
  options.size = sizeof(options);
  options.grace_period = 0.5;
  if (lthread_is_open(L) || lthread_try_open(L, &options) != LTHREAD_OK || !lthread_is_open(L) ||
      std::strcmp(lthread_version(), LTHREAD_VERSION) != 0)
    return EXIT_FAILURE;
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  luaL_requiref(L, "lthread.queue", luaopen_lthread_queue, 0);
  lua_settop(L, 0);
  static const lthread_Transfer none = {nullptr, nullptr, nullptr};
  lua_pushlightuserdata(L, const_cast<lthread_Transfer *>(&none));
  bool failed =
      luaL_dostring(L, "local start = require 'lthread'.start_joinable_thread\n"
                       "assert(start(function() return 42 end):result() == 42)") != LUA_OK;
  if (failed)
    std::fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
