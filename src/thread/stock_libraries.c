/*
** Shared state: 'stock', atomic; what it points to is not changed any more.
*/
#include "src/thread/stock_libraries.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "src/base/growing_array.h"
#include "src/base/library_functions.h"
#include "src/base/lua_version.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/files.h"
#include "src/state/fresh_module.h"
#include "src/state/libraries.h"
#include "src/state/os_commands.h"
#include "src/thread/interrupt.h"

const char *const lt_stock_library_names[LT_STOCK_LIBRARY_COUNT] = {
    LUA_LOADLIBNAME, LUA_COLIBNAME,   LUA_TABLIBNAME,  LUA_IOLIBNAME, LUA_OSLIBNAME,
    LUA_STRLIBNAME,  LUA_MATHLIBNAME, LUA_UTF8LIBNAME, LUA_DBLIBNAME};

/*
** Places in a state
*/

int lt_stock_push_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

static void push_loaded(lua_State *L) {
  lt_stock_push_field(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

/* Replaces what is no table on the top by nil. */
static void only_table(lua_State *L) {
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/* The same field of the table on the top, which it replaces, if that is one. */
static void take_field(lua_State *L, const char *name) {
  if (lua_istable(L, -1)) {
    lt_stock_push_field(L, -1, name);
    lua_remove(L, -2);
  }
  only_table(L);
}

static void push_global_table(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lt_stock_push_field(L, -1, name);
  lua_remove(L, -2);
  only_table(L);
}

/* That which require has, or, without it, what is loaded, or the global. */
static void push_package(lua_State *L) {
  lua_pushglobaltable(L);
  lt_stock_push_field(L, -1, "require");
  lua_remove(L, -2);
  if (lt_fresh_module_is_require(lua_tocfunction(L, -1)) && lua_getupvalue(L, -1, 1) != NULL) {
    lua_remove(L, -2);
    if (lua_istable(L, -1))
      return;
  }
  lua_pop(L, 1);
  push_loaded(L);
  take_field(L, LUA_LOADLIBNAME);
  if (lua_istable(L, -1))
    return;
  lua_pop(L, 1);
  push_global_table(L, LUA_LOADLIBNAME);
}

void lt_stock_push(lua_State *L, int place) {
  lt_check_stack(L, 8);
  switch (place) {
  case LT_STOCK_GLOBALS:
    lua_pushglobaltable(L);
    break;
  case LT_STOCK_LOADED:
    push_loaded(L);
    break;
  case LT_STOCK_REGISTRY:
    lua_pushvalue(L, LUA_REGISTRYINDEX);
    break;
  case LT_STOCK_STRINGS:
    lua_pushliteral(L, "");
    if (!lua_getmetatable(L, -1))
      lua_pushnil(L);
    lua_remove(L, -2);
    break;
  case LT_STOCK_FILES:
    lt_stock_push_field(L, LUA_REGISTRYINDEX, LUA_FILEHANDLE);
    take_field(L, "__index");
    break;
  case LT_STOCK_LIBRARIES:
    push_package(L);
    break;
  default:
    push_global_table(L, lt_stock_library_names[place - LT_STOCK_LIBRARIES]);
  }
}

/*
** Learning
*/

const lt_StockField *lt_stock_find(const lt_StockTable *table, const char *name) {
  for (size_t i = 0; i < table->count; i++)
    if (strcmp(table->fields[i].name, name) == 0)
      return &table->fields[i];
  return NULL;
}

static lt_StockField *add_stock_field(lua_State *L, lt_StockTable *table, const char *name) {
  if (table->count == table->capacity &&
      !lt_array_grow(&table->fields, NULL, &table->capacity, 16, sizeof(lt_StockField)))
    lt_raise_memory(L);
  lt_StockField *field = &table->fields[table->count++];
  memset(field, 0, sizeof(*field));
  memcpy(field->name, name, strlen(name) + 1);
  return field;
}

/* The value is on the top. */
static void learn_value(lua_State *L, lt_StockField *field) {
  field->types |= 1U << lua_type(L, -1);
  if (lua_type(L, -1) == LUA_TNUMBER)
    field->number = lua_tonumber(L, -1);
  lua_CFunction function = lua_tocfunction(L, -1);
  for (int i = 0; i < field->function_count; i++)
    if (field->functions[i] == function)
      return;
  if (function != NULL && field->function_count < LT_STOCK_FUNCTIONS)
    field->functions[field->function_count++] = function;
}

static bool is_of_place(int place, const char *name) {
  return place != LT_STOCK_REGISTRY || strcmp(name, LUA_FILEHANDLE) == 0 ||
         strncmp(name, "_IO_", 4) == 0 || strcmp(name, "_CLIBS") == 0;
}

/* The name below the value on the top, or NULL. */
static const char *name_of_field(lua_State *L) {
  if (lua_type(L, -2) != LUA_TSTRING)
    return NULL;
  const char *name = lua_tostring(L, -2);
  size_t length = (size_t)lua_rawlen(L, -2);
  return strlen(name) == length && length < LT_STOCK_NAME_BYTES ? name : NULL;
}

/* Of the table on the top. What a host opens besides Lua's libraries is no business of theirs. */
static void learn_table(lua_State *L, lt_StockTable *table, int place, bool is_own) {
  bool adds = is_own || place >= LT_STOCK_STRINGS;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    const char *name = name_of_field(L);
    lt_StockField *field =
        name == NULL ? NULL : (lt_StockField *)(uintptr_t)lt_stock_find(table, name);
    if (field == NULL && name != NULL && adds && is_of_place(place, name))
      field = add_stock_field(L, table, name);
    if (field != NULL)
      learn_value(L, field);
    lua_pop(L, 1);
  }
}

static void learn_state(lua_State *L, lt_Stock *learnt, bool is_own) {
  for (int place = 0; place < LT_STOCK_PLACES; place++) {
    lt_stock_push(L, place);
    if (lua_istable(L, -1))
      learn_table(L, &learnt->tables[place], place, is_own);
    lua_pop(L, 1);
  }
}

static void learn_searchers(lua_State *L, lt_Stock *learnt) {
  lt_stock_push(L, LT_STOCK_LIBRARIES);
  take_field(L, "searchers");
  for (int i = 0; lua_istable(L, -1) && i < LT_STOCK_SEARCHERS; i++) {
    lua_rawgeti(L, -1, i + 1);
    learnt->searchers[i] = lua_tocfunction(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* The arguments: what is learnt, whether the libraries are Lua's own. */
static int learn_protected(lua_State *L) {
  lt_Stock *learnt = lua_touserdata(L, 1);
  bool is_own = lua_toboolean(L, 2);
  if (is_own)
    lt_libraries_open_own(L);
  else
    lt_open_libraries(L);
  learn_state(L, learnt, is_own);
  if (is_own)
    learn_searchers(L, learnt);
  lt_interrupt_replace_sethook(L);
  lt_files_replace(L);
  lt_os_commands_replace(L);
  lt_fresh_module_watch(L);
  learn_state(L, learnt, is_own);
  return 0;
}

/* A status of Lua. */
static int learn_from(lt_Stock *learnt, bool is_own) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return LUA_ERRMEM;
  lua_pushcfunction(L, learn_protected);
  lua_pushlightuserdata(L, learnt);
  lua_pushboolean(L, is_own);
  int status = lua_pcall(L, 2, 0, 0);
  lua_close(L);
  return status;
}

static void free_stock(lt_Stock *learnt) {
  for (int place = 0; place < LT_STOCK_PLACES; place++)
    free(learnt->tables[place].fields);
  free(learnt);
}

static _Atomic(lt_Stock *) stock;

/* Of a host whose luaL_openlibs raises an error, what there is until then is known. */
static lt_Stock *learn_stock(lua_State *L) {
  lt_Stock *learnt = calloc(1, sizeof(*learnt));
  if (learnt == NULL || learn_from(learnt, true) == LUA_ERRMEM ||
      learn_from(learnt, false) == LUA_ERRMEM) {
    if (learnt != NULL)
      free_stock(learnt);
    lt_raise_memory(L);
  }
  lt_Stock *known = NULL;
  if (!atomic_compare_exchange_strong(&stock, &known, learnt)) {
    free_stock(learnt);
    return known;
  }
  return learnt;
}

const lt_Stock *lt_stock_get(lua_State *L) {
  lt_Stock *known = atomic_load(&stock);
  return known != NULL ? known : learn_stock(L);
}
