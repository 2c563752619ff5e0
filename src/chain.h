/*
** Chains: items in a row, in segments that are linked. One thread at a time appends, one at a time
** takes; the two need no lock between them, only that an item is taken after it has been appended,
** as a count that is published with release and read with acquire tells.
*/
#ifndef lt_chain_h
#define lt_chain_h

#include <stdatomic.h>

#include "src/item.h"

typedef struct lt_Segment lt_Segment;

typedef struct lt_Place {
  lt_Segment *segment;
  uint32_t index;
} lt_Place;

/* The segment that is emptied goes to the spare, and from there to the appender. */
typedef _Atomic(lt_Segment *) lt_Spare;

/* Both places of a new chain; false without memory. */
bool lt_chain_init(lt_Place *tail, lt_Place *head, lt_Spare *spare);

/* Nothing else may use the chain; the items are those that have not been taken. */
void lt_chain_free(lt_Place *head, lt_Spare *spare, uint64_t count);

/* Appends as many of the items as there is memory for, and returns how many. */
size_t lt_chain_append(lt_Place *tail, lt_Spare *spare, const lt_Item *items, size_t count);

/* Takes items that have been appended. */
void lt_chain_take(lt_Place *head, lt_Spare *spare, lt_Item *items, size_t count);

/* The item at a place, where there must be one; goes to the next segment if it has to. */
const lt_Item *lt_chain_at(lt_Place *place);

/* A segment of its own for items that may come back to the front; NULL without memory. */
lt_Segment *lt_segment_new(size_t capacity);
void lt_segment_free(lt_Segment *segment); /* NULL is fine */
lt_Item *lt_segment_items(lt_Segment *segment);

/* Puts a segment that holds 'count' items before what is taken next. */
void lt_chain_put_back(lt_Place *head, lt_Segment *segment, size_t count);

#endif
