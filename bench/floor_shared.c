/*
** What a userdata costs that does nothing: the floor for shared tables in shared.lua.
*/
#include <lauxlib.h>
#include <lua.h>

int luaopen_floor_shared(lua_State *L);

static int index_nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Returns the userdata. */
__attribute__((visibility("default"))) int luaopen_floor_shared(lua_State *L) {
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, index_nothing);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, index_nothing);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  return 1;
}
