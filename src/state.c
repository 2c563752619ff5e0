#include "src/state.h"

#include <stdio.h>

#include <lualib.h>

#include "src/biased.h"
#include "src/commands.h"
#include "src/exception.h"
#include "src/stock.h"

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

void lt_state_replace_print(lua_State *L) {
  lua_CFunction print = lt_stock_function(LT_STOCK_PRINT);
  if (print == NULL)
    lt_raise_memory(L);
  luaL_checkstack(L, 4, "too many values");
  lua_pushglobaltable(L);
  lua_pushliteral(L, "print");
  lua_rawget(L, -2);
  if (lua_iscfunction(L, -1) && lua_tocfunction(L, -1) == print) {
    lua_pushliteral(L, "print");
    lua_pushcfunction(L, print_line);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

void lt_state_adopt(lua_State *L, lt_Thread *thread, lua_CFunction on_close) {
  luaL_checkstack(L, 8, "too many values");
  thread->coroutines = lt_coroutines_follow(L);
  if (thread->coroutines == NULL)
    lt_raise_memory(L);
  lt_Context *context = lua_newuserdatauv(L, sizeof(*context), 0);
  context->thread = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_close);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lt_context_set(L);
  thread->slot = lt_slot_take();
  context->thread = thread;
  lua_pop(L, 1);
}

/* The child closes its own state; by then it is reached no more. */
static int forget_thread(lua_State *L) {
  lt_Context *context = lua_touserdata(L, 1);
  if (context->thread != NULL)
    lt_coroutines_close(context->thread->coroutines);
  context->thread = NULL;
  return 0;
}

/* Lua's own seed is the same for states that begin at the same address within a second. */
static void seed_random(lua_State *L, const lt_Thread *thread) {
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, (lua_Integer)atomic_load(&thread->ident));
  lua_pushinteger(L, (lua_Integer)plat_now());
  lua_call(L, 2, 0);
  lua_pop(L, 1);
}

void lt_state_open(lua_State *L, lt_Thread *thread, const luaL_Reg *modules) {
  luaL_openlibs(L);
  seed_random(L, thread);
  lt_state_adopt(L, thread, forget_thread);
  lua_pushcfunction(L, print_line);
  lua_setglobal(L, "print");
  lt_commands_replace(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, modules, 0);
  lua_pop(L, 1);
}
