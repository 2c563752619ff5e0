#include "src/state/fresh_module.h"

#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "src/base/library_functions.h"
#include "src/base/stack_room.h"
#include "src/object/object.h"
#include "src/state/module_tables.h"

/* Weak tables, by the tables of the modules. */
static const char fresh_key;   /* their copies */
static const char made_key;    /* true: it was not made by require */
static const char brought_key; /* what messages have set: for each key a list {value, number} */

/* Lua's own require. */
static const char require_key;

enum { BROUGHT_VALUE = 1, BROUGHT_NUMBER };

/* Replaces the table on the top by a copy. */
static void fresh_copy_table(lua_State *L) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* Pushes copies of the tables of the module at 'index', by these tables. */
static void push_copies(lua_State *L, int index) {
  lt_ModuleTables found;
  index = lua_absindex(L, index);
  lt_check_stack(L, 20);
  lua_newtable(L);
  int copies = lua_gettop(L);
  lt_module_tables_find(L, index, 0, NULL, NULL, &found);
  for (size_t i = 1; i <= found.count; i++) {
    lua_rawgeti(L, found.tables, (lua_Integer)i);
    lua_pushvalue(L, -1);
    fresh_copy_table(L);
    lua_rawset(L, copies);
  }
  lua_settop(L, copies);
}

void lt_fresh_module_push_all(lua_State *L) {
  lt_check_stack(L, 4);
  lt_push_registered(L, &fresh_key, "k");
}

bool lt_fresh_module_is_known(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lt_fresh_module_push_all(L);
  lua_pushvalue(L, index);
  bool known = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return known;
}

/* Of the module on the top, as it is now. */
static void keep_fresh(lua_State *L) {
  push_copies(L, -1);
  lt_fresh_module_push_all(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

void lt_fresh_module_keep_made(lua_State *L) {
  keep_fresh(L);
  lt_push_registered(L, &made_key, "k");
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static bool was_made(lua_State *L) {
  lt_push_registered(L, &made_key, "k");
  lua_pushvalue(L, -2);
  bool made = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return made;
}

/*
** Requiring
*/

/* The library's own modules stay as they are. */
static bool is_worth_keeping(const char *name) {
  return strcmp(name, "_thread") != 0 && strcmp(name, "lthread") != 0 &&
         strncmp(name, "lthread.", 8) != 0;
}

/* Pushes package.loaded[name]. */
static void fresh_push_loaded(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* require(name). The upvalue is that of Lua's own: the table package. */
static int watched_require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  fresh_push_loaded(L);
  bool was_loaded = lua_toboolean(L, -1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &require_key);
  lua_pushvalue(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  int top = lua_gettop(L);
  if (was_loaded || !is_worth_keeping(name))
    return top - 2;
  fresh_push_loaded(L);
  if (lua_istable(L, -1) && !was_made(L))
    keep_fresh(L);
  lua_settop(L, top);
  return top - 2;
}

bool lt_fresh_module_is_require(lua_CFunction function) {
  return function != NULL &&
         (function == watched_require || function == lt_library_function(LT_LIBRARY_REQUIRE));
}

void lt_fresh_module_watch(lua_State *L) {
  lt_check_stack(L, 4);
  lua_pushglobaltable(L);
  lua_pushliteral(L, "require");
  lua_rawget(L, -2);
  lua_CFunction require = lua_tocfunction(L, -1);
  if (require != NULL && require == lt_library_function(LT_LIBRARY_REQUIRE) &&
      lua_getupvalue(L, -1, 1) != NULL) {
    lua_insert(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &require_key);
    lua_pushcclosure(L, watched_require, 1);
    lua_pushliteral(L, "require");
    lua_insert(L, -2);
    lua_rawset(L, -3);
    lua_pushnil(L);
  }
  lua_pop(L, 2);
}

/*
** What others add
*/

void lt_fresh_module_before(lua_State *L) {
  push_copies(L, -1);
}

/*
** The table, what it was before, or nil, and what it is now are on the top; 'fresh' has the copies.
*/
static void add_difference(lua_State *L, int fresh) {
  int table = lua_gettop(L) - 2;
  lua_pushvalue(L, table);
  if (lua_rawget(L, fresh) == LUA_TNIL) {
    if (lua_isnil(L, table + 1)) {
      lua_pushvalue(L, table);
      lua_pushvalue(L, table + 2);
      lua_rawset(L, fresh);
    }
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, table + 2)) {
    if (lua_istable(L, table + 1)) {
      lua_pushvalue(L, -2);
      lua_rawget(L, table + 1);
    } else {
      lua_pushnil(L);
    }
    if (!lua_rawequal(L, -1, -2)) {
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -3);
      lua_rawset(L, table + 3);
    }
    lua_pop(L, 2);
  }
}

void lt_fresh_module_after(lua_State *L) {
  int before = lua_gettop(L);
  lt_check_stack(L, 20);
  push_copies(L, before - 1);
  lt_fresh_module_push_all(L);
  lua_pushnil(L);
  while (lua_next(L, before + 1)) {
    int now = lua_gettop(L);
    lua_pushvalue(L, now - 1);
    lua_pushvalue(L, now - 1);
    lua_rawget(L, before);
    lua_pushvalue(L, now);
    add_difference(L, before + 2);
    lua_settop(L, now - 1);
  }
  lua_settop(L, before - 1);
}

/*
** Fields
*/

/* Pushes what the table under the key in the registry has for this one, or nil. */
static int push_of_table(lua_State *L, const char *key, int table) {
  lt_push_registered(L, key, "k");
  lua_pushvalue(L, table);
  int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

void lt_fresh_module_push_field(lua_State *L, int table, int key) {
  table = lua_absindex(L, table);
  key = lua_absindex(L, key);
  lt_check_stack(L, 8);
  if (push_of_table(L, &fresh_key, table) != LUA_TTABLE)
    return;
  lua_pushvalue(L, key);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* Pushes the list of what a message has set in the field, or nil. */
static int push_brought(lua_State *L, int table, int key) {
  if (push_of_table(L, &brought_key, table) != LUA_TTABLE)
    return LUA_TNIL;
  lua_pushvalue(L, key);
  int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

lt_FreshField lt_fresh_module_field(lua_State *L, int table, int key) {
  lt_FreshField field = {false, false, 0};
  table = lua_absindex(L, table);
  key = lua_absindex(L, key);
  lt_check_stack(L, 10);
  int top = lua_gettop(L);
  lua_pushvalue(L, key);
  lua_rawget(L, table);
  field.table_known = push_of_table(L, &fresh_key, table) == LUA_TTABLE;
  lt_fresh_module_push_field(L, table, key);
  field.as_known = lua_rawequal(L, -1, top + 1) != 0;
  if (push_brought(L, table, key) == LUA_TTABLE) {
    lua_rawgeti(L, -1, BROUGHT_NUMBER);
    field.brought = (uint64_t)lua_tointeger(L, -1);
    lua_rawgeti(L, -2, BROUGHT_VALUE);
    field.as_known = field.as_known || lua_rawequal(L, -1, top + 1) != 0;
  }
  lua_settop(L, top);
  return field;
}

/* Pushes the table of what messages have set in this one. */
static void push_brought_table(lua_State *L, int table) {
  if (push_of_table(L, &brought_key, table) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lt_push_registered(L, &brought_key, "k");
  lua_pushvalue(L, table);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* It is noted before it is set: for want of memory neither is, or only the note. */
void lt_fresh_module_bring(lua_State *L, int table, int key, uint64_t number) {
  int value = lua_gettop(L);
  table = lua_absindex(L, table);
  key = lua_absindex(L, key);
  lt_check_stack(L, 10);
  push_brought_table(L, table);
  lua_pushvalue(L, key);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, BROUGHT_VALUE);
  lua_pushinteger(L, (lua_Integer)number);
  lua_rawseti(L, -2, BROUGHT_NUMBER);
  lua_rawset(L, -3);
  lua_settop(L, value);
  lua_pushvalue(L, key);
  lua_insert(L, -2);
  lua_rawset(L, table);
}
