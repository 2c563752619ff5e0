/*
** The limit stands between the allocator that follows the coroutines and that of the pool. So the
** allocator that Lua knows stays the same, which in Lua 5.5 strings remember.
*/
#include "src/state/memory_limit.h"

/* Lua says how long a block was; without a block it says what is made. */
static void *allocate_within(void *context, void *block, size_t old_size, size_t new_size) {
  lt_MemoryLimit *limit = context;
  size_t before = block == NULL ? 0 : old_size;
  if (new_size > before &&
      (limit->used >= limit->most || new_size - before > limit->most - limit->used))
    return NULL;
  void *result = limit->allocate(limit->allocator, block, old_size, new_size);
  if (result != NULL || new_size == 0)
    limit->used = limit->used - before + new_size;
  return result;
}

void lt_memory_limit_begin(lt_MemoryLimit *limit, lua_State *L, lt_Coroutines *coroutines) {
  limit->used = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  limit->allocate = allocate_within;
  limit->allocator = limit;
  lt_coroutines_exchange_allocator(coroutines, &limit->allocate, &limit->allocator);
}
