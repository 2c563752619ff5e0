/*
** Shared state: the appender writes 'next' of a segment before it publishes an item in the next
** one, and the taker goes there only for such an item. Everything else in a segment belongs to the
** taker from the moment an item is published.
*/
#include "src/shared/segments.h"

#include <string.h>

#include "src/base/shared_memory.h"

struct lt_Segment {
  lt_Segment *next;
  uint32_t begin; /* where taking begins */
  uint32_t capacity;
  lt_MessageItem items[];
};

#define FIRST_CAPACITY 16u
#define LARGEST_CAPACITY 256u

static size_t segment_bytes(size_t capacity) {
  return sizeof(lt_Segment) + capacity * sizeof(lt_MessageItem);
}

lt_Segment *lt_segment_new(size_t capacity) {
  if (capacity > UINT32_MAX)
    return NULL;
  lt_Segment *segment = lt_memory_alloc(segment_bytes(capacity));
  if (segment != NULL) {
    segment->next = NULL;
    segment->begin = 0;
    segment->capacity = (uint32_t)capacity;
  }
  return segment;
}

void lt_segment_free(lt_Segment *segment) {
  if (segment != NULL)
    lt_memory_free(segment, segment_bytes(segment->capacity));
}

lt_MessageItem *lt_segment_items(lt_Segment *segment) {
  return segment->items;
}

bool lt_segments_init(lt_SegmentPlace *tail, lt_SegmentPlace *head) {
  tail->segment = lt_segment_new(FIRST_CAPACITY);
  tail->index = 0;
  *head = *tail;
  return tail->segment != NULL;
}

/* Each segment is larger than the one before, up to a bound. */
static bool has_room(lt_SegmentPlace *tail) {
  uint32_t capacity = tail->segment->capacity;
  if (tail->index < capacity)
    return true;
  lt_Segment *segment =
      lt_segment_new(capacity < LARGEST_CAPACITY ? capacity * 2 : LARGEST_CAPACITY);
  if (segment == NULL)
    return false;
  tail->segment->next = segment;
  tail->segment = segment;
  tail->index = 0;
  return true;
}

size_t lt_segments_append(lt_SegmentPlace *tail, const lt_MessageItem *items, size_t count) {
  size_t done = 0;
  for (; done < count && has_room(tail); done++)
    lt_message_item_copy(&tail->segment->items[tail->index++], &items[done]);
  return done;
}

void lt_segments_take(lt_SegmentPlace *head, lt_MessageItem *items, size_t count) {
  while (count > 0) {
    while (head->index == head->segment->capacity) {
      lt_Segment *emptied = head->segment;
      head->segment = emptied->next;
      head->index = head->segment->begin;
      lt_segment_free(emptied);
    }
    size_t there = head->segment->capacity - head->index;
    size_t portion = count < there ? count : there;
    for (size_t i = 0; i < portion; i++)
      *items++ = head->segment->items[head->index++];
    count -= portion;
  }
}

const lt_MessageItem *lt_segments_at(lt_SegmentPlace *place) {
  while (place->index == place->segment->capacity) {
    place->segment = place->segment->next;
    place->index = place->segment->begin;
  }
  return &place->segment->items[place->index];
}

/* The items lie at the end of the segment then, so that it is exhausted with the last of them. */
void lt_segments_put_back(lt_SegmentPlace *head, lt_Segment *segment, size_t count) {
  uint32_t begin = segment->capacity - (uint32_t)count;
  memmove(segment->items + begin, segment->items, count * sizeof(lt_MessageItem));
  segment->begin = begin;
  segment->next = head->segment;
  head->segment->begin = head->index;
  head->segment = segment;
  head->index = begin;
}

void lt_segments_free(lt_SegmentPlace *head, uint64_t count) {
  lt_MessageItem item;
  for (; count > 0; count--) {
    lt_segments_take(head, &item, 1);
    lt_message_item_free(&item);
  }
  while (head->segment != NULL) {
    lt_Segment *next = head->segment->next;
    lt_segment_free(head->segment);
    head->segment = next;
  }
}
