/*
** A module that only package.loaded has was put there by a host or by hand, or was loaded by a
** searcher that other states don't have.
*/
#include "src/transfer/nameable.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "platform/platform.h"
#include "src/base/stack_room.h"
#include "src/object/object.h"

/* Weak tables: the modules that have been asked for, by name, and the loaders that can't cross. */
static const char nameable_key;
static const char unnameable_key;
static const char excluded_key;

/* The same: the offers of modules. */
static const char offered_key;

/* What comes before it in a name says the version; loadlib.c has it. */
#define VERSION_MARK '-'

bool lt_nameable_is_library(const char *module) {
  static const char *const modules[] = {"_G",      "coroutine", "debug", "io",   "math", "os",
                                        "package", "string",    "table", "utf8", NULL};
  const char *const *name = modules;
  while (*name != NULL && strcmp(module, *name) != 0)
    name++;
  return *name != NULL;
}

bool lt_nameable_is_standard(const char *module) {
  return lt_nameable_is_library(module) || strcmp(module, "_thread") == 0 ||
         strcmp(module, "lthread") == 0 || strncmp(module, "lthread.", 8) == 0;
}

/*
** Files
*/

static bool can_read(const char *file) {
  FILE *stream = fopen(file, "r");
  if (stream != NULL)
    fclose(stream);
  return stream != NULL;
}

/*
** Pushes the first file of the path that is there for the name, as package.searchpath does; or
** returns NULL.
*/
static const char *push_file(lua_State *L, const char *path, const char *name) {
  int top = lua_gettop(L);
  name = luaL_gsub(L, name, ".", LUA_DIRSEP);
  while (path != NULL && *path != '\0') {
    const char *end = strchr(path, *LUA_PATH_SEP);
    lua_pushlstring(L, path, end != NULL ? (size_t)(end - path) : strlen(path));
    const char *file = luaL_gsub(L, lua_tostring(L, -1), LUA_PATH_MARK, name);
    if (can_read(file)) {
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return lua_tostring(L, -1);
    }
    lua_pop(L, 2);
    path = end != NULL ? end + 1 : NULL;
  }
  lua_settop(L, top);
  return NULL;
}

/* Pushes package.path or package.cpath; NULL if it is no string. */
static const char *push_search_path(lua_State *L, const char *field) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushliteral(L, "package");
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushstring(L, field);
    lua_rawget(L, -2);
  }
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

static bool has_file(lua_State *L, const char *field, const char *name) {
  int top = lua_gettop(L);
  const char *path = push_search_path(L, field);
  bool found = path != NULL && push_file(L, path, name) != NULL;
  lua_settop(L, top);
  return found;
}

/* As the searcher for libraries that have several modules: a.b is in the library a. */
static bool has_library(lua_State *L, const char *name) {
  int top = lua_gettop(L);
  const char *dot = strchr(name, '.');
  const char *path = push_search_path(L, "cpath");
  if (dot == NULL || path == NULL) {
    lua_settop(L, top);
    return false;
  }
  lua_pushlstring(L, name, (size_t)(dot - name));
  const char *file = push_file(L, path, lua_tostring(L, -1));
  const char *mark = strchr(name, VERSION_MARK);
  lua_pushfstring(L, "luaopen_%s", luaL_gsub(L, mark != NULL ? mark + 1 : name, ".", "_"));
  bool found = file != NULL && plat_library_has(file, lua_tostring(L, -1));
  lua_settop(L, top);
  return found;
}

/*
** Loaders
*/

/* The table under the key has the value on the top as a key. */
static bool is_in_set(lua_State *L, const char *key) {
  lt_push_registered(L, key, "k");
  lua_pushvalue(L, -2);
  bool found = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return found;
}

/* A Lua function takes along what it needs; whether it can is found out when a thread starts. */
static bool loader_crosses(lua_State *L) {
  if (lua_type(L, -1) != LUA_TFUNCTION || is_in_set(L, &excluded_key))
    return false;
  if (lua_iscfunction(L, -1) && lua_getupvalue(L, -1, 1) != NULL) {
    lua_pop(L, 1);
    return false;
  }
  return true;
}

/* Whether there is a loader; 'crosses' says what it can do. */
static bool is_preloaded(lua_State *L, const char *name, bool *crosses) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushstring(L, name);
  bool found = lua_rawget(L, -2) != LUA_TNIL;
  *crosses = found && loader_crosses(L);
  lua_pop(L, 2);
  return found;
}

static bool can_be_required(lua_State *L, const char *name) {
  bool crosses;
  return lt_nameable_is_standard(name) || (is_preloaded(L, name, &crosses) && crosses) ||
         has_file(L, "path", name) || has_file(L, "cpath", name) || has_library(L, name);
}

/* Whether the table under the key has the module on the top under this name. */
static bool has_been_found(lua_State *L, const char *key, const char *name) {
  lt_push_registered(L, key, "v");
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  bool found = lua_rawequal(L, -1, -3) != 0;
  lua_pop(L, 2);
  return found;
}

bool lt_nameable_has(lua_State *L, const char *name) {
  lt_check_stack(L, 10);
  if (has_been_found(L, &nameable_key, name))
    return true;
  if (has_been_found(L, &unnameable_key, name))
    return false;
  bool nameable = can_be_required(L, name) || lt_nameable_offered(L) != NULL;
  lt_push_registered(L, nameable ? &nameable_key : &unnameable_key, "v");
  lua_pushstring(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return nameable;
}

void lt_nameable_offer(lua_State *L, const char *name) {
  lt_check_stack(L, 6);
  lt_push_registered(L, &offered_key, "k");
  lua_pushvalue(L, -3);
  lua_rotate(L, -3, 2);
  lua_rawset(L, -3);
  lt_push_registered(L, &unnameable_key, "v");
  lua_pushstring(L, name);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

lt_Object *lt_nameable_offered(lua_State *L) {
  lt_check_stack(L, 6);
  lt_push_registered(L, &offered_key, "k");
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  lt_Object *offer = lt_object_at(L, -1);
  lua_pop(L, 2);
  return offer;
}

bool lt_nameable_exclude(lua_State *L) {
  lt_check_stack(L, 6);
  if (is_in_set(L, &excluded_key))
    return false;
  lt_push_registered(L, &excluded_key, "k");
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &nameable_key);
  return true;
}
