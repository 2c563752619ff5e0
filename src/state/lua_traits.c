/*
** Shared state: 'lt_lua_traits', atomic. Whoever finds them out writes the same.
*/
#include "src/state/lua_traits.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/lua_version.h"
#include "src/base/protected_call.h"

/* Where the program that has Lua hides it, it is missing. Not looked for on Windows, see libraries.c. */
#if defined(__GNUC__) && !defined(_WIN32)
#pragma weak lua_ident
#endif

enum { LEARNT = 1 << 30 };

atomic_uint lt_lua_traits;

/*
** Handlers in coroutine.close
*/

static void do_nothing(lua_State *L, lua_Debug *event) {
  (void)L;
  (void)event;
}

static int wait_with_handler(lua_State *L) {
  lua_toclose(L, 1);
  return lua_yield(L, 0);
}

/* The handler sets the first field of its table at its end. */
static void push_table_with_handler(lua_State *L) {
  lua_createtable(L, 1, 0);
  lua_createtable(L, 0, 1);
  if (luaL_loadstring(L, "local t = ... t[1] = true") != LUA_OK)
    lua_error(L);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
}

static bool finishes_handlers(lua_State *L) {
  int result_count;
  push_table_with_handler(L);
  int table = lua_gettop(L);
  lua_State *coroutine = lua_newthread(L);
  lua_pushcfunction(coroutine, wait_with_handler);
  lua_pushvalue(L, table);
  lua_xmove(L, coroutine, 1);
  lua_resume(coroutine, L, 1, &result_count);
  lua_sethook(coroutine, do_nothing, LUA_MASKCOUNT, 1);
  lua_resetthread(coroutine);
  lua_rawgeti(L, table, 1);
  bool finished = lua_toboolean(L, -1);
  lua_settop(L, table - 1);
  return finished;
}

/*
** Steps of the collector
*/

static int count_finalized(lua_State *L) {
  int *count = *(int **)lua_touserdata(L, 1);
  ++*count;
  return 0;
}

static void drop_finalizable(lua_State *L, int *count) {
  *(int **)lua_newuserdatauv(L, sizeof(int *), 0) = count;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, count_finalized);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* Many times what the state has, so that the collector goes round when it does not wait. */
static void allocate_much(lua_State *L) {
  for (int i = 0; i < 16; i++) {
    lua_newuserdatauv(L, 1024, 0);
    lua_pop(L, 1);
  }
}

static bool puts_steps_off(lua_State *L) {
  int before = 0, count = 0;
  drop_finalizable(L, &before);
  allocate_much(L);
  drop_finalizable(L, &count);
  lua_gc(L, LUA_GCSTEP, -LT_ENDLESS_STEP);
  allocate_much(L);
  bool has_waited = count == 0;
  lua_gc(L, LUA_GCSTEP, LT_ENDLESS_STEP);
  allocate_much(L);
  bool has_gone_on = count == 1;
  lua_gc(L, LUA_GCCOLLECT); /* what is left refers to variables here */
  return before == 1 && has_waited && has_gone_on;
}

/*
** Short strings
*/

static bool shares_short_strings(lua_State *L) {
  char text[LT_LONGEST_SHORT_STRING];
  memset(text, 'x', sizeof(text));
  const char *first = lua_pushlstring(L, text, sizeof(text));
  const char *second = lua_pushlstring(L, text, sizeof(text));
  bool are_one = first == second;
  lua_pop(L, 2);
  return are_one;
}

/*
** Finding out
*/

static int find_traits(lua_State *L) {
  unsigned *found = lua_touserdata(L, 1);
  if (finishes_handlers(L))
    *found |= LT_LUA_FINISHES_HANDLERS;
  if (LUA_VERSION_NUM < 505 && puts_steps_off(L))
    *found |= LT_LUA_PUTS_STEPS_OFF;
  if (shares_short_strings(L))
    *found |= LT_LUA_SHARES_SHORT_STRINGS;
  return 0;
}

/* False without memory. */
static bool find_traits_in_own_state(unsigned *found) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return false;
  int status = lt_protected_call(L, find_traits, found, 0, 0);
  lua_close(L);
  return status == LUA_OK;
}

/* As "Lua 5.4.3", or without the last number where nobody tells it. */
static void push_release(lua_State *L) {
#if defined(__GNUC__) && !defined(_WIN32)
  const char *begin = (const void *)lua_ident == NULL ? NULL : strstr(lua_ident, LUA_VERSION);
  const char *end = begin == NULL ? NULL : strstr(begin, "  ");
  if (end != NULL) {
    lua_pushlstring(L, begin, (size_t)(end - begin));
    return;
  }
#endif
  lua_pushliteral(L, LUA_VERSION);
}

static _Noreturn void refuse(lua_State *L) {
  push_release(L);
  luaL_error(L,
             "lthread can't run in this Lua (%s): it breaks off __close handlers in "
             "coroutine.close where a hook is called, as Lua does before 5.4.4, so an interrupt "
             "would leave open what they close; use Lua 5.4.4 or later",
             lua_tostring(L, -1));
  abort();
}

void lt_lua_traits_learn(lua_State *L) {
  unsigned traits = atomic_load_explicit(&lt_lua_traits, memory_order_relaxed);
  if (traits == 0) {
    traits = LEARNT;
    if (!find_traits_in_own_state(&traits))
      luaL_error(L, "not enough memory");
    atomic_store_explicit(&lt_lua_traits, traits, memory_order_relaxed);
  }
  if ((traits & LT_LUA_FINISHES_HANDLERS) == 0)
    refuse(L);
}
