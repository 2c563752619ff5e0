#include "src/state/replacement.h"

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"

void lt_replacement_put(lua_State *L, const char *library, const char *name,
                        lt_LibraryFunction which, lua_CFunction function) {
  lua_CFunction library_function = lt_library_function(which);
  if (!lt_library_functions_are_learnt())
    lt_raise_memory(L);
  if (library_function == NULL)
    return;
  lt_check_stack(L, 4);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, library);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_tocfunction(L, -1) == library_function) {
      lua_pushstring(L, name);
      lua_pushcfunction(L, function);
      lua_rawset(L, -4);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}
