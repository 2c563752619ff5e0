#include "src/state/hidden_functions.h"

#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "src/base/stack_room.h"
#include "src/object/object.h"
#include "src/state/fresh_module.h"

static const char hidden_key; /* of the table in the registry with those that are kept */

typedef struct HiddenFunction {
  lt_LibraryFunction which;
  const char *library;
  const char *name;
} HiddenFunction;

static const HiddenFunction hidden_functions[] = {
    {LT_LIBRARY_REQUIRE, LUA_GNAME, "require"},
    {LT_LIBRARY_RANDOM, LUA_MATHLIBNAME, "random"},
    {LT_LIBRARY_RANDOMSEED, LUA_MATHLIBNAME, "randomseed"}};

enum { HIDDEN_COUNT = sizeof(hidden_functions) / sizeof(hidden_functions[0]) };

static bool is_library_function(lua_CFunction function, lt_LibraryFunction which) {
  return which == LT_LIBRARY_REQUIRE ? lt_fresh_module_is_require(function)
                                     : function == lt_library_function(which);
}

bool lt_hidden_functions_find(lua_State *L, int index, lt_LibraryFunction *which) {
  lua_CFunction function = lua_tocfunction(L, index);
  for (int i = 0; function != NULL && i < HIDDEN_COUNT; i++) {
    if (is_library_function(function, hidden_functions[i].which)) {
      *which = hidden_functions[i].which;
      return true;
    }
  }
  return false;
}

/* Pushes what the library has under the name, or nil. */
static void push_member(lua_State *L, const char *library, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, library);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_istable(L, -1)) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
}

static bool is_function(lua_State *L, lt_LibraryFunction which) {
  lua_CFunction function = lua_tocfunction(L, -1);
  return function != NULL && is_library_function(function, which);
}

void lt_hidden_functions_keep(lua_State *L) {
  lt_check_stack(L, 8);
  lt_push_registered(L, &hidden_key, NULL);
  for (int i = 0; i < HIDDEN_COUNT; i++) {
    push_member(L, hidden_functions[i].library, hidden_functions[i].name);
    if (is_function(L, hidden_functions[i].which))
      lua_rawseti(L, -2, i + 1);
    else
      lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void push_hidden(lua_State *L, int i) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &hidden_key) == LUA_TTABLE) {
    lua_rawgeti(L, -1, i + 1);
    lua_remove(L, -2);
  }
}

static int number_of_hidden(lt_LibraryFunction which) {
  int i = 0;
  while (hidden_functions[i].which != which)
    i++;
  return i;
}

const char *lt_hidden_functions_name(lt_LibraryFunction which) {
  return hidden_functions[number_of_hidden(which)].name;
}

bool lt_hidden_functions_push(lua_State *L, lt_LibraryFunction which) {
  int i = number_of_hidden(which);
  lt_check_stack(L, 8);
  push_member(L, hidden_functions[i].library, hidden_functions[i].name);
  if (is_function(L, which))
    return true;
  lua_pop(L, 1);
  push_hidden(L, i);
  return lua_isfunction(L, -1);
}

static bool is_own_module(const char *name) {
  return strcmp(name, "_thread") == 0 || strcmp(name, "lthread") == 0 ||
         strncmp(name, "lthread.", 8) == 0;
}

/* What package.preload has for a module of lthread; NULL for any other. */
static lua_CFunction find_own_loader(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_CFunction loader = lua_tocfunction(L, -1);
  lua_pop(L, 2);
  return is_own_module(name) ? loader : NULL;
}

static int require_module(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_CFunction loader = find_own_loader(L, name);
  if (loader != NULL) {
    luaL_requiref(L, name, loader, 0);
    return 1;
  }
  lua_pushglobaltable(L);
  lua_pushliteral(L, "require");
  if (lua_rawget(L, -2) == LUA_TNIL && !lt_hidden_functions_push(L, LT_LIBRARY_REQUIRE))
    return luaL_error(L, "module '%s' not found:\n\tthis thread has no 'require'", name);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void lt_hidden_functions_push_require(lua_State *L) {
  lua_pushcfunction(L, require_module);
}
