#include "src/thread/library_comparison.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "src/base/stack_room.h"
#include "src/thread/inheritable.h"

static void enter_field(lua_State *L, int list, lua_Integer *count, int place, const char *name) {
  lua_pushinteger(L, place);
  lua_rawseti(L, list, ++*count);
  lua_pushstring(L, name);
  lua_rawseti(L, list, ++*count);
}

static void enter_removed(lua_State *L, lt_LibraryComparison *comparison, int place,
                          const char *name) {
  enter_field(L, comparison->removed, &comparison->removed_count, place, name);
}

/* The value is on the top. */
static void enter_replaced(lua_State *L, lt_LibraryComparison *comparison, int place,
                           const char *name) {
  if (!lt_inheritable(L)) {
    enter_removed(L, comparison, place, name);
    return;
  }
  enter_field(L, comparison->replaced, &comparison->replaced_count, place, name);
  lua_pushvalue(L, -1);
  lua_rawseti(L, comparison->values, ++comparison->value_count);
}

static int place_of_library(const char *name) {
  for (int i = 0; i < LT_STOCK_LIBRARY_COUNT; i++)
    if (strcmp(lt_stock_library_names[i], name) == 0)
      return LT_STOCK_LIBRARIES + i;
  return -1;
}

static bool is_registered(lua_State *L, const char *name) {
  lt_stock_push_field(L, LUA_REGISTRYINDEX, name);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

typedef enum Finding { AS_MADE, OTHER, NOT_TO_HAVE } Finding;

/* What is known by its identity: the global '_G', the library tables, what is in 'package'. */
static Finding compare_table(lua_State *L, const lt_LibraryComparison *comparison, int place,
                             const char *name) {
  int library = place_of_library(name);
  if (library >= 0 && (place == LT_STOCK_GLOBALS || place == LT_STOCK_LOADED)) {
    if (place == LT_STOCK_LOADED || lua_rawequal(L, -1, comparison->tables + library))
      return AS_MADE;
    return OTHER;
  }
  if (place == LT_STOCK_GLOBALS || place == LT_STOCK_LOADED)
    return lua_rawequal(L, -1, comparison->tables + LT_STOCK_GLOBALS) ? AS_MADE : NOT_TO_HAVE;
  if (place == LT_STOCK_LIBRARIES && strcmp(name, "loaded") == 0)
    return is_registered(L, LUA_LOADED_TABLE) ? AS_MADE : NOT_TO_HAVE;
  if (place == LT_STOCK_LIBRARIES && strcmp(name, "preload") == 0)
    return is_registered(L, LUA_PRELOAD_TABLE) ? AS_MADE : NOT_TO_HAVE;
  if (place == LT_STOCK_STRINGS) {
    int strings = comparison->tables + place_of_library(LUA_STRLIBNAME);
    return lua_rawequal(L, -1, strings) ? AS_MADE : OTHER;
  }
  return AS_MADE;
}

/* A standard stream is known by what it writes to or reads from. */
static bool is_stream(lua_State *L, const char *name) {
  const luaL_Stream *stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
  const FILE *file = strcmp(name, "stdin") == 0    ? stdin
                     : strcmp(name, "stdout") == 0 ? stdout
                                                   : stderr;
  return stream != NULL && stream->closef != NULL && stream->f == file;
}

static Finding compare_with_stock(lua_State *L, const lt_StockField *field) {
  lua_CFunction function = lua_tocfunction(L, -1);
  for (int i = 0; function != NULL && i < field->function_count; i++)
    if (field->functions[i] == function)
      return AS_MADE;
  return OTHER;
}

/* The value of the starter's field is on the top. */
static Finding compare_field(lua_State *L, const lt_LibraryComparison *comparison, int place,
                             const lt_StockField *field) {
  int type = lua_type(L, -1);
  if (type == LUA_TNIL)
    return NOT_TO_HAVE;
  if ((field->types & 1U << type) == 0)
    return OTHER;
  switch (type) {
  case LUA_TFUNCTION:
    return compare_with_stock(L, field);
  case LUA_TNUMBER:
    return lua_tonumber(L, -1) == field->number ? AS_MADE : OTHER;
  case LUA_TTABLE:
    return compare_table(L, comparison, place, field->name);
  case LUA_TUSERDATA:
    return place == LT_STOCK_REGISTRY || is_stream(L, field->name) ? AS_MADE : OTHER;
  default:
    return AS_MADE;
  }
}

/*
** What is called like a library but is no longer its table also is what 'require' returns, if that
** returns anything.
*/
static void compare_loaded(lua_State *L, lt_LibraryComparison *comparison, const char *name) {
  lt_stock_push_field(L, comparison->tables + LT_STOCK_GLOBALS, name);
  bool is_removed = lua_isnil(L, -1);
  lt_stock_push_field(L, comparison->tables + LT_STOCK_LOADED, name);
  is_removed = is_removed || lua_isnil(L, -1);
  lua_pop(L, 1);
  int library = place_of_library(name);
  bool is_own = library < 0 || lua_rawequal(L, -1, comparison->tables + library);
  if (is_removed)
    enter_removed(L, comparison, LT_STOCK_LOADED, name);
  else if (!is_own)
    enter_replaced(L, comparison, LT_STOCK_LOADED, name);
  lua_pop(L, 1);
}

/* Returns how many of them are there. */
static size_t compare_stock(lua_State *L, lt_LibraryComparison *comparison, int place) {
  size_t found = 0;
  const lt_StockTable *table = &comparison->stock->tables[place];
  for (size_t i = 0; i < table->count; i++) {
    const lt_StockField *field = &table->fields[i];
    if (place == LT_STOCK_LOADED) {
      compare_loaded(L, comparison, field->name);
      continue;
    }
    lt_stock_push_field(L, comparison->tables + place, field->name);
    Finding finding = compare_field(L, comparison, place, field);
    found += !lua_isnil(L, -1);
    if (finding == NOT_TO_HAVE)
      enter_removed(L, comparison, place, field->name);
    else if (finding == OTHER)
      enter_replaced(L, comparison, place, field->name);
    lua_pop(L, 1);
  }
  return found;
}

/*
** What has been added; nothing of the globals and of what is loaded. A copy of the table is gone
** through: looking whether a value can cross may run code that changes the table.
*/
static void compare_added(lua_State *L, lt_LibraryComparison *comparison, int place) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, comparison->tables + place)) {
    if (lua_type(L, -2) == LUA_TSTRING &&
        lt_stock_find(&comparison->stock->tables[place], lua_tostring(L, -2)) == NULL) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -4);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lt_inheritable(L))
      enter_replaced(L, comparison, place, lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* That of a library, which is replaced like a field without a name. */
static void compare_metatable(lua_State *L, lt_LibraryComparison *comparison, int place) {
  if (!lua_getmetatable(L, comparison->tables + place))
    return;
  if (lt_inheritable(L))
    enter_replaced(L, comparison, place, "");
  lua_pop(L, 1);
}

static size_t count_names(lua_State *L, int table) {
  size_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    count += lua_type(L, -2) == LUA_TSTRING;
    lua_pop(L, 1);
  }
  return count;
}

static void compare_place(lua_State *L, lt_LibraryComparison *comparison, int place) {
  if (comparison->stock->tables[place].count == 0)
    return;
  if (!lua_istable(L, comparison->tables + place))
    return;
  size_t found = compare_stock(L, comparison, place);
  if (place >= LT_STOCK_STRINGS && count_names(L, comparison->tables + place) != found)
    compare_added(L, comparison, place);
  if (place >= LT_STOCK_LIBRARIES)
    compare_metatable(L, comparison, place);
}

void lt_library_comparison_make(lua_State *L, lt_LibraryComparison *comparison) {
  lt_check_stack(L, 20);
  for (int place = 0; place < LT_STOCK_PLACES; place++)
    compare_place(L, comparison, place);
}
