/*
** The parts of a queue, private to its files: queue.c, queue_batch.c and queue_tracing.c. Which
** part is written under which lock, and how it is read without, is told in queue.c.
*/
#ifndef lt_queue_parts_h
#define lt_queue_parts_h

#include <stdalign.h>

#include "src/object/cycles.h"
#include "src/shared/heap.h"
#include "src/shared/segments.h"
#include "src/sync/lock.h"
#include "src/sync/look.h"

typedef enum lt_QueueOrder { LT_FIRST_FIRST, LT_LAST_FIRST, LT_LEAST_FIRST } lt_QueueOrder;

typedef struct lt_QueueEnd {
  alignas(PLAT_CACHE_LINE) lt_Lock lock;
  lt_SegmentPlace place; /* where the next item goes, or is */
  atomic_uint waiting;   /* the bits below */
  alignas(PLAT_CACHE_LINE) _Atomic(uint64_t) count;
  uint64_t seen; /* what the count of the other end was */
} lt_QueueEnd;

/*
** The bits of 'waiting':
**
**   LT_QUEUE_LOOKED_AT  somebody may look at this end: who changes it takes the bit out, and looks
**   LT_QUEUE_SIGNALS    it has a descriptor, which whoever changes the end puts right
**   the rest            how many are parked here and not yet about to be unparked,
**                       LT_QUEUE_WAITER for each
*/
#define LT_QUEUE_LOOKED_AT 1u
#define LT_QUEUE_SIGNALS 2u
#define LT_QUEUE_WAITER 4u

typedef enum lt_QueueClosing { LT_QUEUE_OPEN, LT_QUEUE_NO_PUTS, LT_QUEUE_CLOSED } lt_QueueClosing;

/* Where the collector goes on; only it uses this. */
typedef struct lt_QueueCursor {
  lt_SegmentPlace place; /* in a chain */
  size_t entry;          /* in a heap */
  size_t reference;      /* of the item's message */
  uint64_t left;         /* items, from this one on */
  uint64_t changes;      /* when it began */
} lt_QueueCursor;

typedef struct lt_Queue {
  lt_Traced traced;
  lt_QueueOrder order;
  atomic_int closing;
  uint64_t maxsize; /* 0: no bound */
  bool may_refer;   /* an item with references was put, once */
  lt_Heap heap;
  lt_QueueEnd tail;
  lt_QueueEnd head;
  alignas(PLAT_CACHE_LINE) _Atomic(uint64_t) done; /* of the items ever put */
  uint64_t returned;                               /* how many items were ever put back */
  lt_QueueCursor cursor;
  _Atomic(struct lt_QueueSignal *) signal; /* NULL: it has no descriptor */
} lt_Queue;

static inline lt_Lock *lt_queue_head_lock(lt_Queue *queue) {
  return queue->order == LT_FIRST_FIRST ? &queue->head.lock : &queue->tail.lock;
}

/* Of an end whose lock the caller holds; or whose value may be old. */
static inline uint64_t lt_queue_count_at(const lt_QueueEnd *end) {
  return atomic_load_explicit(&end->count, memory_order_relaxed);
}

/* What was put, or taken away, before the count came to this, is seen. */
static inline uint64_t lt_queue_read_count(const lt_QueueEnd *end) {
  return atomic_load(&end->count);
}

static inline void lt_queue_publish_count(lt_QueueEnd *end, uint64_t count) {
  atomic_store(&end->count, count);
}

/* Acquire: pairs with the release in lt_queue_shut_down; the last count of the tail is seen. */
static inline lt_QueueClosing lt_queue_closing(const lt_Queue *queue) {
  return (lt_QueueClosing)atomic_load_explicit(&queue->closing, memory_order_acquire);
}

#endif
