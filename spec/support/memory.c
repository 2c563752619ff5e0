/*
** Allocations that fail, for the specs. The linker sends what the library and Lua ask of malloc,
** calloc, realloc, aligned_alloc and free here (--wrap).
**
** Shared state: all atomic, since any thread allocates. Orders are the strongest: nobody is in a
** hurry here.
*/
#include "spec/support/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lualib.h>

#include "lthread.h"
#include "src/base/lua_version.h"

static atomic_llong left = -1; /* allocations until one fails, -1: none does */
static atomic_llong most;      /* so many allocations fail, 0: all from then on */
static atomic_llong failed;    /* allocations since fail() */
static atomic_llong live;      /* blocks */

static bool must_fail(void) {
  long long count = atomic_load(&left);
  while (count > 0 && !atomic_compare_exchange_weak(&left, &count, count - 1))
    ;
  long long limit = atomic_load(&most);
  if (count != 0 || (limit > 0 && atomic_load(&failed) >= limit))
    return false;
  atomic_fetch_add(&failed, 1);
  return true;
}

static void *count_block(void *block) {
  if (block != NULL)
    atomic_fetch_add(&live, 1);
  return block;
}

/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*) */

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t count, size_t size);
extern void *__real_realloc(void *block, size_t size);
extern void *__real_aligned_alloc(size_t alignment, size_t size);
extern void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size) {
  return must_fail() ? NULL : count_block(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
  return must_fail() ? NULL : count_block(__real_calloc(count, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return must_fail() ? NULL : count_block(__real_aligned_alloc(alignment, size));
}

/* A block that shrinks never fails: Lua relies on it. */
void *__wrap_realloc(void *block, size_t size) {
  if (block == NULL)
    return __wrap_malloc(size);
  if (size > malloc_usable_size(block) && must_fail())
    return NULL;
  return __real_realloc(block, size);
}

void __wrap_free(void *block) {
  if (block != NULL)
    atomic_fetch_sub(&live, 1);
  __real_free(block);
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*) */

/*
** fail(n [, count = 0])
** From the n-th allocation on so many fail, in whichever thread; 0: all.
*/
static int fail(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  atomic_store(&most, luaL_optinteger(L, 2, 0));
  atomic_store(&failed, 0);
  atomic_store(&left, n - 1);
  return 0;
}

/* stop() -> how many allocations have failed since fail(). From now on none does. */
static int stop(lua_State *L) {
  atomic_store(&left, -1);
  lua_pushinteger(L, atomic_load(&failed));
  return 1;
}

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  (void)context;
  (void)old_size;
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, new_size);
}

/* A thread frees the last of what it has after the main state has been told that it is gone. */
static long long count_leaked(long long before) {
  const struct timespec moment = {0, 1000000};
  for (int i = 0; i < 5000 && atomic_load(&live) > before; i++)
    nanosleep(&moment, NULL);
  return atomic_load(&live) - before;
}

/*
** in_new_state(code, ...) -> boolean, message, leaked
** Runs the code, with these arguments, numbers or booleans, in a state of its own, which is then
** closed. Tells whether there was no error, which one, and how many blocks are left.
*/
static int in_new_state(lua_State *L) {
  lua_gc(L, LUA_GCSTOP);
  const long long before = atomic_load(&live);
  lua_State *new = lt_new_state(allocate, NULL);
  if (new == NULL)
    return luaL_error(L, "no state");
  luaL_openlibs(new);
  luaL_getsubtable(new, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(new, luaopen_lthread);
  lua_setfield(new, -2, "lthread");
  lua_pushcfunction(new, luaopen_memory);
  lua_setfield(new, -2, "memory");
  lua_pop(new, 1);
  int status = luaL_loadstring(new, luaL_checkstring(L, 1));
  for (int i = 2; i <= lua_gettop(L); i++) {
    if (lua_isboolean(L, i))
      lua_pushboolean(new, lua_toboolean(L, i));
    else
      lua_pushinteger(new, luaL_checkinteger(L, i));
  }
  if (status == LUA_OK)
    status = lua_pcall(new, lua_gettop(L) - 1, 0, 0);
  atomic_store(&left, -1);
  char message[512] = "";
  if (status != LUA_OK)
    strncpy(message, luaL_tolstring(new, -1, NULL), sizeof(message) - 1);
  lua_close(new);
  long long leaked = count_leaked(before);
  lua_gc(L, LUA_GCRESTART);
  lua_pushboolean(L, status == LUA_OK);
  lua_pushstring(L, message);
  lua_pushinteger(L, leaked);
  return 3;
}

static const luaL_Reg functions[] = {
    {"fail", fail}, {"stop", stop}, {"in_new_state", in_new_state}, {NULL, NULL}};

int luaopen_memory(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
