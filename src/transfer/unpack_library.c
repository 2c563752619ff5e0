/*
** What belongs to Lua's own libraries, see pack_library.c.
*/
#include "src/transfer/unpacker.h"

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/hidden_functions.h"

/* That which this state has under the name; else the sender's, by its address. */
void lt_unpack_library_function(lua_State *L, lt_Unpacker *unpacker) {
  lua_CFunction function;
  lt_check_stack(L, 8);
  lt_unpack_bytes(unpacker, &function, sizeof(function));
  int top = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lt_unpack_name(L, unpacker);
  bool has_library = lua_rawget(L, -2) == LUA_TTABLE;
  lt_unpack_name(L, unpacker);
  if (!has_library || lua_rawget(L, -2) != LUA_TFUNCTION)
    lua_pushcfunction(L, function);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void lt_unpack_hidden_function(lua_State *L, lt_Unpacker *unpacker) {
  unsigned char which;
  uint32_t slot = lt_unpack_number(unpacker);
  lt_unpack_bytes(unpacker, &which, 1);
  if (!lt_hidden_functions_push(L, (lt_LibraryFunction)which))
    lt_raise(L, &lt_RuntimeError, "cannot receive %s: this thread does not have it",
             lt_hidden_functions_name((lt_LibraryFunction)which));
  lt_unpack_keep(L, slot);
}
