/*
** Keys are compared as Lua's < compares them, in C: no code of a state runs.
*/
#include "src/shared/heap.h"

#include <math.h>
#include <string.h>

#include "src/base/growing_array.h"
#include "src/base/shared_memory.h"

void lt_heap_entry_free(lt_HeapEntry *entry) {
  lt_message_item_free(&entry->item);
  lt_message_item_free(&entry->key);
}

/*
** Order
*/

/* Whether integer < number; or, with 'or_equal', integer <= number. */
static bool integer_before(lua_Integer integer, lua_Number number, bool or_equal) {
  static const lua_Number two_63 = 9223372036854775808.0;
  if (number >= two_63)
    return true;
  if (number < -two_63)
    return false;
  return or_equal ? integer <= (lua_Integer)floor(number) : integer < (lua_Integer)ceil(number);
}

static bool number_less(const lt_MessageItem *a, const lt_MessageItem *b) {
  if (a->kind == LT_SCALAR_INTEGER)
    return b->kind == LT_SCALAR_INTEGER
               ? a->value.as.scalar.integer < b->value.as.scalar.integer
               : integer_before(a->value.as.scalar.integer, b->value.as.scalar.number, false);
  return b->kind == LT_SCALAR_INTEGER
             ? !integer_before(b->value.as.scalar.integer, a->value.as.scalar.number, true)
             : a->value.as.scalar.number < b->value.as.scalar.number;
}

/* By bytes, whatever the locale is: that may change while strings lie here. */
static bool string_less(const lt_MessageItem *a, const lt_MessageItem *b) {
  size_t a_length, b_length;
  const char *a_bytes = lt_message_item_string(a, &a_length);
  const char *b_bytes = lt_message_item_string(b, &b_length);
  int order = memcmp(a_bytes, b_bytes, a_length < b_length ? a_length : b_length);
  return order != 0 ? order < 0 : a_length < b_length;
}

static bool heap_is_number(const lt_MessageItem *key) {
  return key->kind == LT_SCALAR_INTEGER || key->kind == LT_SCALAR_FLOAT;
}

static bool less(const lt_HeapEntry *a, const lt_HeapEntry *b) {
  bool numbers = heap_is_number(&a->key);
  if (numbers ? number_less(&a->key, &b->key) : string_less(&a->key, &b->key))
    return true;
  if (numbers ? number_less(&b->key, &a->key) : string_less(&b->key, &a->key))
    return false;
  return a->number < b->number;
}

bool lt_heap_fits(const lt_Heap *heap, const lt_MessageItem *key) {
  return heap->is_stack || heap->count + heap->reserved == 0 ||
         heap_is_number(key) == heap->has_numbers;
}

/*
** The heap: the children of entry i are entries 2i + 1 and 2i + 2, and not less than it.
*/

bool lt_heap_reserve(lt_Heap *heap) {
  return heap->count + heap->reserved < heap->capacity ||
         lt_array_grow_shared(&heap->entries, &heap->capacity, 16, sizeof(lt_HeapEntry));
}

/* Places an entry at 'hole' or above it. */
static void sift_up(lt_Heap *heap, size_t hole, const lt_HeapEntry *entry) {
  while (hole > 0 && less(entry, &heap->entries[(hole - 1) / 2])) {
    heap->entries[hole] = heap->entries[(hole - 1) / 2];
    hole = (hole - 1) / 2;
  }
  heap->entries[hole] = *entry;
}

/* Places an entry at the root or below it. */
static void sift_down(lt_Heap *heap, const lt_HeapEntry *entry) {
  size_t hole = 0;
  for (;;) {
    size_t child = 2 * hole + 1;
    if (child >= heap->count)
      break;
    if (child + 1 < heap->count && less(&heap->entries[child + 1], &heap->entries[child]))
      child++;
    if (!less(&heap->entries[child], entry))
      break;
    heap->entries[hole] = heap->entries[child];
    hole = child;
  }
  heap->entries[hole] = *entry;
}

static void place(lt_Heap *heap, const lt_HeapEntry *entry) {
  if (heap->is_stack)
    heap->entries[heap->count] = *entry;
  else
    sift_up(heap, heap->count, entry);
  heap->count++;
}

void lt_heap_put(lt_Heap *heap, const lt_MessageItem *item, const lt_MessageItem *key) {
  lt_HeapEntry entry = {*item, *key, ++heap->last_number};
  heap->has_numbers = heap_is_number(key);
  place(heap, &entry);
}

void lt_heap_take(lt_Heap *heap, lt_HeapEntry *entry) {
  heap->count--;
  heap->reserved++;
  if (heap->is_stack) {
    *entry = heap->entries[heap->count];
    return;
  }
  *entry = heap->entries[0];
  if (heap->count > 0) {
    lt_HeapEntry last = heap->entries[heap->count];
    sift_down(heap, &last);
  }
}

void lt_heap_settle(lt_Heap *heap, size_t count) {
  heap->reserved -= count;
}

void lt_heap_put_back(lt_Heap *heap, const lt_HeapEntry *entry) {
  heap->reserved--;
  place(heap, entry);
}

void lt_heap_free(lt_Heap *heap) {
  for (size_t i = 0; i < heap->count; i++)
    lt_heap_entry_free(&heap->entries[i]);
  lt_memory_free(heap->entries, heap->capacity * sizeof(lt_HeapEntry));
}
