/*
** The memory of the shared data space: malloc, with a count of its bytes.
*/
#ifndef lt_memory_h
#define lt_memory_h

#include <stdbool.h>
#include <stddef.h>

void *lt_alloc(size_t size); /* NULL without memory, as all of these */
void *lt_alloc_zeroed(size_t size);
void *lt_realloc(void *block, size_t old_size, size_t new_size);
void lt_free(void *block, size_t size); /* NULL is fine */

/* Counts memory that comes from elsewhere. */
void lt_memory_add(size_t size);
void lt_memory_subtract(size_t size);

/* How many bytes there are now. */
size_t lt_memory_bytes(void);

/* Whether there have been more than so many since the limit was set; the first limit is 0: none. */
void lt_memory_set_limit(size_t bytes);
bool lt_memory_above_limit(void);

#endif
