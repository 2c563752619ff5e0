#include "src/state.h"

#include <stdio.h>

#include <lualib.h>

#include "src/exception.h"

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
  luaL_checkstack(L, 4, "too many values");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, library);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    if (stock != NULL && lua_tocfunction(L, -1) == stock) {
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
  context->thread = thread;
  lua_pop(L, 1);
}

static void preload(lua_State *L, const char *name, lua_CFunction loader) {
  lua_pushcfunction(L, loader);
  lua_setfield(L, -2, name);
}

/* The child closes its own state; by then it is reached no more. */
static int forget_thread(lua_State *L) {
  lt_Context *context = lua_touserdata(L, 1);
  if (context->thread != NULL)
    lt_coroutines_close(context->thread->coroutines);
  context->thread = NULL;
  return 0;
}

void lt_state_open(lua_State *L, lt_Thread *thread, lua_CFunction loader) {
  luaL_openlibs(L);
  lt_state_adopt(L, thread, forget_thread);
  lua_pushcfunction(L, print_line);
  lua_setglobal(L, "print");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  preload(L, "lthread", loader);
  preload(L, "_thread", loader);
  lua_pop(L, 1);
}
