#include "src/state/state.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/error_output.h"
#include "src/state/files.h"
#include "src/state/fresh_module.h"
#include "src/state/libraries.h"
#include "src/state/os_commands.h"

const lt_StateUser *lt_state_user;
lt_CFunctions lt_c_functions;

void lt_state_offer_c_functions(lua_State *L) {
  lua_pushlightuserdata(L, (void *)lt_c_functions.table);
  lua_setfield(L, LUA_REGISTRYINDEX, lt_c_functions.name);
}

lt_Context *lt_state_open_context(lua_State *L, lua_CFunction on_close) {
  lt_check_stack(L, 8);
  lt_Context *context = lua_newuserdatauv(L, sizeof(*context), 0);
  memset(&context->lender, 0, sizeof(context->lender));
  context->thread = NULL;
  context->coroutines = NULL;
  context->pool = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_close);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lt_context_set(L);
  context->coroutines = lt_coroutines_follow(L);
  if (context->coroutines == NULL)
    lt_raise_memory(L);
  lua_pop(L, 1);
  return context;
}

/*
** Fresh states
*/

struct lt_FreshState {
  lua_State *L;        /* NULL while it is closed */
  lt_Context *context; /* NULL until it is open */
  lt_Pool *pool;
  lua_CFunction on_close;
};

typedef struct Opening {
  lt_Pool *pool;
  const luaL_Reg *modules;
  uint64_t trace;
} Opening;

/* The collector would find nothing while the libraries are opened. */
static int open_libraries(lua_State *L) {
  Opening *opening = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCSTOP);
  opening->trace = lt_libraries_open(L, opening->pool);
  lt_os_commands_replace(L);
  lt_files_replace(L);
  lt_fresh_module_watch(L);
  lt_state_offer_c_functions(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, opening->modules, 0);
  lua_gc(L, LUA_GCRESTART);
  return 0;
}

/* Lua's own seed is the same for states that begin at the same address within a second. */
static void seed_random(lua_State *L) {
  static atomic_uint_least64_t seeds;
  lua_getglobal(L, LUA_MATHLIBNAME);
  if (lua_istable(L, -1) && lua_getfield(L, -1, "randomseed") == LUA_TFUNCTION) {
    lua_pushinteger(L, (lua_Integer)atomic_fetch_add(&seeds, 1));
    lua_pushinteger(L, (lua_Integer)plat_now());
    lua_call(L, 2, 0);
  }
}

/* What a state has of its own, and no snapshot may hold. */
static int begin_state(lua_State *L) {
  lt_FreshState *fresh = lua_touserdata(L, 1);
  fresh->context = lt_state_open_context(L, fresh->on_close);
  fresh->context->pool = fresh->pool;
  seed_random(L);
  return 0;
}

lt_FreshState *lt_state_make(const luaL_Reg *modules, lua_CFunction on_close, bool again) {
  lt_FreshState *fresh = malloc(sizeof(*fresh));
  if (fresh == NULL)
    return NULL;
  fresh->context = NULL;
  fresh->on_close = on_close;
  fresh->L = lt_pool_new_state(&fresh->pool);
  if (fresh->L == NULL) {
    free(fresh);
    return NULL;
  }
  lt_error_output_set(fresh->L);
  Opening opening = {fresh->pool, modules, 0};
  bool opened = lt_protected_call(fresh->L, open_libraries, &opening, 0, 0) == LUA_OK;
  if (opened)
    lt_pool_opened(fresh->pool, again && lt_libraries_are_standard(opening.trace));
  if (!opened || lt_protected_call(fresh->L, begin_state, fresh, 0, 0) != LUA_OK) {
    lt_state_discard(fresh);
    return NULL;
  }
  return fresh;
}

lua_State *lt_state_take(const lt_FreshState *fresh, lt_Context **context) {
  *context = fresh->context;
  return fresh->L;
}

/*
** What malloc keeps of the large blocks of states that have ended, at most. It keeps what is freed
** for the thread's own use later, which may never come.
**
** Relaxed: it is only counted.
*/
static atomic_size_t freed_by_ended;

#define WORTH_COUNTING ((size_t)64 * 1024)
#define WORTH_TRIMMING ((size_t)16 * 1024 * 1024)

static void trim_memory(size_t freed) {
  if (freed >= WORTH_COUNTING &&
      atomic_fetch_add_explicit(&freed_by_ended, freed, memory_order_relaxed) + freed >=
          WORTH_TRIMMING &&
      atomic_exchange_explicit(&freed_by_ended, 0, memory_order_relaxed) >= WORTH_TRIMMING)
    plat_memory_trim();
}

bool lt_state_close(lt_FreshState *fresh) {
  bool renewable = lt_pool_has_snapshot(fresh->pool);
  size_t large = lt_pool_most_large(fresh->pool);
  fresh->context->lender.base.closing = true;
  lua_close(fresh->L);
  trim_memory(large);
  fresh->L = NULL;
  fresh->context = NULL;
  if (!renewable)
    free(fresh);
  return renewable;
}

bool lt_state_renew(lt_FreshState *fresh) {
  fresh->L = lt_pool_restore(fresh->pool);
  bool begun = lt_protected_call(fresh->L, begin_state, fresh, 0, 0) == LUA_OK;
  if (!begun)
    lt_state_discard(fresh);
  return begun;
}

static void close_unused(lt_FreshState *fresh) {
  lt_Coroutines *coroutines = fresh->context == NULL ? NULL : fresh->context->coroutines;
  if (lt_pool_has_snapshot(fresh->pool))
    lt_pool_drop_snapshot(fresh->pool);
  lua_close(fresh->L);
  if (coroutines != NULL)
    lt_coroutines_free(coroutines);
}

void lt_state_discard(lt_FreshState *fresh) {
  if (fresh->L != NULL)
    close_unused(fresh);
  else
    lt_pool_free(fresh->pool);
  free(fresh);
}
