// A host in C++ that includes lthread.h first, and Lua's headers not before it.
#include "lthread.h"
#ifdef WITH_LUA
#include <lua.hpp>
#endif

#include <cstdio>
#include <cstdlib>
#include <cstring>

static void wake_nobody(void *context) {
  (void)context;
}

// pass(): goes through a blocking section.
static int pass(lua_State *L) {
  lthread_Section section;
  if (lthread_blocking_begin(L, &section, "pass", wake_nobody, nullptr) ||
      lthread_blocking_end(L, &section))
    return luaL_error(L, "interrupted");
  lua_pushinteger(L, 42 + lua_gettop(L));
  return 1;
}

int main() {
  lua_State *L = luaL_newstate();
  if (L == nullptr)
    return EXIT_FAILURE;
  luaL_openlibs(L);
  lua_register(L, "pass", pass);
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
                       "assert(start(function() return pass() end):result() == 42)") != LUA_OK;
  if (failed)
    std::fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
