// A host in C++ that includes lthread.h first, and Lua's headers not before it.
#include "lthread.h"
#ifdef WITH_LUA
#include <lua.hpp>
#endif

#include <cstdio>
#include <cstdlib>

int main() {
  lua_State *L = luaL_newstate();
  if (L == nullptr)
    return EXIT_FAILURE;
  luaL_openlibs(L);
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
