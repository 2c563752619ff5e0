/*
** Once in the life of the process two states are compared: one with the libraries that
** luaL_openlibs opens, and one with Lua's own. Their values must be the same. What no value leads
** to, but may have a finalizer, shows in the trace of allocations: both states, and each one that
** is asked for later, must have asked for the same blocks in the same order.
**
** Shared state: 'standard_trace', atomic. Whoever finds it out writes the same.
*/
#include "src/state/libraries.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "src/base/lua_version.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"

/*
** A host with libraries of its own need not have all of Lua's. On Windows the DLL of Lua has them
** all, and what is weak is not looked for there.
*/
#if defined(__GNUC__) && !defined(_WIN32)
#pragma weak luaopen_package
#pragma weak luaopen_table
#pragma weak luaopen_io
#pragma weak luaopen_os
#pragma weak luaopen_string
#pragma weak luaopen_math
#pragma weak luaopen_utf8
#endif

/* As Lua's linit.c has them. */
static const luaL_Reg standard[] = {
    {LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
    {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
    {LUA_IOLIBNAME, luaopen_io},        {LUA_OSLIBNAME, luaopen_os},
    {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
    {LUA_UTF8LIBNAME, luaopen_utf8},    {LUA_DBLIBNAME, luaopen_debug}};

#define STANDARD_COUNT (sizeof(standard) / sizeof(standard[0]))

void lt_libraries_open_own(lua_State *L) {
  for (size_t i = 0; i < STANDARD_COUNT; i++) {
    if (standard[i].func == NULL)
      continue;
    luaL_requiref(L, standard[i].name, standard[i].func, 1);
    lua_pop(L, 1);
  }
}

static bool has_standard(void) {
  for (size_t i = 0; i < STANDARD_COUNT; i++)
    if (standard[i].func == NULL)
      return false;
  return true;
}

uint64_t lt_libraries_open(lua_State *L, lt_Pool *pool) {
  lt_open_libraries(L);
  return lt_pool_end_trace(pool);
}

/*
** All values in a state, described by a number. Objects are numbered in the order in which they are
** met, and the fields of a table are visited in the order of their keys' numbers.
*/

typedef struct Description {
  uint64_t sum;
  lua_Integer count; /* of objects */
  int numbers;       /* the index of the table with the objects' numbers */
  bool is_strange;   /* there is something that no library of Lua makes */
} Description;

static uint64_t mix_number(uint64_t sum, uint64_t number) {
  sum = (sum ^ number) * UINT64_C(0x9E3779B97F4A7C15);
  return sum ^ sum >> 29;
}

static uint64_t mix_bytes(uint64_t sum, const void *bytes, size_t size) {
  const unsigned char *from = bytes;
  sum = mix_number(sum, size);
  for (size_t i = 0; i < size; i++)
    sum = mix_number(sum, from[i]);
  return sum;
}

/* Of the value at 'index', which is no object. */
static uint64_t mix_plain(lua_State *L, int index, uint64_t sum) {
  lua_Number number = lua_tonumber(L, index);
  size_t length;
  sum = mix_number(sum, (uint64_t)lua_type(L, index));
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    return mix_number(sum, (uint64_t)lua_toboolean(L, index));
  case LUA_TNUMBER:
    return lua_isinteger(L, index) ? mix_number(sum, (uint64_t)lua_tointeger(L, index))
                                   : mix_bytes(sum, &number, sizeof(number));
  case LUA_TSTRING: {
    const char *bytes = lua_tolstring(L, index, &length);
    return mix_bytes(sum, bytes, length);
  }
  default:
    return mix_number(sum, (uint64_t)(uintptr_t)lua_touserdata(L, index));
  }
}

static bool is_plain(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TUSERDATA &&
         type != LUA_TTHREAD;
}

static void describe(lua_State *L, Description *description);

typedef struct LibraryField {
  uint64_t number;   /* of the key */
  lua_Integer place; /* of the key in the list */
} LibraryField;

static int compare_fields(const void *a, const void *b) {
  uint64_t first = ((const LibraryField *)a)->number;
  uint64_t second = ((const LibraryField *)b)->number;
  return (first > second) - (first < second);
}

/* Pushes the list of the keys of the table on the top; returns how many there are. */
static lua_Integer push_keys(lua_State *L, Description *description) {
  lua_Integer count = 0;
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pop(L, 1);
    description->is_strange = description->is_strange || !is_plain(L, -1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, ++count);
  }
  return count;
}

static void describe_fields(lua_State *L, Description *description) {
  lua_Integer count = push_keys(L, description);
  LibraryField *fields = lua_newuserdatauv(L, (size_t)count * sizeof(LibraryField) + 1, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, -2, i + 1);
    fields[i] = (LibraryField){mix_plain(L, -1, 0), i + 1};
    lua_pop(L, 1);
  }
  qsort(fields, (size_t)count, sizeof(LibraryField), compare_fields);
  for (lua_Integer i = 0; i < count; i++) {
    description->sum = mix_number(description->sum, fields[i].number);
    lua_rawgeti(L, -2, fields[i].place);
    lua_rawget(L, -4);
    describe(L, description);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

static void describe_function(lua_State *L, Description *description) {
  lua_CFunction function = lua_tocfunction(L, -1);
  description->is_strange = description->is_strange || function == NULL;
  description->sum = mix_number(description->sum, (uint64_t)(uintptr_t)function);
  for (int i = 1; lua_getupvalue(L, -1, i) != NULL; i++) {
    describe(L, description);
    lua_pop(L, 1);
  }
}

/* One without a metatable, such as the state of 'random', is nothing but memory of the state. */
static void describe_userdata(lua_State *L, Description *description) {
  bool is_memory = !lua_getmetatable(L, -1);
  lua_settop(L, is_memory ? -1 : -2);
  size_t size = (size_t)lua_rawlen(L, -1);
  description->sum = is_memory ? mix_number(description->sum, size)
                               : mix_bytes(description->sum, lua_touserdata(L, -1), size);
  for (int i = 1; lua_getiuservalue(L, -1, i) != LUA_TNONE; i++) {
    describe(L, description);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void describe_metatable(lua_State *L, Description *description) {
  if (lua_getmetatable(L, -1)) {
    describe(L, description);
    lua_pop(L, 1);
  } else {
    description->sum = mix_number(description->sum, 0);
  }
}

static void describe_object(lua_State *L, Description *description) {
  describe_metatable(L, description);
  switch (lua_type(L, -1)) {
  case LUA_TTABLE:
    describe_fields(L, description);
    break;
  case LUA_TFUNCTION:
    describe_function(L, description);
    break;
  case LUA_TUSERDATA:
    describe_userdata(L, description);
    break;
  default: /* a coroutine, unless it is the state itself */
    description->is_strange = description->is_strange || lua_tothread(L, -1) != L;
  }
}

/* The number of the object on the top; 0: it has none yet, and gets one. */
static lua_Integer number_of(lua_State *L, Description *description) {
  lua_pushvalue(L, -1);
  lua_rawget(L, description->numbers);
  lua_Integer number = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (number == 0) {
    lua_pushvalue(L, -1);
    lua_pushinteger(L, ++description->count);
    lua_rawset(L, description->numbers);
  }
  return number;
}

/* Describes the value on the top. */
static void describe(lua_State *L, Description *description) {
  lt_check_stack(L, 12);
  if (is_plain(L, -1)) {
    description->sum = mix_plain(L, -1, description->sum);
    return;
  }
  lua_Integer number = number_of(L, description);
  description->sum = mix_number(description->sum, (uint64_t)lua_type(L, -1));
  description->sum = mix_number(description->sum, (uint64_t)number);
  if (number == 0)
    describe_object(L, description);
}

/* The metatables that all values of a type have. */
static void describe_types(lua_State *L, Description *description) {
  lua_settop(L, description->numbers);
  lua_pushnil(L);
  lua_pushboolean(L, 0);
  lua_pushinteger(L, 0);
  lua_pushliteral(L, "");
  lua_pushlightuserdata(L, description);
  lua_pushcfunction(L, luaopen_base);
  lua_pushthread(L);
  for (; lua_gettop(L) > description->numbers; lua_pop(L, 1))
    describe_metatable(L, description);
}

static void describe_state(lua_State *L, Description *description) {
  lua_newtable(L);
  description->numbers = lua_gettop(L);
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  describe(L, description);
  describe_types(L, description);
  description->is_strange = description->is_strange || lua_gethook(L) != NULL;
  description->sum = mix_bytes(description->sum, lua_getextraspace(L), LUA_EXTRASPACE);
}

/*
** Looking at two states
*/

typedef struct Look {
  void (*open)(lua_State *L);
  lt_Pool *pool;
  uint64_t trace;
  Description description;
} Look;

static int look_protected(lua_State *L) {
  Look *look = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCSTOP);
  look->open(L);
  look->trace = lt_pool_end_trace(look->pool);
  describe_state(L, &look->description);
  return 0;
}

/* A status of Lua. */
static int look_at(Look *look) {
  lua_State *L = lt_pool_new_state(&look->pool);
  if (L == NULL)
    return LUA_ERRMEM;
  int status = lt_protected_call(L, look_protected, look, 0, 0);
  lua_close(L);
  return status;
}

enum { UNKNOWN, OTHERS }; /* or the trace of Lua's own libraries */

static atomic_uint_least64_t standard_trace;

static bool are_same(const Look *own, const Look *found) {
  return !own->description.is_strange && !found->description.is_strange &&
         own->trace == found->trace && own->description.sum == found->description.sum &&
         own->description.count == found->description.count;
}

static uint64_t find_out(void) {
  Look own = {.open = lt_libraries_open_own};
  Look found = {.open = lt_open_libraries};
  if (!has_standard())
    return OTHERS;
  int status = look_at(&own);
  if (status == LUA_OK)
    status = look_at(&found);
  if (status == LUA_ERRMEM)
    return UNKNOWN;
  return status == LUA_OK && are_same(&own, &found) ? own.trace : OTHERS;
}

/* Relaxed: nothing else is read because of it. */
bool lt_libraries_are_standard(uint64_t trace) {
  uint64_t is = atomic_load_explicit(&standard_trace, memory_order_relaxed);
  if (is == UNKNOWN) {
    is = find_out();
    atomic_store_explicit(&standard_trace, is, memory_order_relaxed);
  }
  return is > OTHERS && trace == is;
}
