/*
** Hosts whose states have not all of Lua's libraries. Their threads' states are opened with
** luaL_openlibs, which opens all.
** usage: sandboxes kind
** Runs the script on its standard input, with lthread as the global '_thread'.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"

static const luaL_Reg bare[] = {{LUA_GNAME, luaopen_base},
                                {LUA_STRLIBNAME, luaopen_string},
                                {LUA_TABLIBNAME, luaopen_table},
                                {LUA_MATHLIBNAME, luaopen_math},
                                {NULL, NULL}};

static const luaL_Reg unpackaged[] = {
    {LUA_GNAME, luaopen_base},       {LUA_STRLIBNAME, luaopen_string},
    {LUA_TABLIBNAME, luaopen_table}, {LUA_MATHLIBNAME, luaopen_math},
    {LUA_IOLIBNAME, luaopen_io},     {LUA_OSLIBNAME, luaopen_os},
    {LUA_DBLIBNAME, luaopen_debug},  {NULL, NULL}};

/* With debug, which shows the registry, and without io, which has something there. */
static const luaL_Reg silent[] = {{LUA_GNAME, luaopen_base},
                                  {LUA_LOADLIBNAME, luaopen_package},
                                  {LUA_STRLIBNAME, luaopen_string},
                                  {LUA_DBLIBNAME, luaopen_debug},
                                  {NULL, NULL}};

static const luaL_Reg stringless[] = {{LUA_GNAME, luaopen_base},
                                      {LUA_TABLIBNAME, luaopen_table},
                                      {LUA_COLIBNAME, luaopen_coroutine},
                                      {NULL, NULL}};

/* What a server for other people's scripts takes away. */
static const char *const restriction =
    "io, dofile, loadfile, debug, package.loaded.io, package.loaded.debug = nil "
    "os.execute, os.exit, os.remove, os.rename, os.tmpname = nil "
    "package.loadlib, package.searchers[4], package.searchers[3], package.cpath = nil, nil, nil, "
    "'' "
    "collectgarbage = function() return 0 end";

static void open_libraries(lua_State *L, const luaL_Reg *libraries) {
  for (; libraries->func != NULL; libraries++) {
    luaL_requiref(L, libraries->name, libraries->func, 1);
    lua_pop(L, 1);
  }
}

static void open_kind(lua_State *L, const char *kind) {
  if (strcmp(kind, "bare") == 0) {
    open_libraries(L, bare);
  } else if (strcmp(kind, "unpackaged") == 0) {
    open_libraries(L, unpackaged);
  } else if (strcmp(kind, "silent") == 0) {
    open_libraries(L, silent);
  } else if (strcmp(kind, "stringless") == 0) {
    open_libraries(L, stringless);
  } else {
    luaL_openlibs(L);
    if (luaL_dostring(L, restriction) != LUA_OK)
      lua_error(L);
  }
}

/* The host's own: its scripts need not have one. */
static int show_value(lua_State *L) {
  printf("%s\n", luaL_tolstring(L, 1, NULL));
  return 0;
}

static int run(lua_State *L) {
  open_kind(L, lua_tostring(L, 1));
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  lua_setglobal(L, "_thread");
  lua_pushcfunction(L, show_value);
  lua_setglobal(L, "show");
  if (luaL_loadfile(L, NULL) != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (argc < 2 || L == NULL)
    return EXIT_FAILURE;
  lua_pushcfunction(L, run);
  lua_pushstring(L, argv[1]);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK)
    printf("%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
