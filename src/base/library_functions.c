/*
** Shared state: 'known', 'known_hook' and 'learnt', written by whoever learns, always with the same
** values.
*/
#include "src/base/library_functions.h"

#include <stdatomic.h>

#include <lauxlib.h>
#include <lualib.h>

/* A host that opens libraries of its own need not have these. */
#if defined(__GNUC__) && !defined(_WIN32)
#pragma weak luaopen_io
#pragma weak luaopen_os
#pragma weak luaopen_package
#pragma weak luaopen_math
#endif

static _Atomic(lua_CFunction) known[LT_LIBRARY_COUNT];
static _Atomic(lua_Hook) known_hook;
static atomic_bool learnt;
lua_CFunction lt_own_pcall;

/* Takes the function at the top. */
static void know(lua_State *L, lt_LibraryFunction which) {
  /* Relaxed: the values stand for themselves. */
  atomic_store_explicit(&known[which], lua_tocfunction(L, -1), memory_order_relaxed);
  lua_pop(L, 1);
}

static void learn_hooks(lua_State *L) {
  luaL_requiref(L, LUA_DBLIBNAME, luaopen_debug, 0);
  lua_getfield(L, -1, "sethook");
  lua_pushvalue(L, -1);
  lua_pushliteral(L, "l");
  lua_call(L, 2, 0);
  atomic_store_explicit(&known_hook, lua_gethook(L), memory_order_relaxed); /* as in know */
  lua_sethook(L, NULL, 0, 0);
  lua_getfield(L, -1, "sethook");
  know(L, LT_LIBRARY_SETHOOK);
}

static void learn_commands(lua_State *L) {
  if (luaopen_os == NULL)
    return;
  luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 0);
  lua_getfield(L, -1, "execute");
  know(L, LT_LIBRARY_EXECUTE);
}

static void learn_files(lua_State *L) {
  static const char *const functions[] = {"lines", "input",   "output", /* by lt_LibraryFunction */
                                          "open",  "tmpfile", "popen"};
  if (luaopen_io == NULL)
    return;
  luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 0);
  for (int i = LT_LIBRARY_IO_LINES; i <= LT_LIBRARY_IO_POPEN; i++) {
    lua_getfield(L, -1, functions[i - LT_LIBRARY_IO_LINES]);
    know(L, (lt_LibraryFunction)i);
  }
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  lua_getfield(L, -1, "lines");
  know(L, LT_LIBRARY_FILE_LINES);
  lua_getfield(L, -1, "read");
  know(L, LT_LIBRARY_FILE_READ);
}

static void learn_iterators(lua_State *L) {
  if (luaopen_io != NULL) {
    luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 0);
    lua_getfield(L, -1, "stdout");
    lua_getfield(L, -1, "lines");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    know(L, LT_LIBRARY_LINE_ITERATOR);
  }
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
  lua_getfield(L, -1, "gmatch");
  lua_pushliteral(L, "");
  lua_pushliteral(L, "");
  lua_call(L, 2, 1);
  know(L, LT_LIBRARY_GMATCH_ITERATOR);
}

/* Those that have upvalues. */
static void learn_closures(lua_State *L) {
  if (luaopen_package != NULL) {
    luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 0);
    lua_getglobal(L, "require");
    know(L, LT_LIBRARY_REQUIRE);
  }
  if (luaopen_math != NULL) {
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 0);
    lua_getfield(L, -1, "random");
    know(L, LT_LIBRARY_RANDOM);
    lua_getfield(L, -1, "randomseed");
    know(L, LT_LIBRARY_RANDOMSEED);
  }
}

static int learn_all(lua_State *L) {
  static const char *const basic[] = {"print", "pcall", "xpcall"}; /* by lt_LibraryFunction */
  luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
  for (int i = LT_LIBRARY_PRINT; i <= LT_LIBRARY_XPCALL; i++) {
    lua_getfield(L, -1, basic[i]);
    know(L, (lt_LibraryFunction)i);
  }
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 0);
  lua_getfield(L, -1, "wrap");
  lua_pushvalue(L, -1);
  lua_call(L, 1, 1);
  know(L, LT_LIBRARY_WRAPPED);
  lua_getfield(L, -1, "close");
  know(L, LT_LIBRARY_COROUTINE_CLOSE);
  learn_commands(L);
  learn_hooks(L);
  learn_files(L);
  learn_iterators(L);
  learn_closures(L);
  /* Release: who finds it true finds all of them. */
  atomic_store_explicit(&learnt, true, memory_order_release);
  return 0;
}

bool lt_library_functions_are_learnt(void) {
  return atomic_load_explicit(&learnt, memory_order_acquire);
}

void lt_library_functions_learn(void) {
  if (lt_library_functions_are_learnt())
    return;
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return;
  lua_pushcfunction(L, learn_all);
  lua_pcall(L, 0, 0, 0);
  lua_close(L);
}

lua_CFunction lt_library_function(lt_LibraryFunction which) {
  return atomic_load_explicit(&known[which], memory_order_relaxed);
}

lua_Hook lt_library_hook(void) {
  return atomic_load_explicit(&known_hook, memory_order_relaxed);
}

lua_CFunction lt_function_of_call(lua_State *L, lua_Debug *call) {
  lua_getinfo(L, "f", call);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function;
}
