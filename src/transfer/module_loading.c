/*
** Which parts a module has is told by its contents; the surest ones come first.
*/
#include "src/transfer/module_loading.h"

#include <string.h>

#include <lauxlib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/fresh_module.h"
#include "src/state/hidden_functions.h"
#include "src/transfer/nameable.h"

/* A weak table: the modules that are complete, by the 'id' of what they were completed with. */
static const char complete_key;

static const char *next_string(const char *string) {
  return string + strlen(string) + 1;
}

/* Pushes the module. Returns false with the reason on the top; what ends the thread is raised. */
static bool require(lua_State *L, const char *name) {
  lt_check_stack(L, 4);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1))
    return true;
  lua_pop(L, 1);
  lt_hidden_functions_push_require(L);
  lua_pushstring(L, name);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    return true;
  if (lt_ends_thread(L, -1))
    lt_throw(L);
  return false;
}

/* The module is on the top. */
static bool lacks_member(lua_State *L, const lt_ModuleContents *module) {
  bool lacks = false;
  if (lua_type(L, -1) != LUA_TTABLE)
    return false;
  for (const char *name = module->members; *name != '\0' && !lacks; name = next_string(name)) {
    lua_pushstring(L, name);
    lacks = lua_rawget(L, -2) == LUA_TNIL;
    lua_pop(L, 1);
  }
  return lacks;
}

static _Noreturn void raise_incomplete(lua_State *L, const char *name, const char *part,
                                       const char *reason) {
  lt_raise(L, &lt_RuntimeError, "cannot receive %s: '%s', which belongs to it, can't be loaded: %s",
           name, part, reason);
}

/* The reason why require has failed is on the top. */
static bool is_not_found(lua_State *L, const char *name) {
  const char *reason = lua_tostring(L, -1);
  const char *expected = lua_pushfstring(L, "module '%s' not found:", name);
  bool found = reason != NULL && strncmp(reason, expected, strlen(expected)) == 0;
  lua_pop(L, 1);
  return found;
}

/* By one of its other names. */
static bool require_other_name(lua_State *L, const lt_ModuleContents *module) {
  for (const char *name = module->names; *name != '\0'; name = next_string(name)) {
    if (require(L, name))
      return true;
    lua_pop(L, 1);
  }
  return false;
}

/* A name that somebody has given it by hand is known only where that was done. */
static void require_names(lua_State *L, const lt_ModuleContents *module, const char *name) {
  for (const char *other = module->names; *other != '\0'; other = next_string(other)) {
    if (!require(L, other) && !is_not_found(L, other))
      raise_incomplete(L, name, other, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
}

static void require_makers(lua_State *L, const lt_ModuleContents *module, const char *name) {
  for (const char *maker = module->makers; *maker != '\0'; maker = next_string(maker)) {
    if (!require(L, maker))
      raise_incomplete(L, name, maker, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
}

/* They are only guessed, so they need not be there. */
static void require_others(lua_State *L, const lt_ModuleContents *module) {
  const char *other = module->others;
  for (; *other != '\0' && lacks_member(L, module); other = next_string(other)) {
    require(L, other);
    lua_pop(L, 1);
  }
}

/* The arguments: the lt_ModuleContents, by which name it was loaded, the module. */
static int complete(lua_State *L) {
  const lt_ModuleContents *module = lua_touserdata(L, 1);
  const char *name = lua_touserdata(L, 2);
  bool is_known = lua_istable(L, 3) && lt_fresh_module_is_known(L, 3);
  if (is_known) {
    lt_fresh_module_before(L);
    lua_pushvalue(L, 3);
  }
  require_names(L, module, name);
  require_makers(L, module, name);
  require_others(L, module);
  if (is_known) {
    lua_settop(L, 4);
    lt_fresh_module_after(L);
  }
  return 0;
}

/*
** The module is on the top. It counts as complete from the beginning: code that runs when a part is
** loaded may receive the module again.
*/
static void complete_once(lua_State *L, const lt_ModuleContents *module, const char *name) {
  if (*module->names == '\0' && *module->makers == '\0' && *module->others == '\0')
    return;
  lt_push_registered(L, &complete_key, "v");
  lua_rawgeti(L, -1, module->id);
  if (lua_rawequal(L, -1, -3)) {
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, module->id);
  lua_pushlightuserdata(L, (void *)name);
  lua_pushvalue(L, -3);
  if (lt_protected_call(L, complete, (void *)module, 2, 0) != LUA_OK) {
    lua_pushnil(L);
    lua_rawseti(L, -3, module->id); /* no memory is needed for a nil */
    lt_throw(L);
  }
  lua_pop(L, 1);
}

/* Pushes the module, which then counts as loaded under this name. */
static void take_offer(lua_State *L, lt_ModuleOffer *offer, const char *name) {
  offer->push(L, offer);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  if (lua_istable(L, -1))
    lt_fresh_module_keep_made(L);
  lt_object_push(L, &offer->object);
  lt_nameable_offer(L, name);
}

/*
** What require has not found: by another of its names, or, if it can't be required at all, from
** its offer. The reason is on the top; the module takes its place.
*/
static bool push_otherwise(lua_State *L, const lt_ModuleContents *module, const char *name) {
  if (module == NULL || !is_not_found(L, name))
    return false;
  if (module->offer != NULL)
    take_offer(L, module->offer, name);
  else if (!require_other_name(L, module))
    return false;
  lua_remove(L, -2);
  return true;
}

bool lt_module_loading_push(lua_State *L, lt_ModuleContents *module, const char *name) {
  lt_check_stack(L, 10);
  if (!require(L, name) && !push_otherwise(L, module, name))
    return false;
  if (module != NULL) {
    complete_once(L, module, name);
    lt_module_contents_tell(L, module);
  }
  return true;
}
