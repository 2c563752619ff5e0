/*
** The limit stands between the allocator that follows the coroutines and that of the pool. So the
** allocator that Lua knows stays the same, which in Lua 5.5 strings remember.
**
** Shared state: what is left for all states together, atomic. Relaxed: it is only counted.
*/
#include "src/state/memory_limit.h"

#include <stdint.h>

/* So much is drawn besides; what lies idle beyond four times that goes back. */
#define SPARE ((size_t)16 * 1024)

/* Draws what 'wanted' lacks, and what there is besides up to SPARE. */
static bool draw(lt_MemoryLimit *limit, size_t wanted) {
  size_t missing = wanted - limit->drawn;
  size_t taken;
  size_t left = atomic_load_explicit(limit->left, memory_order_relaxed);
  do {
    if (left < missing)
      return false;
    taken = left - missing < SPARE ? left : missing + SPARE;
  } while (!atomic_compare_exchange_weak_explicit(limit->left, &left, left - taken,
                                                  memory_order_relaxed, memory_order_relaxed));
  limit->drawn += taken;
  return true;
}

static void give_back(lt_MemoryLimit *limit, size_t bytes) {
  limit->drawn -= bytes;
  atomic_fetch_add_explicit(limit->left, bytes, memory_order_relaxed);
}

static bool may_grow(lt_MemoryLimit *limit, size_t growth) {
  if (limit->used >= limit->most || growth > limit->most - limit->used)
    return false;
  size_t wanted = limit->used + growth;
  return limit->left == NULL || wanted <= limit->drawn || draw(limit, wanted);
}

/* Lua says how long a block was; without a block it says what is made. */
static void *allocate_within(void *context, void *block, size_t old_size, size_t new_size) {
  lt_MemoryLimit *limit = context;
  size_t before = block == NULL ? 0 : old_size;
  if (new_size > before && !may_grow(limit, new_size - before))
    return NULL;
  void *result = limit->allocate(limit->allocator, block, old_size, new_size);
  if (result != NULL || new_size == 0)
    limit->used = limit->used - before + new_size;
  if (limit->left != NULL && limit->drawn > limit->used && limit->drawn - limit->used > 4 * SPARE)
    give_back(limit, limit->drawn - limit->used - SPARE);
  return result;
}

void lt_memory_limit_begin(lt_MemoryLimit *limit, lua_State *L, lt_Coroutines *coroutines) {
  if (limit->most == 0 && limit->left == NULL)
    return;
  if (limit->most == 0)
    limit->most = SIZE_MAX;
  limit->used = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  limit->drawn = 0;
  if (limit->left != NULL)
    draw(limit, limit->used);
  limit->allocate = allocate_within;
  limit->allocator = limit;
  lt_coroutines_exchange_allocator(coroutines, &limit->allocate, &limit->allocator);
}

void lt_memory_limit_end(lt_MemoryLimit *limit) {
  if (limit->left != NULL)
    give_back(limit, limit->drawn);
}
