/* The host of doc/embedding.md: it opens a runtime, and runs a thread. */
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <lthread.h>

static void open_threads(lua_State *L) {
  lthread_Options options = {0};
  options.size = sizeof(options); /* the first: it tells the library what your header knows */
  options.grace_period = 0.5;
  lthread_checkversion(L);   /* header and library must be of one version */
  lthread_open(L, &options); /* also puts it into package.loaded */
  lua_pop(L, 1);
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return EXIT_FAILURE;
  luaL_openlibs(L);
  open_threads(L);
  int status =
      luaL_dostring(L, "local _thread = require 'lthread' "
                       "local handle = _thread.start_joinable_thread(function() return 6 * 7 end) "
                       "print(handle:result())");
  if (status != LUA_OK)
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
