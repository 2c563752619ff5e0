/*
** Heaps: the entries of a priority queue in the order of their keys, equal ones in the order in
** which they came; or of a stack, which has no keys.
*/
#ifndef lt_heap_h
#define lt_heap_h

#include "src/transfer/message_item.h"

typedef struct lt_HeapEntry {
  lt_MessageItem item;
  lt_MessageItem key; /* a number, not NaN, or a string */
  uint64_t number;
} lt_HeapEntry;

typedef struct lt_Heap {
  lt_HeapEntry *entries;
  size_t count;
  size_t capacity;
  size_t reserved; /* room for entries that may come back */
  uint64_t last_number;
  bool is_stack;
  bool has_numbers; /* as keys; else strings */
} lt_Heap;

void lt_heap_entry_free(lt_HeapEntry *entry);

/* Makes room for one more entry than there are; false without memory. */
bool lt_heap_reserve(lt_Heap *heap);

/* Whether a key can be compared with those that are there: numbers and strings can't. */
bool lt_heap_fits(const lt_Heap *heap, const lt_MessageItem *key);

/* There must be room, and the key fit; a stack has none: nil. */
void lt_heap_put(lt_Heap *heap, const lt_MessageItem *item, const lt_MessageItem *key);

/*
** There must be an entry. The room of those that are taken stays reserved until it is settled that
** so many are gone, or they are put back.
*/
void lt_heap_take(lt_Heap *heap, lt_HeapEntry *entry);
void lt_heap_settle(lt_Heap *heap, size_t count);
void lt_heap_put_back(lt_Heap *heap, const lt_HeapEntry *entry);

void lt_heap_free(lt_Heap *heap);

#endif
