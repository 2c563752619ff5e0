/*
** A host with threads: a C program that runs a script of its own, with lthread inside.
**
**     cc examples/embed.c $(pkg-config --cflags --libs lthread lua5.4)
*/
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"

static const char script[] =
    "local _thread = require 'lthread'\n"
    "local function work(n) return require('host').square(n) end\n"
    "local handles = {}\n"
    "for n = 1, 4 do handles[n] = _thread.start_joinable_thread(work, {args = {n}}) end\n"
    "for n = 1, 4 do print(n, handles[n]:result()) end\n";

/* A library of the host. Threads call it at the same time. */
static int square(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  lua_pushinteger(L, n * n);
  return 1;
}

static int open_host(lua_State *L) {
  static const luaL_Reg functions[] = {{"square", square}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return EXIT_FAILURE;
  luaL_openlibs(L);
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE); /* every thread finds 'host' here */
  lua_pushcfunction(L, open_host);
  lua_setfield(L, -2, "host");
  lua_pop(L, 1);
  int status = luaL_dostring(L, script);
  if (status != LUA_OK)
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL)); /* an error may be an object */
  lua_close(L); /* waits for threads that are not daemons, and stops the others */
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
