/*
** A chain of segments, in which the items of a queue lie one behind the other. One thread at a time
** appends, one at a time takes. The two need no lock between them: the appender publishes a count
** of items with release, the taker reads it with acquire, and takes only what it counts.
*/
#ifndef lt_segments_h
#define lt_segments_h

#include "src/transfer/message_item.h"

typedef struct lt_Segment lt_Segment;

typedef struct lt_SegmentPlace {
  lt_Segment *segment;
  uint32_t index;
} lt_SegmentPlace;

/* Both places of a new chain; false without memory. */
bool lt_segments_init(lt_SegmentPlace *tail, lt_SegmentPlace *head);

/* Nothing else may use the chain; the items are those that have not been taken. */
void lt_segments_free(lt_SegmentPlace *head, uint64_t count);

/* Appends as many of the items as there is memory for, and returns how many. */
size_t lt_segments_append(lt_SegmentPlace *tail, const lt_MessageItem *items, size_t count);

/* Takes items that have been appended. */
void lt_segments_take(lt_SegmentPlace *head, lt_MessageItem *items, size_t count);

/* The item at a place, where there must be one; goes to the next segment if it has to. */
const lt_MessageItem *lt_segments_at(lt_SegmentPlace *place);

/* A segment of its own for items that may come back to the front; NULL without memory. */
lt_Segment *lt_segment_new(size_t capacity);
void lt_segment_free(lt_Segment *segment); /* NULL is fine */
lt_MessageItem *lt_segment_items(lt_Segment *segment);

/* Puts a segment that holds 'count' items before what is taken next. */
void lt_segments_put_back(lt_SegmentPlace *head, lt_Segment *segment, size_t count);

#endif
