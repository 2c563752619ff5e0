/*
** Address maps: which entry of an array has a given address. Each entry begins with its address,
** the first one is unused, and the map holds the numbers of the others. The owner gives the map
** its memory, and calls lt_address_map_fill when that has become larger.
*/
#ifndef lt_address_map_h
#define lt_address_map_h

#include <stddef.h>
#include <stdint.h>

typedef struct lt_AddressMap {
  uint32_t *places; /* the number of an entry, 0 for none; more than there are entries */
  size_t mask;      /* how many places there are, a power of 2, less 1 */
} lt_AddressMap;

static inline size_t lt_address_hash(const void *address) {
  return (size_t)((uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15) >> 24);
}

static inline const void *lt_address_of(const void *entries, size_t entry_size, size_t number) {
  return *(const void *const *)(const void *)((const char *)entries + number * entry_size);
}

/* Where the number of the entry with this address is, or is to be entered if it is 0. */
static inline uint32_t *lt_address_map_place(const lt_AddressMap *map, const void *entries,
                                             size_t entry_size, const void *address) {
  size_t place = lt_address_hash(address) & map->mask;
  while (map->places[place] != 0 &&
         lt_address_of(entries, entry_size, map->places[place]) != address)
    place = (place + 1) & map->mask;
  return &map->places[place];
}

/* Takes so many places, all of them 0, and enters the entries before number 'count' there. */
static inline void lt_address_map_fill(lt_AddressMap *map, uint32_t *places, size_t place_count,
                                       const void *entries, size_t entry_size, size_t count) {
  map->places = places;
  map->mask = place_count - 1;
  for (size_t number = 1; number < count; number++)
    *lt_address_map_place(map, entries, entry_size, lt_address_of(entries, entry_size, number)) =
        (uint32_t)number;
}

#endif
