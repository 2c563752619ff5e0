#include "src/state/collection.h"

#include "src/base/stack_room.h"

/*
** The __gc of a userdata that nobody refers to: each collection finds it. Its successor is a new
** one: the collector soon takes an old one for what it need not look at.
*/
void lt_collection_call(lua_State *L, lua_CFunction function) {
  lt_check_stack(L, 4);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}
