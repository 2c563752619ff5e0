/*
** A host with a module of its own, which no other state can require.
** usage: modules
** Runs the script on its standard input, which has lthread in package.loaded, and the host's module
** as 'hostlib' there and among the globals.
*/
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"

static int twice(lua_State *L) {
  lua_pushinteger(L, 2 * luaL_checkinteger(L, 1));
  return 1;
}

/* The function has an upvalue. */
static int count_up(lua_State *L) {
  lua_pushinteger(L, lua_tointeger(L, lua_upvalueindex(1)) + 1);
  lua_copy(L, -1, lua_upvalueindex(1));
  return 1;
}

static int open_hostlib(lua_State *L) {
  static const luaL_Reg functions[] = {{"twice", twice}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, count_up, 1);
  lua_setfield(L, -2, "count_up");
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "inner");
  lua_pushinteger(L, 1);
  lua_setfield(L, -2, "limit");
  return 1;
}

static int run(lua_State *L) {
  luaL_openlibs(L);
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  luaL_requiref(L, "hostlib", open_hostlib, 1);
  lua_settop(L, 0);
  if (luaL_loadfile(L, NULL) != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

int main(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return EXIT_FAILURE;
  lua_pushcfunction(L, run);
  int status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK)
    printf("%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
