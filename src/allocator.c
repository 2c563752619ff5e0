/*
** One thread at a time uses a state, so its pool has neither locks nor atomics. Lua says how long
** a block is when it gives it back, so blocks have no headers.
**
** Blocks are cut from chunks one after the other, in the order in which they are asked for. Those
** that are given back wait, in a list for each size, for the next of that size. Only when three
** quarters of all chunks are free is it looked up which chunks are wholly so, and these go back
** to the system.
*/
#include "src/allocator.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

/* Blocks are multiples of this, which is all the alignment that Lua asks for (LUAI_MAXALIGN). */
#define STEP ((size_t)8)
#define POOLED ((size_t)512) /* the longest block that comes from the pool */

/* Most threads need no more than the first chunk; pages that are not touched cost nothing. */
#define FIRST_CHUNK ((size_t)32 * 1024)
#define CHUNK PLAT_CHUNK_BYTES
#define ALWAYS_KEPT ((size_t)1024 * 1024)

typedef struct Free {
  struct Free *next;
} Free;

typedef struct Chunk {
  struct Chunk *next;
  size_t free; /* bytes in the lists; only known within give_chunks_back */
} Chunk;

typedef struct Pool {
  Free *free[POOLED / STEP + 1]; /* by length / STEP */
  char *uncut;                   /* what is left of the latest chunk */
  char *end;
  size_t used;         /* bytes in blocks that Lua has */
  size_t total;        /* bytes in chunks */
  size_t shrink_below; /* so few bytes used make it look for chunks to give back */
  Chunk *chunks;       /* all but the first */
  void *state;         /* the block that Lua takes first and gives back last */
  bool complete;       /* there is a state */
  bool warns;
  bool in_warning; /* pieces of a warning have been written */
  char first[];
} Pool;

_Static_assert(sizeof(Pool) % STEP == 0 && sizeof(Chunk) % STEP == 0, "blocks are aligned");

static size_t rounded(size_t size) {
  return (size + STEP - 1) & ~(STEP - 1);
}

static void set_limit(Pool *pool) {
  size_t quarter = pool->total / 4;
  size_t half_used = pool->used / 2; /* so a search that found little is not soon repeated */
  pool->shrink_below = quarter < half_used ? quarter : half_used;
  if (pool->total <= ALWAYS_KEPT)
    pool->shrink_below = 0;
}

/*
** Giving back
*/

static bool in_first(const Pool *pool, const void *block) {
  uintptr_t offset = (uintptr_t)block - (uintptr_t)pool;
  return offset < FIRST_CHUNK;
}

static Chunk *chunk_of(const void *block) {
  return (Chunk *)((uintptr_t)block & ~(uintptr_t)(CHUNK - 1)); /* NOLINT(performance-no-int-to-ptr) */
}

static bool is_free(const Chunk *chunk) {
  return chunk->free == CHUNK - sizeof(Chunk);
}

static void count_free(Pool *pool) {
  for (Chunk *chunk = pool->chunks; chunk != NULL; chunk = chunk->next)
    chunk->free = 0;
  for (size_t length = STEP; length <= POOLED; length += STEP)
    for (Free *block = pool->free[length / STEP]; block != NULL; block = block->next)
      if (!in_first(pool, block))
        chunk_of(block)->free += length;
}

static void unlink_blocks(Pool *pool) {
  for (size_t length = STEP; length <= POOLED; length += STEP) {
    Free **place = &pool->free[length / STEP];
    for (Free *block = *place; block != NULL; block = block->next) {
      if (in_first(pool, block) || !is_free(chunk_of(block))) {
        *place = block;
        place = &block->next;
      }
    }
    *place = NULL;
  }
}

/* The chunk that is being cut is never wholly in the lists. */
static void give_chunks_back(Pool *pool) {
  count_free(pool);
  unlink_blocks(pool);
  Chunk **place = &pool->chunks;
  for (Chunk *chunk = *place, *next; chunk != NULL; chunk = next) {
    next = chunk->next;
    if (is_free(chunk)) {
      pool->total -= CHUNK;
      plat_chunk_give(chunk);
    } else {
      *place = chunk;
      place = &chunk->next;
    }
  }
  *place = NULL;
  set_limit(pool);
}

static void free_pool(Pool *pool) {
  for (Chunk *chunk = pool->chunks, *next; chunk != NULL; chunk = next) {
    next = chunk->next;
    plat_chunk_give(chunk);
  }
  free(pool);
}

/*
** Blocks
*/

static inline void give(Pool *pool, void *block, size_t length) {
  Free *freed = block;
  freed->next = pool->free[length / STEP];
  pool->free[length / STEP] = freed;
}

static bool add_chunk(Pool *pool) {
  Chunk *chunk = plat_chunk_take();
  if (chunk == NULL)
    return false;
  if (pool->uncut < pool->end)
    give(pool, pool->uncut, (size_t)(pool->end - pool->uncut));
  chunk->next = pool->chunks;
  pool->chunks = chunk;
  pool->uncut = (char *)(chunk + 1);
  pool->end = (char *)chunk + CHUNK;
  pool->total += CHUNK;
  set_limit(pool);
  return true;
}

static inline void *take_small(Pool *pool, size_t size) {
  size_t length = rounded(size);
  Free *block = pool->free[length / STEP];
  if (block != NULL) {
    pool->free[length / STEP] = block->next;
  } else {
    if ((size_t)(pool->end - pool->uncut) < length && !add_chunk(pool))
      return NULL;
    block = (Free *)(void *)pool->uncut;
    pool->uncut += length;
  }
  pool->used += length;
  return block;
}

static inline void free_small(Pool *pool, void *block, size_t size) {
  size_t length = rounded(size);
  give(pool, block, length);
  pool->used -= length;
  if (pool->used < pool->shrink_below)
    give_chunks_back(pool);
}

static void *take_large(Pool *pool, size_t size) {
  void *block = malloc(size);
  if (pool->state == NULL)
    pool->state = block;
  return block;
}

static void free_large(Pool *pool, void *block) {
  bool was_last = block == pool->state && pool->complete;
  free(block);
  if (was_last)
    free_pool(pool);
}

static void *resize(Pool *pool, void *block, size_t old_size, size_t new_size) {
  if (old_size > POOLED && new_size > POOLED)
    return realloc(block, new_size);
  if (old_size <= POOLED && new_size <= POOLED) {
    size_t old_length = rounded(old_size);
    size_t new_length = rounded(new_size);
    if (new_length <= old_length) {
      if (new_length < old_length)
        free_small(pool, (char *)block + new_length, old_length - new_length);
      return block;
    }
  }
  void *moved = new_size > POOLED ? malloc(new_size) : take_small(pool, new_size);
  if (moved == NULL)
    return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  if (old_size > POOLED)
    free(block);
  else
    free_small(pool, block, old_size);
  return moved;
}

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  Pool *pool = context;
  if (block == NULL) { /* the old size is the type of what is made */
    if (new_size == 0)
      return NULL;
    return new_size <= POOLED ? take_small(pool, new_size) : take_large(pool, new_size);
  }
  if (new_size != 0)
    return resize(pool, block, old_size, new_size);
  if (old_size <= POOLED)
    free_small(pool, block, old_size);
  else
    free_large(pool, block);
  return NULL;
}

/*
** States
*/

/* As luaL_newstate has it: warnings are off; "@on" and "@off", in one piece, turn them on and off. */
static void warn(void *context, const char *message, int continues) {
  Pool *pool = context;
  bool is_control = !pool->in_warning && !continues && message[0] == '@';
  if (is_control && strcmp(message, "@on") == 0)
    pool->warns = true;
  else if (is_control && strcmp(message, "@off") == 0)
    pool->warns = false;
  if (is_control || !pool->warns)
    return;
  fprintf(stderr, "%s%s%s", pool->in_warning ? "" : "Lua warning: ", message,
          continues ? "" : "\n");
  fflush(stderr);
  pool->in_warning = continues;
}

/* As luaL_newstate has it. The process is aborted then. */
static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
          message == NULL ? "error object is not a string" : message);
  fflush(stderr);
  return 0;
}

lua_State *lt_allocator_new_state(void) {
  Pool *pool = malloc(FIRST_CHUNK);
  if (pool == NULL)
    return NULL;
  memset(pool, 0, sizeof(*pool));
  pool->uncut = pool->first;
  pool->end = (char *)pool + FIRST_CHUNK;
  lua_State *L = lua_newstate(allocate, pool);
  if (L == NULL) {
    free_pool(pool);
    return NULL;
  }
  pool->complete = true;
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn, pool);
  return L;
}
