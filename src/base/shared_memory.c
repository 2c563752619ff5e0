/*
** Shared state: the stripes, the limit and 'above_limit', all atomic. The count is spread over
** stripes so that threads that allocate at once do not wait for each other's cache line. A block
** may be freed on another stripe than its own, so only the sum means anything.
**
** Relaxed everywhere: these are counters, and nothing is read because of them.
*/
#include "src/base/shared_memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

#define STRIPES 16
#define LOOK_EVERY ((size_t)1 << 20) /* bytes on one stripe */

typedef struct Stripe {
  _Alignas(PLAT_CACHE_LINE) atomic_size_t bytes;
} Stripe;

static Stripe stripes[STRIPES];
static atomic_size_t limit = LT_MEMORY_FIRST_LIMIT;
static atomic_bool above_limit;
static PLAT_THREAD_LOCAL size_t memory_taken;

/* Threads have their stacks far from each other. */
static Stripe *own_stripe(void) {
  char on_stack;
  uintptr_t address = (uintptr_t)&on_stack;
  return &stripes[((address >> 16) ^ (address >> 22)) % STRIPES];
}

size_t lt_memory_bytes(void) {
  size_t bytes = 0;
  for (int i = 0; i < STRIPES; i++)
    bytes += atomic_load_explicit(&stripes[i].bytes, memory_order_relaxed);
  return bytes;
}

size_t lt_memory_taken(void) {
  return memory_taken;
}

void lt_memory_add(size_t size) {
  memory_taken += size;
  size_t before = atomic_fetch_add_explicit(&own_stripe()->bytes, size, memory_order_relaxed);
  if (before / LOOK_EVERY == (before + size) / LOOK_EVERY)
    return;
  if (lt_memory_bytes() > atomic_load_explicit(&limit, memory_order_relaxed))
    atomic_store_explicit(&above_limit, true, memory_order_relaxed);
}

void lt_memory_subtract(size_t size) {
  atomic_fetch_sub_explicit(&own_stripe()->bytes, size, memory_order_relaxed);
}

void lt_memory_set_limit(size_t bytes) {
  atomic_store_explicit(&limit, bytes, memory_order_relaxed);
  atomic_store_explicit(&above_limit, false, memory_order_relaxed);
}

bool lt_memory_above_limit(void) {
  return atomic_load_explicit(&above_limit, memory_order_relaxed);
}

void *lt_memory_alloc(size_t size) {
  void *block = malloc(size);
  if (block != NULL)
    lt_memory_add(size);
  return block;
}

void *lt_memory_alloc_lines(size_t size) {
  void *block = plat_lines_take(size);
  if (block != NULL)
    lt_memory_add(size);
  return block;
}

void *lt_memory_alloc_zeroed(size_t size) {
  void *block = lt_memory_alloc(size);
  if (block != NULL)
    memset(block, 0, size);
  return block;
}

void lt_memory_free(void *block, size_t size) {
  if (block != NULL)
    lt_memory_subtract(size);
  free(block);
}

void lt_memory_free_lines(void *block, size_t size) {
  if (block != NULL)
    lt_memory_subtract(size);
  plat_lines_give(block);
}
