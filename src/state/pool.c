/*
** A state is used by one thread at a time, so there are neither locks nor atomics here. Lua says
** how long a block is when it frees it, so blocks have no headers.
**
** Blocks are cut from chunks one after the other, in the order in which they are asked for. Those
** that are freed wait, in a list for each length, for the next of that length. Which chunks are
** wholly free is found out, from these lists, only when three quarters of all memory stay free.
**
** The first chunk also takes the long blocks of a state that is being opened, so that the whole
** state lies in one piece. A snapshot is a copy of that piece, with the pool in it. What is
** brought back lies where it lay before, and so its pointers hold.
*/
#include "src/state/pool.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "src/base/lua_version.h"

/* All blocks are multiples of this, which is the alignment that Lua promises (LUAI_MAXALIGN). */
#define STEP ((size_t)8)

/*
** The longest block that comes from the pool. The address sanitizer shall see each block by itself,
** so that it notices who writes beyond it or uses a freed one.
*/
#if defined(PLAT_ADDRESS_SANITIZER)
#define POOLED ((size_t)0)
#else
#define POOLED ((size_t)512)
#endif

/*
** The first chunk is what the libraries need. All others are in proportion to what there is, so
** little lies idle in them.
*/
#define FIRST_CHUNK ((size_t)26 * 1024)
#define CHUNK_UNIT ((size_t)1024)
#define LARGEST_CHUNK ((size_t)256 * 1024)
#define FROM_SYSTEM ((size_t)64 * 1024) /* chunks as long as this are pages from the system */

/* With no more memory than this, no chunks are given back. */
#define KEPT ((size_t)1024 * 1024)

typedef struct Free {
  struct Free *next;
} Free;

typedef struct Chunk {
  _Alignas(STEP) struct Chunk *next;
  size_t size;
  size_t free; /* bytes in the lists; only known while chunks are given back */
} Chunk;

/* It lies in the first chunk, which therefore is never wholly free. */
struct lt_Pool {
  _Alignas(STEP) Free *free[POOLED / STEP + 1]; /* by length / STEP */
  char *uncut;                                  /* what is left of the latest chunk */
  char *end;
  size_t used;  /* bytes in blocks of the pool that Lua has */
  size_t total; /* bytes in chunks */
  size_t large; /* bytes in blocks from malloc */
  size_t most_large;
  size_t chunk_count;
  Chunk *chunks;
  size_t shrink_below; /* so few bytes used make it look for chunks to give back */
  size_t searched;     /* 'total' after it has last done so */
  void *first_block;   /* which Lua frees last */
  lua_State *L;        /* NULL: it is not complete */
  void *snapshot;      /* or NULL */
  uint64_t trace;      /* see lt_pool_end_trace */
  bool spilt;          /* a long block came from elsewhere */
  bool opened;         /* long blocks do not come from the first chunk any more */
};

static size_t length_of(size_t size) {
  return (size + STEP - 1) & ~(STEP - 1);
}

/*
** Chunks
*/

static Chunk *take_chunk(size_t size) {
  Chunk *chunk = size < FROM_SYSTEM ? malloc(size) : plat_pages_take(size);
  if (chunk != NULL)
    chunk->size = size;
  return chunk;
}

static void give_chunk(Chunk *chunk) {
  if (chunk->size < FROM_SYSTEM)
    free(chunk);
  else
    plat_pages_give(chunk, chunk->size);
}

static void use_chunk(lt_Pool *pool, Chunk *chunk, char *uncut) {
  chunk->next = pool->chunks;
  pool->chunks = chunk;
  pool->chunk_count++;
  pool->total += chunk->size;
  if (pool->total > KEPT && pool->total / 5 * 4 > pool->searched)
    pool->shrink_below = pool->total / 4;
  pool->uncut = uncut;
  pool->end = (char *)chunk + chunk->size;
}

static inline void enlist(lt_Pool *pool, void *block, size_t length) {
  Free *freed = block;
  freed->next = pool->free[length / STEP];
  pool->free[length / STEP] = freed;
}

static size_t next_size(const lt_Pool *pool) {
  size_t share = pool->total / 16;
  size_t unit = share < FROM_SYSTEM ? CHUNK_UNIT : FROM_SYSTEM;
  return share < LARGEST_CHUNK ? share / unit * unit : LARGEST_CHUNK;
}

static bool add_chunk(lt_Pool *pool) {
  Chunk *chunk = take_chunk(next_size(pool));
  if (chunk == NULL)
    return false;
  use_chunk(pool, chunk, (char *)(chunk + 1));
  return true;
}

/* A free block of the greatest length is cut before a new chunk is. */
static bool find_uncut(lt_Pool *pool) {
  if (pool->uncut < pool->end)
    enlist(pool, pool->uncut, (size_t)(pool->end - pool->uncut));
  Free **longest = &pool->free[POOLED / STEP];
  pool->uncut = (char *)*longest;
  pool->end = pool->uncut;
  if (*longest == NULL)
    return add_chunk(pool);
  pool->end += POOLED;
  *longest = (*longest)->next;
  return true;
}

/*
** Giving chunks back
*/

static int by_place(const void *block, const void *place_of_chunk) {
  const Chunk *chunk = *(Chunk *const *)place_of_chunk;
  bool is_behind = (uintptr_t)block >= (uintptr_t)chunk + chunk->size;
  return is_behind - ((uintptr_t)block < (uintptr_t)chunk);
}

static int by_address(const void *a, const void *b) {
  return by_place(*(Chunk *const *)a, b);
}

static Chunk **sort_chunks(const lt_Pool *pool) {
  Chunk **sorted = malloc(pool->chunk_count * sizeof(Chunk *));
  size_t count = 0;
  if (sorted == NULL)
    return NULL;
  for (Chunk *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
    chunk->free = 0;
    sorted[count++] = chunk;
  }
  qsort(sorted, count, sizeof(Chunk *), by_address);
  return sorted;
}

static Chunk *chunk_of(Chunk *const *sorted, size_t count, const void *block) {
  return *(Chunk **)bsearch(block, sorted, count, sizeof(Chunk *), by_place);
}

static bool pool_is_free(const Chunk *chunk) {
  return chunk->free == chunk->size - sizeof(Chunk);
}

static void count_free(lt_Pool *pool, Chunk *const *sorted) {
  for (size_t length = STEP; length <= POOLED; length += STEP)
    for (Free *block = pool->free[length / STEP]; block != NULL; block = block->next)
      chunk_of(sorted, pool->chunk_count, block)->free += length;
}

static void unlist_blocks(lt_Pool *pool, Chunk *const *sorted) {
  for (size_t length = STEP; length <= POOLED; length += STEP) {
    Free **place = &pool->free[length / STEP];
    for (Free *block = *place; block != NULL; block = block->next) {
      if (!pool_is_free(chunk_of(sorted, pool->chunk_count, block))) {
        *place = block;
        place = &block->next;
      }
    }
    *place = NULL;
  }
}

/* As long as something is left of the latest chunk, which is in no list, that one stays. */
static void drop_free_chunks(lt_Pool *pool) {
  Chunk **place = &pool->chunks;
  while (*place != NULL) {
    Chunk *chunk = *place;
    if (pool_is_free(chunk)) {
      *place = chunk->next;
      pool->chunk_count--;
      pool->total -= chunk->size;
      give_chunk(chunk);
    } else {
      place = &chunk->next;
    }
  }
}

/* It looks again when half of what is used is free, or when there is a quarter more memory. */
static void set_limit(lt_Pool *pool) {
  size_t quarter = pool->total / 4;
  size_t half = pool->used / 2;
  pool->searched = pool->total;
  pool->shrink_below = pool->total <= KEPT ? 0 : quarter < half ? quarter : half;
}

static void give_chunks_back(lt_Pool *pool) {
  Chunk **sorted = sort_chunks(pool);
  if (sorted != NULL) {
    count_free(pool, sorted);
    unlist_blocks(pool, sorted);
    drop_free_chunks(pool);
    free(sorted);
  }
  set_limit(pool);
}

void lt_pool_closing(lt_Pool *pool) {
  pool->shrink_below = 0;
  pool->searched = SIZE_MAX;
}

static Chunk *first_chunk(lt_Pool *pool) {
  return (Chunk *)(void *)pool - 1;
}

static void free_other_chunks(lt_Pool *pool) {
  Chunk *first = first_chunk(pool);
  Chunk *chunk = pool->chunks;
  while (chunk != first) {
    Chunk *next = chunk->next;
    give_chunk(chunk);
    chunk = next;
  }
  pool->chunks = first;
}

static void free_pool(lt_Pool *pool) {
  free_other_chunks(pool);
  give_chunk(first_chunk(pool));
}

/*
** Blocks
*/

static inline void *take_small(lt_Pool *pool, size_t size) {
  size_t length = length_of(size);
  Free *block = pool->free[length / STEP];
  if (block != NULL) {
    pool->free[length / STEP] = block->next;
  } else {
    if ((size_t)(pool->end - pool->uncut) < length && !find_uncut(pool))
      return NULL;
    block = (Free *)(void *)pool->uncut;
    pool->uncut += length;
  }
  pool->used += length;
  return block;
}

static inline void free_small(lt_Pool *pool, void *block, size_t size) {
  size_t length = length_of(size);
  enlist(pool, block, length);
  pool->used -= length;
  if (pool->used < pool->shrink_below)
    give_chunks_back(pool);
}

/* Cuts a block of any length from what is left of the first chunk, while that serves for it. */
static void *cut_from_first(lt_Pool *pool, size_t size) {
  size_t length = length_of(size);
  if (POOLED == 0 || pool->opened || pool->chunk_count > 1 ||
      (size_t)(pool->end - pool->uncut) < length)
    return NULL;
  void *block = pool->uncut;
  pool->uncut += length;
  pool->used += length;
  return block;
}

static bool is_in_first(const lt_Pool *pool, const void *block) {
  return (uintptr_t)block - (uintptr_t)pool < FIRST_CHUNK - sizeof(Chunk);
}

static void count_large(lt_Pool *pool, size_t size) {
  pool->large += size;
  if (pool->large > pool->most_large)
    pool->most_large = pool->large;
}

static void *take_large(lt_Pool *pool, size_t size) {
  void *block = cut_from_first(pool, size);
  if (block == NULL) {
    block = malloc(size);
    pool->spilt = true;
    if (block != NULL)
      count_large(pool, size);
  }
  if (pool->first_block == NULL)
    pool->first_block = block;
  return block;
}

static void free_pieces(lt_Pool *pool, char *block, size_t size) {
  for (size_t left = length_of(size); left > 0;) {
    size_t length = left < POOLED ? left : POOLED;
    free_small(pool, block, length);
    block += length;
    left -= length;
  }
}

static void free_large(lt_Pool *pool, void *block, size_t size) {
  bool is_last = block == pool->first_block && pool->L != NULL;
  if (is_in_first(pool, block)) {
    free_pieces(pool, block, size);
  } else {
    free(block);
    pool->large -= size;
  }
  if (is_last && pool->snapshot == NULL)
    free_pool(pool);
  else if (is_last)
    free_other_chunks(pool);
}

static void *take_block(lt_Pool *pool, size_t size) {
  return size > POOLED ? take_large(pool, size) : take_small(pool, size);
}

static void free_block(lt_Pool *pool, void *block, size_t size) {
  if (size > POOLED)
    free_large(pool, block, size);
  else
    free_small(pool, block, size);
}

static void *resize_large(lt_Pool *pool, void *block, size_t old_size, size_t new_size) {
  void *moved = realloc(block, new_size);
  if (moved != NULL) {
    pool->large -= old_size;
    count_large(pool, new_size);
  }
  return moved;
}

/*
** A block that becomes shorter is cut only for want of memory: cut blocks do not come together
** again before their chunk is free.
*/
static void *resize(lt_Pool *pool, void *block, size_t old_size, size_t new_size) {
  size_t old_length = length_of(old_size);
  size_t new_length = length_of(new_size);
  bool is_pooled = old_size <= POOLED || is_in_first(pool, block);
  if (!is_pooled && new_size > POOLED)
    return resize_large(pool, block, old_size, new_size);
  if (old_length == new_length)
    return block;
  void *moved = take_block(pool, new_size);
  if (moved == NULL && new_length < old_length && is_pooled) {
    free_pieces(pool, (char *)block + new_length, old_length - new_length);
    return block;
  }
  if (moved == NULL)
    return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  free_block(pool, block, old_size);
  return moved;
}

static void *pool_allocate(void *context, void *block, size_t old_size, size_t new_size) {
  lt_Pool *pool = context;
  if (block == NULL) /* 'old_size' is the type of what is made */
    return new_size == 0 ? NULL : take_block(pool, new_size);
  if (new_size != 0)
    return resize(pool, block, old_size, new_size);
  free_block(pool, block, old_size);
  return NULL;
}

/* The allocator of a state that has not got its libraries yet. */
static void *allocate_traced(void *context, void *block, size_t old_size, size_t new_size) {
  lt_Pool *pool = context;
  uint64_t trace = (pool->trace ^ old_size) * UINT64_C(0x9E3779B97F4A7C15);
  trace = (trace ^ trace >> 29 ^ new_size) * UINT64_C(0x9E3779B97F4A7C15);
  pool->trace = trace ^ trace >> 29 ^ (block == NULL);
  return pool_allocate(context, block, old_size, new_size);
}

uint64_t lt_pool_end_trace(lt_Pool *pool) {
  void *context;
  if (lua_getallocf(pool->L, &context) != allocate_traced || context != pool)
    return 0;
  lua_setallocf(pool->L, pool_allocate, pool);
  return pool->trace | 2;
}

size_t lt_pool_most_large(const lt_Pool *pool) {
  return pool->most_large;
}

/*
** States
*/

static lt_Pool *new_pool(void) {
  Chunk *chunk = take_chunk(FIRST_CHUNK);
  if (chunk == NULL)
    return NULL;
  lt_Pool *pool = (lt_Pool *)(chunk + 1);
  memset(pool, 0, sizeof(*pool));
  use_chunk(pool, chunk, (char *)(pool + 1));
  return pool;
}

lua_State *lt_pool_new_state(lt_Pool **pool) {
  lt_Pool *made = new_pool();
  if (made == NULL)
    return NULL;
  lua_State *L = lt_new_state(allocate_traced, made);
  if (L == NULL) {
    free_pool(made);
    return NULL;
  }
  made->L = L;
  memset(lua_getextraspace(L), 0, LUA_EXTRASPACE);
  *pool = made;
  return L;
}

/*
** Snapshots
*/

/* Relaxed: how many there are is only counted. */
static atomic_int snapshot_count;

static bool count_snapshot(void) {
  bool few = atomic_fetch_add_explicit(&snapshot_count, 1, memory_order_relaxed) < LT_SNAPSHOTS;
  if (!few)
    atomic_fetch_sub_explicit(&snapshot_count, 1, memory_order_relaxed);
  return few;
}

static void discount_snapshot(void) {
  atomic_fetch_sub_explicit(&snapshot_count, 1, memory_order_relaxed);
}

/* Of the whole chunk: there may be blocks behind 'uncut', if that lies in one that was free. */
void lt_pool_opened(lt_Pool *pool, bool again) {
  bool in_one_piece = !pool->spilt && pool->chunk_count == 1;
  pool->opened = true;
  if (!again || !in_one_piece || !count_snapshot())
    return;
  pool->snapshot = malloc(FIRST_CHUNK);
  if (pool->snapshot == NULL)
    discount_snapshot();
  else
    memcpy(pool->snapshot, first_chunk(pool), FIRST_CHUNK);
}

bool lt_pool_has_snapshot(const lt_Pool *pool) {
  return pool->snapshot != NULL;
}

lua_State *lt_pool_restore(lt_Pool *pool) {
  memcpy(first_chunk(pool), pool->snapshot, FIRST_CHUNK);
  return pool->L;
}

void lt_pool_drop_snapshot(lt_Pool *pool) {
  free(pool->snapshot);
  pool->snapshot = NULL;
  discount_snapshot();
}

void lt_pool_free(lt_Pool *pool) {
  lt_pool_drop_snapshot(pool);
  free_pool(pool);
}
