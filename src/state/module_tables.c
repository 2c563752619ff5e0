/*
** If several paths of the same length lead to a table, the one with the least number is taken.
*/
#include "src/state/module_tables.h"

#include <string.h>

#include <lauxlib.h>

#include "src/base/stack_room.h"

enum { FIRST_TABLES = 8 };

static uint64_t mix_text(uint64_t sum, const char *text, size_t length) {
  sum = lt_module_mix(sum, length);
  for (; length >= sizeof(uint64_t); text += sizeof(uint64_t), length -= sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, text, sizeof(word));
    sum = lt_module_mix(sum, word);
  }
  uint64_t rest = 0;
  memcpy(&rest, text, length);
  return lt_module_mix(sum, rest);
}

static uint64_t mix_float(uint64_t sum, lua_Number number) {
  uint64_t bits = 0;
  memcpy(&bits, &number, sizeof(number) < sizeof(bits) ? sizeof(number) : sizeof(bits));
  return lt_module_mix(sum, bits);
}

/* Of a scalar or a string; 0 for any other value. */
static uint64_t mix_scalar(lua_State *L, uint64_t sum, int index) {
  size_t length;
  const char *text;
  sum = lt_module_mix(sum, (uint64_t)lua_type(L, index));
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    return lt_module_mix(sum, (uint64_t)lua_toboolean(L, index)) | 1;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index))
      return lt_module_mix(sum, (uint64_t)lua_tointeger(L, index)) | 1;
    return mix_float(sum + 1, lua_tonumber(L, index)) | 1;
  case LUA_TSTRING:
    text = lua_tolstring(L, index, &length);
    return mix_text(sum, text, length) | 1;
  case LUA_TLIGHTUSERDATA:
    return lt_module_mix(sum, (uint64_t)(uintptr_t)lua_touserdata(L, index)) | 1;
  default:
    return 0;
  }
}

uint64_t lt_module_field_path(lua_State *L, uint64_t table, int index) {
  return mix_scalar(L, table, index);
}

uint64_t lt_module_step_path(uint64_t table, const char *step) {
  if (step == NULL)
    return lt_module_mix(table, UINT64_MAX) | 1;
  return mix_text(lt_module_mix(table, LUA_TSTRING), step, strlen(step)) | 1;
}

static uint64_t mix_function(lua_State *L, uint64_t sum, int index) {
  lua_Debug code;
  if (lua_iscfunction(L, index))
    return lt_module_mix(sum, (uint64_t)(uintptr_t)lua_tocfunction(L, index));
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &code);
  sum = mix_text(sum, code.source, strlen(code.source));
  sum = lt_module_mix(sum, (uint64_t)code.linedefined);
  return lt_module_mix(sum, (uint64_t)code.lastlinedefined);
}

uint64_t lt_module_field_content(lua_State *L, int index) {
  uint64_t scalar = mix_scalar(L, 1, index);
  if (scalar != 0)
    return lt_module_content(scalar, lua_type(L, index));
  uint64_t sum = lua_type(L, index) == LUA_TFUNCTION ? mix_function(L, 2, index) : 0;
  return lt_module_content(sum, lua_type(L, index));
}

/*
** Finding
*/

typedef struct Finder {
  lt_ModuleTables *found;
  lt_ModuleTableFilter filter;
  const void *context;
  size_t capacity;
  size_t next; /* the first table of the level that is being entered */
  int array;   /* where on the stack 'at' is */
  int views;
} Finder;

static void add_table(lua_State *L, Finder *finder, size_t parent, uint64_t path) {
  lt_ModuleTables *found = finder->found;
  if (found->count + 1 == finder->capacity) {
    size_t size = finder->capacity * sizeof(lt_ModuleTable);
    lt_ModuleTable *larger = lua_newuserdatauv(L, 2 * size, 0);
    memcpy(larger, found->at, size);
    lua_replace(L, finder->array);
    found->at = larger;
    finder->capacity *= 2;
  }
  found->at[++found->count] = (lt_ModuleTable){path, parent};
}

/* What a weak table holds is not the module's to keep. */
static bool is_weak(lua_State *L) {
  bool weak = false;
  if (lua_getmetatable(L, -1)) {
    lua_pushliteral(L, "__mode");
    weak = lua_rawget(L, -2) == LUA_TSTRING;
    lua_pop(L, 2);
  }
  return weak;
}

/* The number of the table on the top; -1: it has none. */
static lua_Integer number_of_table(lua_State *L, const Finder *finder) {
  lua_pushvalue(L, -1);
  lua_Integer number =
      lua_rawget(L, finder->found->numbers) == LUA_TNIL ? -1 : lua_tointeger(L, -1);
  lua_pop(L, 1);
  return number;
}

/* The key and the table are on the top. */
static void note_key(lua_State *L, const Finder *finder, size_t number) {
  lua_pushvalue(L, -2);
  lua_rawseti(L, finder->found->keys, (lua_Integer)number);
}

/* The key and the value are on the top. */
static void enter_table_field(lua_State *L, Finder *finder, size_t parent) {
  lt_ModuleTables *found = finder->found;
  uint64_t path = lt_module_field_path(L, found->at[parent].path, -2);
  if (path == 0 || (finder->filter != NULL && !finder->filter(finder->context, path)) || is_weak(L))
    return;
  lua_Integer number = number_of_table(L, finder);
  if (number == -1) {
    add_table(L, finder, parent, path);
    lua_pushvalue(L, -1);
    lua_rawseti(L, found->tables, (lua_Integer)found->count);
    lua_pushvalue(L, -1);
    lua_pushinteger(L, (lua_Integer)found->count);
    lua_rawset(L, found->numbers);
    note_key(L, finder, found->count);
  } else if ((size_t)number >= finder->next && number != 0 &&
             path < found->at[(size_t)number].path) {
    found->at[(size_t)number] = (lt_ModuleTable){path, parent};
    note_key(L, finder, (size_t)number);
  }
}

/* Into the set on the top. */
static void add_other_modules(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -1) == LUA_TTABLE) {
      lua_pushinteger(L, 0);
      lua_rawset(L, -5);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static void begin(lua_State *L, Finder *finder, int module) {
  lt_ModuleTables *found = finder->found;
  lua_newtable(L);
  lua_newtable(L);
  found->keys = lua_gettop(L);
  found->tables = found->keys - 1;
  finder->capacity = FIRST_TABLES;
  found->at = lua_newuserdatauv(L, FIRST_TABLES * sizeof(lt_ModuleTable), 0);
  lua_newtable(L);
  found->numbers = lua_gettop(L);
  finder->array = found->numbers - 1;
  add_other_modules(L);
  lua_pushvalue(L, module);
  lua_rawseti(L, found->tables, 1);
  lua_pushvalue(L, module);
  lua_pushinteger(L, 1);
  lua_rawset(L, found->numbers);
  found->count = 1;
  found->at[1] = (lt_ModuleTable){LT_MODULE_ROOT_PATH, 0};
}

/* Pushes what is looked at of a table; false if it is not entered. */
static bool push_view(lua_State *L, const Finder *finder, size_t number) {
  lua_rawgeti(L, finder->found->tables, (lua_Integer)number);
  if (finder->views == 0)
    return true;
  bool has_view = lua_rawget(L, finder->views) == LUA_TTABLE;
  if (!has_view)
    lua_pop(L, 1);
  return has_view;
}

static void enter_fields(lua_State *L, Finder *finder, size_t number) {
  if (!push_view(L, finder, number))
    return;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -1) == LUA_TTABLE)
      enter_table_field(L, finder, number);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void lt_module_tables_find(lua_State *L, int module, int views, lt_ModuleTableFilter filter,
                           const void *context, lt_ModuleTables *found) {
  Finder finder = {found, filter, context, 0, 0, 0, views};
  module = lua_absindex(L, module);
  lt_check_stack(L, 20);
  begin(L, &finder, module);
  size_t first = 1;
  for (int depth = 1; depth < LT_MODULE_TABLES_DEEPEST && first <= found->count; depth++) {
    size_t end = finder.next = found->count + 1;
    for (; first < end; first++)
      enter_fields(L, &finder, first);
  }
}
