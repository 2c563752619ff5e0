/*
** What belongs to Lua's own libraries. The receiver may lack some of it: a thread has no more of
** them than its starter. So a function in C goes by its name and by its address, which holds where
** the name does not; and a library that has gone from the globals is not called by its name.
*/
#include "src/transfer/packer.h"

#include "src/base/stack_room.h"
#include "src/state/hidden_functions.h"
#include "src/transfer/nameable.h"

bool lt_pack_library_is_named(lua_State *L, const lt_ModulePath *path) {
  const char *name = path->steps[0];
  if (!lt_nameable_is_library(name) || strcmp(name, LUA_GNAME) == 0)
    return true;
  lt_check_stack(L, 6);
  int top = lua_gettop(L);
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  bool same = lua_rawequal(L, top + 2, -1);
  lua_settop(L, top);
  return same;
}

static bool pack_hidden(lua_State *L, lt_Packer *packer, const void *address) {
  lt_LibraryFunction which;
  if (!lt_hidden_functions_find(L, -1, &which))
    return false;
  unsigned char number = (unsigned char)which;
  lt_packer_write_tag(L, packer, LT_TAG_HIDDEN_FUNCTION);
  lt_packer_add_node(L, packer, address, false);
  lt_packer_write(L, packer, &number, 1);
  lua_pop(L, 1);
  return true;
}

static bool has_upvalues(lua_State *L) {
  bool found = lua_getupvalue(L, -1, 1) != NULL;
  if (found)
    lua_pop(L, 1);
  return found;
}

bool lt_pack_library_function(lua_State *L, lt_Packer *packer, const void *address) {
  lt_ModulePath path;
  if (pack_hidden(L, packer, address))
    return true;
  if (has_upvalues(L) || !lt_packer_find_path(L, address, &path) || path.length != 2 ||
      path.steps[1] == NULL || !lt_nameable_is_library(path.steps[0]))
    return false;
  lua_CFunction function = lua_tocfunction(L, -1);
  lt_packer_write_tagged(L, packer, LT_TAG_LIBRARY_FUNCTION, &function, sizeof(function));
  lt_packer_write_string(L, packer, path.steps[0], strlen(path.steps[0]));
  lt_packer_write_string(L, packer, path.steps[1], strlen(path.steps[1]));
  lua_pop(L, 1);
  return true;
}
