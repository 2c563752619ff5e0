/*
** A path that the index has is walked before it is believed: by now the address may belong to
** another value, and the module may have another name.
*/
#include "src/transfer/module_names.h"

#include <string.h>

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/object/printable.h"
#include "src/transfer/module_loading.h"
#include "src/transfer/nameable.h"

/* Replaces the value on the top by its member; false leaves it in place. */
static bool take_step(lua_State *L, const char *step) {
  if (step == NULL) {
    if (!lua_getmetatable(L, -1))
      return false;
  } else {
    if (lua_type(L, -1) != LUA_TTABLE)
      return false;
    lua_pushstring(L, step);
    lua_rawget(L, -2);
  }
  lua_remove(L, -2);
  return true;
}

static bool leads_to(lua_State *L, const lt_ModulePath *path, const void *address) {
  bool walked = true;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (int i = 0; i < path->length && walked; i++)
    walked = take_step(L, path->steps[i]);
  bool found = walked && lua_topointer(L, -1) == address;
  lua_pop(L, 1);
  return found;
}

bool lt_module_names_find(lua_State *L, int index, const void *address, lt_ModulePath *path) {
  if (!lt_module_index_find(L, index, address, path))
    return false;
  if (leads_to(L, path, address))
    return true;
  index = lua_absindex(L, index);
  lt_module_index_push(L, true, NULL);
  lua_replace(L, index);
  return lt_module_index_find(L, index, address, path) && leads_to(L, path, address);
}

bool lt_module_names_is_standard_global(const lt_ModulePath *path, const char *name) {
  if (path->length == 1)
    return lt_nameable_is_library(name) && strcmp(path->steps[0], name) == 0;
  return path->length == 2 && path->steps[1] != NULL && strcmp(path->steps[0], "_G") == 0 &&
         strcmp(path->steps[1], name) == 0;
}

/* "module.field.field", on the top. */
static const char *push_path(lua_State *L, const lt_ModulePath *path) {
  lt_printable_push(L, path->steps[0], strlen(path->steps[0]));
  for (int i = 1; i < path->length; i++) {
    if (path->steps[i] == NULL)
      lua_pushliteral(L, "'s metatable");
    else
      lt_printable_push_name(L, path->steps[i], strlen(path->steps[i]));
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

static _Noreturn void raise_missing(lua_State *L, const lt_ModulePath *path, const char *reason) {
  lt_raise(L, &lt_RuntimeError, "cannot receive %s: %s", push_path(L, path), reason);
}

_Noreturn void lt_module_names_raise_lacking(lua_State *L, const lt_ModulePath *path) {
  raise_missing(
      L, path, lua_pushfstring(L, "module '%s' has no such member in this thread", path->steps[0]));
}

bool lt_module_names_load(lua_State *L, const lt_ModulePath *path, lt_ModuleContents *module,
                          bool optional) {
  lt_check_stack(L, 10);
  if (lt_module_loading_push(L, module, path->steps[0]))
    return true;
  if (!optional)
    raise_missing(L, path, luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  lua_pushnil(L);
  return false;
}

void lt_module_names_push(lua_State *L, const lt_ModulePath *path, lt_ModuleContents *module,
                          bool optional) {
  if (!lt_module_names_load(L, path, module, optional))
    return;
  for (int i = 1; i < path->length; i++) {
    if (take_step(L, path->steps[i]) && !lua_isnil(L, -1))
      continue;
    if (!optional)
      lt_module_names_raise_lacking(L, path);
    lua_pop(L, 1);
    lua_pushnil(L);
    return;
  }
}
