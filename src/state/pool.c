/*
** A state is used by one thread at a time, so there are neither locks nor atomics here. Lua says
** how long a block is when it frees it, so blocks have no headers.
**
** Blocks are cut from chunks one after the other, in the order in which they are asked for. Those
** that are freed wait, in a list for each length, for the next of that length. Which chunks are
** wholly free is found out, from these lists, only when three quarters of all memory is.
**
** The first chunk also takes the long blocks of a state that is being opened, so that the whole
** state lies in one piece. A snapshot is a copy of that piece, with the allocator in it. What is
** brought back lies where it lay before, and so its pointers hold.
*/
#include "src/state/pool.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

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

typedef struct Snapshot {
  char bytes[FIRST_CHUNK];
} Snapshot;

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
  Snapshot *snapshot;  /* or NULL */
  uint64_t trace;      /* see lt_pool_end_trace */
  bool spilt;          /* a long block came from elsewhere */
  bool opened;         /* long blocks do not come from the first chunk any more */
  bool closing;
  bool warns;
  bool in_warning; /* a part of a warning has been written */
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

static bool may_shrink(const lt_Pool *allocator) {
  return allocator->total > KEPT && !allocator->closing;
}

static void use_chunk(lt_Pool *allocator, Chunk *chunk, char *uncut) {
  chunk->next = allocator->chunks;
  allocator->chunks = chunk;
  allocator->chunk_count++;
  allocator->total += chunk->size;
  allocator->uncut = uncut;
  allocator->end = (char *)chunk + chunk->size;
  if (may_shrink(allocator) && allocator->total / 5 * 4 > allocator->searched)
    allocator->shrink_below = allocator->total / 4;
}

static inline void enlist(lt_Pool *allocator, void *block, size_t length) {
  Free *freed = block;
  freed->next = allocator->free[length / STEP];
  allocator->free[length / STEP] = freed;
}

static size_t next_size(const lt_Pool *allocator) {
  size_t share = allocator->total / 16;
  size_t unit = share < FROM_SYSTEM ? CHUNK_UNIT : FROM_SYSTEM;
  return share < LARGEST_CHUNK ? share / unit * unit : LARGEST_CHUNK;
}

static bool add_chunk(lt_Pool *allocator) {
  Chunk *chunk = take_chunk(next_size(allocator));
  if (chunk == NULL)
    return false;
  use_chunk(allocator, chunk, (char *)(chunk + 1));
  return true;
}

/* A free block of the greatest length is cut before a new chunk is. */
static bool find_uncut(lt_Pool *allocator) {
  if (allocator->uncut < allocator->end)
    enlist(allocator, allocator->uncut, (size_t)(allocator->end - allocator->uncut));
  Free **longest = &allocator->free[POOLED / STEP];
  allocator->uncut = (char *)*longest;
  allocator->end = allocator->uncut;
  if (*longest == NULL)
    return add_chunk(allocator);
  allocator->end += POOLED;
  *longest = (*longest)->next;
  return true;
}

/*
** Giving chunks back
*/

static int by_address(const void *a, const void *b) {
  const Chunk *first = *(Chunk *const *)a;
  const Chunk *second = *(Chunk *const *)b;
  return ((uintptr_t)first > (uintptr_t)second) - ((uintptr_t)first < (uintptr_t)second);
}

static Chunk **sort_chunks(const lt_Pool *allocator) {
  Chunk **sorted = malloc(allocator->chunk_count * sizeof(Chunk *));
  size_t count = 0;
  if (sorted == NULL)
    return NULL;
  for (Chunk *chunk = allocator->chunks; chunk != NULL; chunk = chunk->next) {
    chunk->free = 0;
    sorted[count++] = chunk;
  }
  qsort(sorted, count, sizeof(Chunk *), by_address);
  return sorted;
}

static Chunk *chunk_of(Chunk *const *sorted, size_t count, const void *block) {
  size_t low = 0;
  size_t high = count;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if ((uintptr_t)sorted[middle] < (uintptr_t)block)
      low = middle;
    else
      high = middle;
  }
  return sorted[low];
}

static bool pool_is_free(const Chunk *chunk) {
  return chunk->free == chunk->size - sizeof(Chunk);
}

static void count_free(lt_Pool *allocator, Chunk *const *sorted) {
  for (size_t length = STEP; length <= POOLED; length += STEP)
    for (Free *block = allocator->free[length / STEP]; block != NULL; block = block->next)
      chunk_of(sorted, allocator->chunk_count, block)->free += length;
}

static void unlist_blocks(lt_Pool *allocator, Chunk *const *sorted) {
  for (size_t length = STEP; length <= POOLED; length += STEP) {
    Free **place = &allocator->free[length / STEP];
    for (Free *block = *place; block != NULL; block = block->next) {
      if (!pool_is_free(chunk_of(sorted, allocator->chunk_count, block))) {
        *place = block;
        place = &block->next;
      }
    }
    *place = NULL;
  }
}

/* A search that has found little is repeated when half of what is used is freed, or, by use_chunk,
 * when there is a quarter more memory. */
static void set_limit(lt_Pool *allocator) {
  size_t quarter = allocator->total / 4;
  size_t half = allocator->used / 2;
  allocator->searched = allocator->total;
  allocator->shrink_below = 0;
  if (may_shrink(allocator))
    allocator->shrink_below = quarter < half ? quarter : half;
}

/* As long as something is left of the latest chunk, which is in no list, that one stays. */
static void drop_free_chunks(lt_Pool *allocator) {
  Chunk **place = &allocator->chunks;
  while (*place != NULL) {
    Chunk *chunk = *place;
    if (pool_is_free(chunk)) {
      *place = chunk->next;
      allocator->chunk_count--;
      allocator->total -= chunk->size;
      give_chunk(chunk);
    } else {
      place = &chunk->next;
    }
  }
}

static void give_chunks_back(lt_Pool *allocator) {
  Chunk **sorted = sort_chunks(allocator);
  if (sorted != NULL) {
    count_free(allocator, sorted);
    unlist_blocks(allocator, sorted);
    drop_free_chunks(allocator);
    free(sorted);
  }
  set_limit(allocator);
}

static Chunk *first_chunk(lt_Pool *allocator) {
  return (Chunk *)(void *)allocator - 1;
}

static void free_other_chunks(lt_Pool *allocator) {
  Chunk *first = first_chunk(allocator);
  Chunk *chunk = allocator->chunks;
  while (chunk != first) {
    Chunk *next = chunk->next;
    give_chunk(chunk);
    chunk = next;
  }
  allocator->chunks = first;
}

static void free_allocator(lt_Pool *allocator) {
  free_other_chunks(allocator);
  give_chunk(first_chunk(allocator));
}

/*
** Blocks
*/

static inline void *take_small(lt_Pool *allocator, size_t size) {
  size_t length = length_of(size);
  Free *block = allocator->free[length / STEP];
  if (block != NULL) {
    allocator->free[length / STEP] = block->next;
  } else {
    if ((size_t)(allocator->end - allocator->uncut) < length && !find_uncut(allocator))
      return NULL;
    block = (Free *)(void *)allocator->uncut;
    allocator->uncut += length;
  }
  allocator->used += length;
  return block;
}

static inline void free_small(lt_Pool *allocator, void *block, size_t size) {
  size_t length = length_of(size);
  enlist(allocator, block, length);
  allocator->used -= length;
  if (allocator->used < allocator->shrink_below)
    give_chunks_back(allocator);
}

/* Cuts a block of any length from what is left of the first chunk, while that serves for it. */
static void *cut_from_first(lt_Pool *allocator, size_t size) {
  size_t length = length_of(size);
  if (POOLED == 0 || allocator->opened || allocator->chunk_count > 1 ||
      (size_t)(allocator->end - allocator->uncut) < length)
    return NULL;
  void *block = allocator->uncut;
  allocator->uncut += length;
  allocator->used += length;
  return block;
}

static bool is_in_first(const lt_Pool *allocator, const void *block) {
  return (uintptr_t)block - (uintptr_t)allocator < FIRST_CHUNK - sizeof(Chunk);
}

static void count_large(lt_Pool *allocator, size_t size) {
  allocator->large += size;
  if (allocator->large > allocator->most_large)
    allocator->most_large = allocator->large;
}

static void *take_large(lt_Pool *allocator, size_t size) {
  void *block = cut_from_first(allocator, size);
  if (block == NULL) {
    block = malloc(size);
    allocator->spilt = true;
    if (block != NULL)
      count_large(allocator, size);
  }
  if (allocator->first_block == NULL)
    allocator->first_block = block;
  return block;
}

static void free_pieces(lt_Pool *allocator, char *block, size_t size) {
  for (size_t left = length_of(size); left > 0;) {
    size_t length = left < POOLED ? left : POOLED;
    free_small(allocator, block, length);
    block += length;
    left -= length;
  }
}

static void free_large(lt_Pool *allocator, void *block, size_t size) {
  bool is_last = block == allocator->first_block && allocator->L != NULL;
  if (is_in_first(allocator, block)) {
    free_pieces(allocator, block, size);
  } else {
    free(block);
    allocator->large -= size;
  }
  if (is_last && allocator->snapshot == NULL)
    free_allocator(allocator);
  else if (is_last)
    free_other_chunks(allocator);
}

static void *take_block(lt_Pool *allocator, size_t size) {
  return size > POOLED ? take_large(allocator, size) : take_small(allocator, size);
}

static void free_block(lt_Pool *allocator, void *block, size_t size) {
  if (size > POOLED)
    free_large(allocator, block, size);
  else
    free_small(allocator, block, size);
}

/*
** A block that becomes shorter is cut only for want of memory: cut blocks do not come together
** again before their chunk is free.
*/
static void *cut(lt_Pool *allocator, void *block, size_t old_length, size_t new_length) {
  free_pieces(allocator, (char *)block + new_length, old_length - new_length);
  return block;
}

static void *resize_large(lt_Pool *allocator, void *block, size_t old_size, size_t new_size) {
  void *moved = realloc(block, new_size);
  if (moved != NULL) {
    allocator->large -= old_size;
    count_large(allocator, new_size);
  }
  return moved;
}

static void *resize(lt_Pool *allocator, void *block, size_t old_size, size_t new_size) {
  size_t old_length = length_of(old_size);
  size_t new_length = length_of(new_size);
  bool is_pooled = old_size <= POOLED || is_in_first(allocator, block);
  if (!is_pooled && new_size > POOLED)
    return resize_large(allocator, block, old_size, new_size);
  if (old_length == new_length)
    return block;
  void *moved = take_block(allocator, new_size);
  if (moved == NULL && new_length < old_length && is_pooled)
    return cut(allocator, block, old_length, new_length);
  if (moved == NULL)
    return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  free_block(allocator, block, old_size);
  return moved;
}

static void *pool_allocate(void *context, void *block, size_t old_size, size_t new_size) {
  lt_Pool *allocator = context;
  if (block == NULL) /* 'old_size' is the type of what is made */
    return new_size == 0 ? NULL : take_block(allocator, new_size);
  if (new_size != 0)
    return resize(allocator, block, old_size, new_size);
  free_block(allocator, block, old_size);
  return NULL;
}

/* The allocator of a state that has not got its libraries yet. */
static void *allocate_traced(void *context, void *block, size_t old_size, size_t new_size) {
  lt_Pool *allocator = context;
  uint64_t trace = (allocator->trace ^ old_size) * UINT64_C(0x9E3779B97F4A7C15);
  trace = (trace ^ trace >> 29 ^ new_size) * UINT64_C(0x9E3779B97F4A7C15);
  allocator->trace = trace ^ trace >> 29 ^ (block == NULL);
  return pool_allocate(context, block, old_size, new_size);
}

uint64_t lt_pool_end_trace(lt_Pool *allocator) {
  void *context;
  if (lua_getallocf(allocator->L, &context) != allocate_traced || context != allocator)
    return 0;
  lua_setallocf(allocator->L, pool_allocate, allocator);
  return allocator->trace | 2;
}

/*
** What malloc keeps of the large blocks of states that have ended, at most. It keeps what is freed
** for the thread's own use later, which may never come.
**
** Relaxed: it is only counted.
*/
static atomic_size_t freed_by_ended;

#define WORTH_COUNTING ((size_t)64 * 1024)
#define WORTH_TRIMMING ((size_t)16 * 1024 * 1024)

void lt_pool_closing(lt_Pool *allocator) {
  allocator->closing = true;
  allocator->shrink_below = 0;
  if (allocator->most_large >= WORTH_COUNTING)
    atomic_fetch_add_explicit(&freed_by_ended, allocator->most_large, memory_order_relaxed);
}

void lt_pool_trim(void) {
  if (atomic_load_explicit(&freed_by_ended, memory_order_relaxed) >= WORTH_TRIMMING &&
      atomic_exchange_explicit(&freed_by_ended, 0, memory_order_relaxed) >= WORTH_TRIMMING)
    plat_memory_trim();
}

/*
** States
*/

/* As luaL_newstate has it: they are off; "@on" and "@off", in one piece, turn them on and off. */
static void warn(void *context, const char *message, int continues) {
  lt_Pool *allocator = context;
  if (!allocator->in_warning && !continues && message[0] == '@') {
    if (strcmp(message, "@on") == 0)
      allocator->warns = true;
    else if (strcmp(message, "@off") == 0)
      allocator->warns = false;
  } else if (allocator->warns) {
    const char *begin = allocator->in_warning ? "" : "Lua warning: ";
    fprintf(stderr, "%s%s%s", begin, message, continues ? "" : "\n");
    fflush(stderr);
    allocator->in_warning = continues;
  }
}

/* As luaL_newstate has it. Lua aborts the process when this returns. */
static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
          message == NULL ? "error object is not a string" : message);
  fflush(stderr);
  return 0;
}

static lt_Pool *new_allocator(void) {
  Chunk *chunk = take_chunk(FIRST_CHUNK);
  if (chunk == NULL)
    return NULL;
  lt_Pool *allocator = (lt_Pool *)(chunk + 1);
  memset(allocator, 0, sizeof(*allocator));
  use_chunk(allocator, chunk, (char *)(allocator + 1));
  return allocator;
}

lua_State *lt_pool_new_state(lt_Pool **allocator) {
  lt_Pool *made = new_allocator();
  if (made == NULL)
    return NULL;
  lua_State *L = lua_newstate(allocate_traced, made);
  if (L == NULL) {
    free_allocator(made);
    return NULL;
  }
  made->L = L;
  memset(lua_getextraspace(L), 0, LUA_EXTRASPACE);
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, made);
  *allocator = made;
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
static Snapshot *take_snapshot(lt_Pool *allocator) {
  Snapshot *snapshot = malloc(sizeof(*snapshot));
  if (snapshot == NULL)
    return NULL;
  allocator->snapshot = snapshot;
  memcpy(snapshot->bytes, first_chunk(allocator), sizeof(snapshot->bytes));
  return snapshot;
}

void lt_pool_opened(lt_Pool *allocator, bool again) {
  bool in_one_piece = !allocator->spilt && allocator->chunk_count == 1;
  allocator->opened = true;
  if (again && in_one_piece && count_snapshot() && take_snapshot(allocator) == NULL)
    discount_snapshot();
}

bool lt_pool_has_snapshot(const lt_Pool *allocator) {
  return allocator->snapshot != NULL;
}

lua_State *lt_pool_restore(lt_Pool *allocator) {
  const Snapshot *snapshot = allocator->snapshot;
  memcpy(first_chunk(allocator), snapshot->bytes, sizeof(snapshot->bytes));
  return allocator->L;
}

void lt_pool_drop_snapshot(lt_Pool *allocator) {
  free(allocator->snapshot);
  allocator->snapshot = NULL;
  discount_snapshot();
}

void lt_pool_free(lt_Pool *allocator) {
  lt_pool_drop_snapshot(allocator);
  free_allocator(allocator);
}
