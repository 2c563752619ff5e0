/*
** A stand-alone Lua with lthread inside, whose allocations can be made to fail: the linker leads
** malloc and its like of the library and of Lua here (--wrap).
** usage: failing script [args]
*/
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"

void *__real_malloc(size_t size);               /* NOLINT: the linker chooses the name */
void *__real_calloc(size_t count, size_t size); /* NOLINT */
void *__real_realloc(void *block, size_t size); /* NOLINT */
void *__wrap_malloc(size_t size);               /* NOLINT */
void *__wrap_calloc(size_t count, size_t size); /* NOLINT */
void *__wrap_realloc(void *block, size_t size); /* NOLINT */

void *__real_aligned_alloc(size_t alignment, size_t size); /* NOLINT */
void *__wrap_aligned_alloc(size_t alignment, size_t size); /* NOLINT */

/* Of the calling thread. */
static _Thread_local bool armed;
static _Thread_local bool once;          /* only one fails, not all from that one on */
static _Thread_local lua_Integer before; /* how many succeed before */
static _Thread_local lua_Integer failed;

static bool fails(void) {
  if (!armed || before-- > 0 || (once && failed > 0))
    return false;
  failed++;
  return true;
}

void *__wrap_malloc(size_t size) { /* NOLINT */
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) { /* NOLINT */
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size) { /* NOLINT */
  return fails() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) { /* NOLINT */
  return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/*
** failing(how, n, f, ...) -> number of allocations that failed, what pcall(f, ...) returns
** While f runs, the n-th allocation of this thread fails; for how = "once" only that one, for
** "on" all that follow too.
*/
static int call_failing(lua_State *L) {
  static const char *const hows[] = {"once", "on", NULL};
  once = luaL_checkoption(L, 1, NULL, hows) == 0;
  before = luaL_checkinteger(L, 2) - 1;
  failed = 0;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  armed = true;
  int status = lua_pcall(L, lua_gettop(L) - 3, LUA_MULTRET, 0);
  armed = false;
  lua_pushinteger(L, failed);
  lua_replace(L, 1);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 2);
  return lua_gettop(L);
}

static int open_failing(lua_State *L) {
  lua_pushcfunction(L, call_failing);
  return 1;
}

static int run(lua_State *L) {
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_lthread);
  lua_setfield(L, -2, "lthread");
  lua_pushcfunction(L, open_failing);
  lua_setfield(L, -2, "failing");
  if (luaL_loadfile(L, argv[1]) != LUA_OK)
    return lua_error(L);
  int count = 0;
  for (; argv[2 + count] != NULL; count++) {
    luaL_checkstack(L, 1, NULL);
    lua_pushstring(L, argv[2 + count]);
  }
  lua_call(L, count, 0);
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = argc > 1 ? luaL_newstate() : NULL;
  if (L == NULL)
    return EXIT_FAILURE;
  lua_pushcfunction(L, run);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK)
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
