#include "src/base/growing_array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/shared_memory.h"

bool lt_array_grow(void *pointer, const void *own, size_t *capacity, size_t least,
                   size_t element_size) {
  void *array;
  size_t larger = *capacity > least / 2 ? *capacity * 2 : least;
  memcpy(&array, pointer, sizeof(array));
  bool is_own = array == own && own != NULL;
  void *moved = larger > SIZE_MAX / 2 / element_size
                    ? NULL
                    : realloc(is_own ? NULL : array, larger * element_size);
  if (moved == NULL)
    return false;
  if (is_own)
    memcpy(moved, own, *capacity * element_size);
  memcpy(pointer, &moved, sizeof(moved));
  *capacity = larger;
  return true;
}

bool lt_array_grow_shared(void *pointer, size_t *capacity, size_t least, size_t element_size) {
  size_t before = *capacity;
  if (!lt_array_grow(pointer, NULL, capacity, least, element_size))
    return false;
  lt_memory_add((*capacity - before) * element_size);
  return true;
}
