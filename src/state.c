#include "src/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "src/biased.h"
#include "src/commands.h"
#include "src/exception.h"
#include "src/files.h"
#include "src/shutdown.h"

#include "src/libraries.h"

/* The line is put together first: one call of fwrite is one piece to the other threads. */
static int print_line(lua_State *L) {
  int count = lua_gettop(L);
  luaL_Buffer line;
  luaL_buffinit(L, &line);
  for (int i = 1; i <= count; i++) {
    if (i > 1)
      luaL_addchar(&line, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&line);
  }
  luaL_addchar(&line, '\n');
  luaL_pushresult(&line);
  size_t length;
  const char *bytes = lua_tolstring(L, -1, &length);
  fwrite(bytes, 1, length, stdout);
  fflush(stdout);
  return 0;
}

void lt_state_replace(lua_State *L, const char *library, const char *name, lt_Stock which,
                      lua_CFunction function) {
  lua_CFunction stock = lt_stock_function(which);
  if (!lt_stock_is_learnt())
    lt_raise_memory(L);
  if (stock == NULL)
    return;
  luaL_checkstack(L, 4, "too many values");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, library);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (lua_tocfunction(L, -1) == stock) {
      lua_pushstring(L, name);
      lua_pushcfunction(L, function);
      lua_rawset(L, -4);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

void lt_state_replace_print(lua_State *L) {
  lt_state_replace(L, LUA_GNAME, "print", LT_STOCK_PRINT, print_line);
}

/* Pushes a context without a thread, which follows the state's coroutines. */
static lt_Context *open_context(lua_State *L, lua_CFunction on_close) {
  lt_Context *context = lua_newuserdatauv(L, sizeof(*context), 0);
  memset(&context->lender, 0, sizeof(context->lender));
  context->thread = NULL;
  context->coroutines = NULL;
  context->allocator = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_close);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lt_context_set(L);
  context->coroutines = lt_coroutines_follow(L);
  if (context->coroutines == NULL)
    lt_raise_memory(L);
  return context;
}

static void give_context(lt_Context *context, lt_Thread *thread) {
  thread->coroutines = context->coroutines;
  context->coroutines = NULL;
  thread->slot = lt_slot_take();
  context->thread = thread;
}

void lt_state_adopt(lua_State *L, lt_Thread *thread, lua_CFunction on_close) {
  luaL_checkstack(L, 8, "too many values");
  give_context(open_context(L, on_close), thread);
  lua_pop(L, 1);
}

/*
** Fresh states
*/

struct lt_FreshState {
  lua_State *L;        /* NULL while it is closed */
  lt_Context *context; /* NULL until it is open */
  lt_Allocator *allocator;
};

/*
** The thread closes its own state; by then it is reached no more. In the child of a fork it may
** have become the main one, with which the others end.
*/
static int forget_thread(lua_State *L) {
  lt_Context *context = lua_touserdata(L, 1);
  if (context->thread != NULL) {
    if (context->thread->is_main)
      lt_shutdown(L, context->thread);
    lt_lender_close(&context->lender, context->thread->parker);
    lt_coroutines_close(context->thread->coroutines);
  }
  lt_context_end(L, &context->lender.base);
  context->thread = NULL;
  if (context->allocator != NULL)
    lt_allocator_closing(context->allocator);
  return 0;
}

typedef struct Opening {
  lt_Allocator *allocator;
  const luaL_Reg *modules;
  uint64_t trace;
} Opening;

/* The collector would find nothing while the libraries are opened. */
static int open_libraries(lua_State *L) {
  Opening *opening = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCSTOP);
  opening->trace = lt_libraries_open(L, opening->allocator);
  lt_state_replace_print(L);
  lt_commands_replace(L);
  lt_files_replace(L);
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
static int begin(lua_State *L) {
  lt_FreshState *fresh = lua_touserdata(L, 1);
  fresh->context = open_context(L, forget_thread);
  fresh->context->allocator = fresh->allocator;
  seed_random(L);
  return 0;
}

static bool call(lua_State *L, lua_CFunction function, void *argument) {
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, argument);
  return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

lt_FreshState *lt_state_make(const luaL_Reg *modules, bool again) {
  lt_FreshState *fresh = malloc(sizeof(*fresh));
  if (fresh == NULL)
    return NULL;
  fresh->context = NULL;
  fresh->L = lt_allocator_new_state(&fresh->allocator);
  if (fresh->L == NULL) {
    free(fresh);
    return NULL;
  }
  Opening opening = {fresh->allocator, modules, 0};
  bool opened = call(fresh->L, open_libraries, &opening);
  if (opened)
    lt_allocator_opened(fresh->allocator, again && lt_libraries_are_standard(opening.trace));
  if (!opened || !call(fresh->L, begin, fresh)) {
    lt_state_discard(fresh);
    return NULL;
  }
  return fresh;
}

lua_State *lt_state_take(lt_FreshState *fresh, lt_Thread *thread) {
  give_context(fresh->context, thread);
  return fresh->L;
}

bool lt_state_close(lt_FreshState *fresh) {
  bool renewable = lt_allocator_has_snapshot(fresh->allocator);
  lua_close(fresh->L);
  lt_allocator_trim();
  fresh->L = NULL;
  fresh->context = NULL;
  if (!renewable)
    free(fresh);
  return renewable;
}

bool lt_state_renew(lt_FreshState *fresh) {
  fresh->L = lt_allocator_restore(fresh->allocator);
  bool begun = call(fresh->L, begin, fresh);
  if (!begun)
    lt_state_discard(fresh);
  return begun;
}

static void close_unused(lt_FreshState *fresh) {
  lt_Coroutines *coroutines = fresh->context == NULL ? NULL : fresh->context->coroutines;
  if (lt_allocator_has_snapshot(fresh->allocator))
    lt_allocator_drop_snapshot(fresh->allocator);
  lua_close(fresh->L);
  if (coroutines != NULL)
    lt_coroutines_free(coroutines);
}

void lt_state_discard(lt_FreshState *fresh) {
  if (fresh->L != NULL)
    close_unused(fresh);
  else
    lt_allocator_free(fresh->allocator);
  free(fresh);
}
