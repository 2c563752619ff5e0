/*
** A queue has two ends: putters put items at the tail, getters take them at the head. Each end has
** a lock of its own, so putters and getters work side by side. An end counts all items that ever
** passed it; the difference of the two counts is what lies in the queue. Where items do not leave
** in the order in which they came, they lie in a heap, and the tail's lock is for both ends.
**
** Shared state:
**   tail.place, tail.seen, tail.count   written with the tail's lock
**   head.place, head.seen, head.count   written with the head's (a heap: the tail's)
**   waiting    of an end, atomic; see below
**   heap, may_refer                     with the tail's lock
**   returned                            as head.count
**   cursor     belongs to the collector, of which there is one; good as long as nothing changes
**   closing    written with the tail's lock, so nothing is put once it is seen; it only grows
**   done       atomic; at most tail.count
**
** An end publishes its count after what it counts. The other end reads it, remembers it in 'seen',
** and reads it again only when that no longer suffices: so the ends rarely touch each other's cache
** lines. head.count goes back only when items are put back; a bounded queue may exceed its bound by
** as many.
**
** Waiting. A getter that finds no item parks on the tail's 'waiting', a putter that finds no room
** on the head's. Under the mutex of the bucket the waiter counts itself in 'waiting', and then
** looks once more at the counts. A thread that changes an end publishes its count, and then reads
** 'waiting'. All four steps are sequentially consistent, so at least one of the two sees the
** other.
**
** For each change that thread takes one waiter off 'waiting' and, without a lock, unparks one. A
** waiter that does not park after all, or gives up, takes itself off if 'waiting' is not 0; it does
** so still under the mutex, else it might take off another one that has parked in between.
**
** Invariant: never more are parked than are counted in 'waiting' or about to be unparked. So no
** wake-up is lost; an unpark that finds nobody does no harm. Checked by
** spec/model/queue_waiting.pml.
**
** The collector takes the head's lock while it holds the tail's; nobody does the opposite.
*/
#include "src/shared/queue.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/shared_memory.h"

struct lt_QueueEnd {
  alignas(PLAT_CACHE_LINE) lt_Lock lock;
  lt_SegmentPlace place; /* where the next item goes, or is */
  atomic_uint waiting;   /* parked here, and not yet about to be unparked */
  alignas(PLAT_CACHE_LINE) _Atomic(uint64_t) count;
  uint64_t seen; /* what the count of the other end was */
};

typedef enum Closing { OPEN, NO_PUTS, NOTHING } Closing;

/* Where the collector goes on; only it uses this. */
typedef struct Cursor {
  lt_SegmentPlace place; /* in a chain */
  size_t entry;          /* in a heap */
  size_t reference;      /* of the item's message */
  uint64_t left;         /* items, from this one on */
  uint64_t changes;      /* when it began */
} Cursor;

struct lt_Queue {
  lt_Traced traced;
  lt_QueueOrder order;
  atomic_int closing;
  uint64_t maxsize; /* 0: no bound */
  bool may_refer;   /* an item with references was put, once */
  lt_Heap heap;
  lt_QueueEnd tail;
  lt_QueueEnd head;
  alignas(PLAT_CACHE_LINE) _Atomic(uint64_t) done; /* of the items ever put */
  lt_SpareSegment spare;
  uint64_t returned; /* how many items were ever put back */
  Cursor cursor;
};

static lt_Lock *head_lock(lt_Queue *queue) {
  return queue->order == LT_FIRST_FIRST ? &queue->head.lock : &queue->tail.lock;
}

/* Of an end whose lock the caller holds; or whose value may be old. */
static uint64_t count_at(const lt_QueueEnd *end) {
  return atomic_load_explicit(&end->count, memory_order_relaxed);
}

/* What was put, or taken away, before the count came to this, is seen. */
static uint64_t read_count(const lt_QueueEnd *end) {
  return atomic_load(&end->count);
}

static void publish_count(lt_QueueEnd *end, uint64_t count) {
  atomic_store(&end->count, count);
}

/* Acquire: pairs with the release in lt_queue_shut_down; the last count of the tail is seen. */
static Closing closing(const lt_Queue *queue) {
  return (Closing)atomic_load_explicit(&queue->closing, memory_order_acquire);
}

lt_QueueOrder lt_queue_order(const lt_Queue *queue) {
  return queue->order;
}

uint64_t lt_queue_maxsize(const lt_Queue *queue) {
  return queue->maxsize;
}

/* It is that of one moment: nothing was taken between the two looks at the head. */
uint64_t lt_queue_size(const lt_Queue *queue) {
  uint64_t got, put;
  do {
    got = read_count(&queue->head);
    put = read_count(&queue->tail);
  } while (got != read_count(&queue->head));
  return put - got;
}

/*
** Making and destroying
*/

static void init_end(lt_QueueEnd *end) {
  lt_lock_init(&end->lock);
  atomic_init(&end->count, 0);
  atomic_init(&end->waiting, 0);
}

lt_Queue *lt_queue_new(const lt_Type *type, lt_QueueOrder order, uint64_t maxsize) {
  lt_Queue *queue = lt_memory_alloc_lines(sizeof(*queue));
  if (queue == NULL)
    return NULL;
  memset(queue, 0, sizeof(*queue));
  if (order == LT_FIRST_FIRST &&
      !lt_segments_init(&queue->tail.place, &queue->head.place, &queue->spare)) {
    lt_memory_free(queue, sizeof(*queue));
    return NULL;
  }
  queue->heap.is_stack = order == LT_LAST_FIRST;
  queue->order = order;
  queue->maxsize = maxsize;
  init_end(&queue->tail);
  init_end(&queue->head);
  atomic_init(&queue->closing, OPEN);
  atomic_init(&queue->done, 0);
  lt_traced_init(&queue->traced, type);
  return queue;
}

void lt_queue_destroy(lt_Object *object) {
  lt_Queue *queue = (lt_Queue *)object;
  lt_traced_finish(&queue->traced);
  if (queue->order == LT_FIRST_FIRST)
    lt_segments_free(&queue->head.place, &queue->spare,
                     count_at(&queue->tail) - count_at(&queue->head));
  else
    lt_heap_free(&queue->heap);
  lt_memory_free(queue, sizeof(*queue));
}

/*
** Waking
*/

static intptr_t unpark(void *context, plat_Time since, bool more) {
  (void)context;
  (void)since;
  (void)more;
  return 0;
}

/*
** After so many changes of an end are published, or by somebody who leaves without having taken
** what he may have been woken for, which is still there: another one is woken in his place.
*/
static void queue_wake(lt_QueueEnd *end, uint64_t changes) {
  unsigned waiting = atomic_load(&end->waiting);
  unsigned called;
  do
    called = waiting < changes ? waiting : (unsigned)changes;
  while (called > 0 && !atomic_compare_exchange_weak(&end->waiting, &waiting, waiting - called));
  for (; called > 0; called--)
    lt_unpark_one(&end->waiting, unpark, NULL);
}

/*
** Putting, with the tail's lock
*/

static size_t room_for(lt_Queue *queue, size_t count) {
  if (queue->maxsize == 0)
    return count;
  uint64_t put = count_at(&queue->tail);
  if (put - queue->tail.seen + count > queue->maxsize)
    queue->tail.seen = read_count(&queue->head);
  uint64_t size = put - queue->tail.seen;
  uint64_t room = size < queue->maxsize ? queue->maxsize - size : 0;
  return count < room ? count : (size_t)room;
}

static size_t put_in_heap(lt_Queue *queue, const lt_MessageItem *items, const lt_MessageItem *keys,
                          size_t count, lt_QueueOutcome *outcome) {
  static const lt_MessageItem none = {.kind = LT_SCALAR_NIL};
  for (size_t i = 0; i < count; i++) {
    const lt_MessageItem *key = keys != NULL ? &keys[i] : &none;
    bool fits = lt_heap_fits(&queue->heap, key);
    if (!fits || !lt_heap_reserve(&queue->heap)) {
      *outcome = fits ? LT_QUEUE_NO_MEMORY : LT_QUEUE_UNORDERED;
      return i;
    }
    lt_heap_put(&queue->heap, &items[i], key);
  }
  return count;
}

static size_t put_items(lt_Queue *queue, const lt_MessageItem *items, const lt_MessageItem *keys,
                        size_t count, lt_QueueOutcome *outcome) {
  if (queue->order != LT_FIRST_FIRST)
    return put_in_heap(queue, items, keys, count, outcome);
  size_t put = lt_segments_append(&queue->tail.place, &queue->spare, items, count);
  if (put < count)
    *outcome = LT_QUEUE_NO_MEMORY;
  return put;
}

static void note_references(lt_Queue *queue, const lt_MessageItem *items, size_t count) {
  for (size_t i = 0; i < count && !queue->may_refer; i++)
    queue->may_refer = lt_message_item_references(&items[i]) > 0;
}

lt_QueueOutcome lt_queue_put(lt_Queue *queue, lt_Parker *parker, const lt_MessageItem *items,
                             const lt_MessageItem *keys, size_t count, size_t *put) {
  lt_QueueEnd *tail = &queue->tail;
  lt_QueueOutcome outcome = LT_QUEUE_DONE;
  *put = 0;
  lt_lock_acquire_brief(&tail->lock, parker);
  if (closing(queue) != OPEN) {
    outcome = LT_QUEUE_SHUT_DOWN;
  } else {
    size_t room = room_for(queue, count);
    if (room < count)
      outcome = LT_QUEUE_FULL;
    note_references(queue, items, room);
    *put = put_items(queue, items, keys, room, &outcome);
    publish_count(tail, count_at(tail) + *put);
  }
  lt_lock_release(&tail->lock);
  queue_wake(tail, *put);
  if (outcome == LT_QUEUE_NO_MEMORY || outcome == LT_QUEUE_UNORDERED)
    queue_wake(&queue->head, 1);
  return outcome;
}

/*
** Getting, with the head's lock
*/

static uint64_t available(lt_Queue *queue, size_t wanted) {
  lt_QueueEnd *head = &queue->head;
  uint64_t taken = count_at(head);
  if (head->seen - taken < wanted)
    head->seen = read_count(&queue->tail);
  return head->seen - taken;
}

/* How many items may be got, as far as so many are wanted; if none, why. */
static uint64_t gettable(lt_Queue *queue, size_t wanted, lt_QueueOutcome *outcome) {
  Closing state = closing(queue); /* before the count, so that the count is the last one then */
  uint64_t count = state == NOTHING ? 0 : available(queue, wanted);
  if (count > 0)
    *outcome = LT_QUEUE_DONE;
  else
    *outcome = state == OPEN ? LT_QUEUE_EMPTY : LT_QUEUE_SHUT_DOWN;
  return count;
}

static void take_items(lt_Queue *queue, lt_MessageItem *items, size_t count) {
  lt_segments_take(&queue->head.place, &queue->spare, items, count);
}

/* Those that are taken from a heap have keys, too. */
static void take_entries(lt_Queue *queue, lt_HeapEntry *entries, size_t count) {
  for (size_t i = 0; i < count; i++)
    lt_heap_take(&queue->heap, &entries[i]);
}

static void count_taken(lt_Queue *queue, uint64_t count) {
  publish_count(&queue->head, count_at(&queue->head) + count);
}

lt_QueueOutcome lt_queue_get(lt_Queue *queue, lt_Parker *parker, lt_MessageItem *item) {
  lt_QueueOutcome outcome;
  lt_HeapEntry entry;
  bool is_heap = queue->order != LT_FIRST_FIRST;
  lt_lock_acquire_brief(head_lock(queue), parker);
  if (gettable(queue, 1, &outcome) > 0) {
    if (is_heap) {
      take_entries(queue, &entry, 1);
      lt_heap_settle(&queue->heap, 1);
    } else {
      take_items(queue, item, 1);
    }
    count_taken(queue, 1);
  }
  lt_lock_release(head_lock(queue));
  if (outcome == LT_QUEUE_DONE)
    queue_wake(&queue->head, 1);
  if (is_heap && outcome == LT_QUEUE_DONE) {
    *item = entry.item;
    lt_message_item_free(&entry.key);
  }
  return outcome;
}

/*
** Batches
*/

const lt_MessageItem *lt_queue_batch_item(const lt_QueueBatch *batch, size_t number) {
  return batch->segment != NULL ? &lt_segment_items(batch->segment)[number]
                                : &batch->entries[number].item;
}

static bool allocate_batch(const lt_Queue *queue, size_t capacity, lt_QueueBatch *batch) {
  *batch = (lt_QueueBatch){capacity, NULL, NULL};
  if (queue->order == LT_FIRST_FIRST)
    batch->segment = lt_segment_new(capacity);
  else
    batch->entries = malloc(capacity * sizeof(lt_HeapEntry));
  return batch->segment != NULL || batch->entries != NULL;
}

static void free_room(lt_QueueBatch *batch) {
  lt_segment_free(batch->segment);
  free(batch->entries);
}

lt_QueueOutcome lt_queue_get_batch(lt_Queue *queue, lt_Parker *parker, size_t max,
                                   lt_QueueBatch *batch) {
  lt_QueueOutcome outcome;
  Closing state = closing(queue); /* before the size, so that it is the last one then */
  uint64_t size = lt_queue_size(queue);
  batch->count = 0;
  if (size == 0)
    return state == OPEN ? LT_QUEUE_EMPTY : LT_QUEUE_SHUT_DOWN;
  if (!allocate_batch(queue, size < max ? (size_t)size : max, batch)) {
    batch->count = 0;
    queue_wake(&queue->tail, 1);
    return LT_QUEUE_NO_MEMORY;
  }
  lt_lock_acquire_brief(head_lock(queue), parker);
  uint64_t count = gettable(queue, batch->count, &outcome);
  if (count < batch->count)
    batch->count = (size_t)count;
  if (batch->segment != NULL)
    take_items(queue, lt_segment_items(batch->segment), batch->count);
  else
    take_entries(queue, batch->entries, batch->count);
  count_taken(queue, batch->count);
  lt_lock_release(head_lock(queue));
  queue_wake(&queue->head, batch->count);
  if (batch->count == 0)
    free_room(batch);
  return outcome;
}

void lt_queue_batch_free(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch) {
  if (batch->segment != NULL) {
    for (size_t i = 0; i < batch->count; i++)
      lt_message_item_free(&lt_segment_items(batch->segment)[i]);
  } else {
    for (size_t i = 0; i < batch->count; i++)
      lt_heap_entry_free(&batch->entries[i]);
    lt_lock_acquire_brief(&queue->tail.lock, parker);
    lt_heap_settle(&queue->heap, batch->count);
    lt_lock_release(&queue->tail.lock);
  }
  free_room(batch);
}

static void put_back_items(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but) {
  lt_MessageItem *items = lt_segment_items(batch->segment);
  if (but < batch->count) {
    lt_message_item_free(&items[but]);
    memmove(&items[but], &items[but + 1], (batch->count - but - 1) * sizeof(lt_MessageItem));
    batch->count--;
  }
  lt_lock_acquire_brief(&queue->head.lock, parker);
  lt_segments_put_back(&queue->head.place, batch->segment, batch->count);
  publish_count(&queue->head, count_at(&queue->head) - batch->count);
  queue->returned += batch->count;
  lt_lock_release(&queue->head.lock);
}

static void put_back_entries(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but) {
  size_t taken = batch->count;
  lt_lock_acquire_brief(&queue->tail.lock, parker);
  for (size_t i = taken; i-- > 0;)
    if (i != but)
      lt_heap_put_back(&queue->heap, &batch->entries[i]);
  if (but < taken) {
    lt_heap_settle(&queue->heap, 1);
    batch->count--;
  }
  publish_count(&queue->head, count_at(&queue->head) - batch->count);
  queue->returned += batch->count;
  lt_lock_release(&queue->tail.lock);
  if (but < taken)
    lt_heap_entry_free(&batch->entries[but]);
  free(batch->entries);
}

static void drop_all(lt_Queue *queue, lt_Parker *parker);

void lt_queue_batch_put_back(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but) {
  if (batch->segment != NULL)
    put_back_items(queue, parker, batch, but);
  else
    put_back_entries(queue, parker, batch, but);
  queue_wake(&queue->tail, batch->count);
  if (closing(queue) == NOTHING)
    drop_all(queue, parker);
}

/*
** Tasks. An item that is put is a task until it is said to be done.
*/

static bool are_all_done(const lt_Queue *queue) {
  return atomic_load(&queue->done) == read_count(&queue->tail);
}

/*
** Of those who count the last task, one reads the tail's count as it is then, because its own
** count can't be above that: it wakes those who wait for all.
*/
bool lt_queue_task_done(lt_Queue *queue) {
  uint64_t done = atomic_load(&queue->done);
  do {
    if (done >= read_count(&queue->tail))
      return false;
  } while (!atomic_compare_exchange_weak(&queue->done, &done, done + 1));
  if (are_all_done(queue))
    lt_unpark_all(&queue->done);
  return true;
}

/*
** Shutting down
*/

/* For a queue that nobody gets from any more. */
static void drop_all(lt_Queue *queue, lt_Parker *parker) {
  enum { PORTION = 64 };
  lt_MessageItem items[PORTION];
  lt_HeapEntry entries[PORTION];
  size_t count;
  do {
    lt_lock_acquire_brief(head_lock(queue), parker);
    uint64_t there = available(queue, PORTION);
    count = there < PORTION ? (size_t)there : PORTION;
    if (queue->order == LT_FIRST_FIRST) {
      take_items(queue, items, count);
    } else {
      take_entries(queue, entries, count);
      lt_heap_settle(&queue->heap, count);
    }
    count_taken(queue, count);
    lt_lock_release(head_lock(queue));
    queue_wake(&queue->head, count);
    for (size_t i = 0; i < count; i++) {
      if (queue->order == LT_FIRST_FIRST)
        lt_message_item_free(&items[i]);
      else
        lt_heap_entry_free(&entries[i]);
      lt_queue_task_done(queue);
    }
  } while (count > 0);
}

void lt_queue_shut_down(lt_Queue *queue, lt_Parker *parker, bool immediate) {
  lt_lock_acquire_brief(&queue->tail.lock, parker);
  Closing state = immediate ? NOTHING : NO_PUTS;
  /* Relaxed: written with this lock only. Release: who sees it sees all that was put. */
  if ((int)state > atomic_load_explicit(&queue->closing, memory_order_relaxed))
    atomic_store_explicit(&queue->closing, (int)state, memory_order_release);
  lt_lock_release(&queue->tail.lock);
  if (immediate)
    drop_all(queue, parker);
  lt_unpark_all(&queue->tail.waiting);
  lt_unpark_all(&queue->head.waiting);
}

/*
** Waiting
*/

/* Each look takes a cache line from the one who is awaited. */
#define BETWEEN_LOOKS ((plat_Time)100)

static bool must_wait(const lt_QueueUse *use) {
  const lt_Queue *queue = use->queue;
  uint64_t got = read_count(&queue->head); /* first, so that it is not above what was put */
  uint64_t size = read_count(&queue->tail) - got;
  bool in_vain = use->end == &queue->tail ? size == 0 : size >= queue->maxsize;
  return in_vain && closing(queue) == OPEN;
}

static bool is_worth_a_try(void *context) {
  return !must_wait(context);
}

static bool spin_at_end(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, is_worth_a_try, wait->context);
}

static void leave_waiting(void *context) {
  lt_QueueEnd *end = ((lt_QueueUse *)context)->end;
  unsigned waiting = atomic_load(&end->waiting);
  while (waiting > 0 && !atomic_compare_exchange_weak(&end->waiting, &waiting, waiting - 1))
    ;
}

static bool count_waiter(void *context) {
  const lt_QueueUse *use = context;
  atomic_fetch_add(&use->end->waiting, 1);
  bool waits = must_wait(use);
  if (!waits)
    leave_waiting(context);
  return waits;
}

static lt_Wait wait_at_end(lt_QueueEnd *end, lt_QueueUse *use, lt_Take take, plat_Time deadline) {
  use->end = end;
  return (lt_Wait){.address = &end->waiting,
                   .context = use,
                   .take = take,
                   .spin = spin_at_end,
                   .validate = count_waiter,
                   .leave = leave_waiting,
                   .deadline = deadline,
                   .what = end == &use->queue->tail ? "queue get" : "queue put",
                   .shown = use->queue};
}

lt_Wait lt_queue_wait_to_put(lt_QueueUse *use, lt_Take take, plat_Time deadline) {
  return wait_at_end(&use->queue->head, use, take, deadline);
}

lt_Wait lt_queue_wait_to_get(lt_QueueUse *use, lt_Take take, plat_Time deadline) {
  return wait_at_end(&use->queue->tail, use, take, deadline);
}

/*
** Until all is done
*/

static bool wait_for_done(void *context) {
  return !are_all_done(context);
}

lt_Wait lt_queue_wait_until_done(lt_Queue *queue, plat_Time deadline) {
  return (lt_Wait){.address = &queue->done,
                   .context = queue,
                   .validate = wait_for_done,
                   .deadline = deadline,
                   .what = "queue join",
                   .shown = queue};
}

/*
** For the collector
*/

static void hold_still(lt_Queue *queue) {
  lt_lock_acquire_brief(&queue->tail.lock, NULL);
  lt_lock_acquire_brief(&queue->head.lock, NULL);
}

static void queue_let_go(lt_Queue *queue) {
  lt_lock_release(&queue->head.lock);
  lt_lock_release(&queue->tail.lock);
}

static const lt_MessageItem *item_at(const lt_Queue *queue, Cursor *cursor) {
  return queue->order == LT_FIRST_FIRST ? lt_segments_at(&cursor->place)
                                        : &queue->heap.entries[cursor->entry].item;
}

/* Visits what is left of the item at the cursor, as far as 'steps' last; false: not all. */
static bool visit_item(const lt_MessageItem *item, size_t *reference, size_t *steps, lt_Visit visit,
                       void *context) {
  size_t count = lt_message_item_references(item);
  for (; *reference<count && * steps> 0; ++*reference, --*steps) {
    const lt_Object *object = lt_message_item_reference(item, *reference);
    if (object != NULL)
      visit(context, object);
  }
  return *reference == count;
}

static void visit_items(lt_Queue *queue, lt_Visit visit, void *context) {
  Cursor *cursor = &queue->cursor;
  size_t steps = LT_TRAVERSE_STEP;
  while (cursor->left > 0 && steps > 0) {
    if (!visit_item(item_at(queue, cursor), &cursor->reference, &steps, visit, context))
      return;
    cursor->place.index++;
    cursor->entry++;
    cursor->reference = 0;
    cursor->left--;
    steps -= steps > 0;
  }
}

static uint64_t queue_traverse(lt_Object *object, size_t *position, lt_Visit visit, void *context) {
  lt_Queue *queue = (lt_Queue *)object;
  hold_still(queue);
  uint64_t put = count_at(&queue->tail);
  uint64_t got = count_at(&queue->head);
  uint64_t changes = put + got + 2 * queue->returned; /* got goes back by what is returned */
  if (*position == 0)
    queue->cursor = (Cursor){queue->head.place, 0, 0, queue->may_refer ? put - got : 0, changes};
  if (*position != LT_TRAVERSE_END) {
    if (changes == queue->cursor.changes)
      visit_items(queue, visit, context);
    else
      queue->cursor.left = 0; /* the place may be gone, and the collector stops here */
    *position = queue->cursor.left > 0 ? 1 : LT_TRAVERSE_END;
  }
  queue_let_go(queue);
  return changes;
}

static void queue_clear(lt_Object *object) {
  drop_all((lt_Queue *)object, NULL);
}

const lt_Tracing lt_queue_tracing = {queue_traverse, queue_clear};
