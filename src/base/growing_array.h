/*
** Arrays that grow. The owner keeps an array's address and its capacity.
*/
#ifndef lt_growing_array_h
#define lt_growing_array_h

#include <stdbool.h>
#include <stddef.h>

/*
** Gives an array twice its capacity, or 'least' if that is more, and sets the owner's pointer,
** whose address is 'pointer', to where it lies then. False: no memory, and it stays as it is.
** 'own' is memory of the owner's in which it has begun, and which is not freed; or NULL.
*/
bool lt_array_grow(void *pointer, const void *own, size_t *capacity, size_t least,
                   size_t element_size);

/* The same for one whose bytes count as shared memory. */
bool lt_array_grow_shared(void *pointer, size_t *capacity, size_t least, size_t element_size);

#endif
