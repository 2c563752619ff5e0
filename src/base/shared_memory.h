/*
** The memory of the shared data space, which belongs to no state: malloc, with a count of its
** bytes, from which the collector of cycles learns when it is due.
*/
#ifndef lt_shared_memory_h
#define lt_shared_memory_h

#include <stdbool.h>
#include <stddef.h>

void *lt_memory_alloc(size_t size); /* NULL without memory, as all of these */
void *lt_memory_alloc_zeroed(size_t size);

/* Of a size of whole cache lines, which the block shares with no other one. */
void *lt_memory_alloc_lines(size_t size);

/* NULL is fine for both. */
void lt_memory_free(void *block, size_t size);
void lt_memory_free_lines(void *block, size_t size);

/* Counts memory that comes from elsewhere. */
void lt_memory_add(size_t size);
void lt_memory_subtract(size_t size);

/* How many bytes there are now; how many the calling thread has ever taken. */
size_t lt_memory_bytes(void);
size_t lt_memory_taken(void);

/* Whether there have been more than so many since the limit was set, which at first is this. */
#define LT_MEMORY_FIRST_LIMIT ((size_t)16 << 20)
void lt_memory_set_limit(size_t bytes);
bool lt_memory_above_limit(void);

#endif
