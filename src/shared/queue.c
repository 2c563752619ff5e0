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
** Who only looks, see look.h, counts for nothing there: it sets a bit of 'waiting', in place of being
** counted, and whoever takes that out wakes all lookers, besides the one waiter for each change.
**
** Invariant: never more are parked than are counted in 'waiting' or about to be unparked. So no
** wake-up is lost; an unpark that finds nobody does no harm. Checked by
** spec/model/queue_waiting.pml, and for lookers by lookers.pml.
**
** The collector takes the head's lock while it holds the tail's; nobody does the opposite.
*/
#include "src/shared/queue.h"

#include <string.h>

#include "src/base/shared_memory.h"

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
    got = lt_queue_read_count(&queue->head);
    put = lt_queue_read_count(&queue->tail);
  } while (got != lt_queue_read_count(&queue->head));
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
  if (order == LT_FIRST_FIRST && !lt_segments_init(&queue->tail.place, &queue->head.place)) {
    lt_memory_free_lines(queue, sizeof(*queue));
    return NULL;
  }
  queue->heap.is_stack = order == LT_LAST_FIRST;
  queue->order = order;
  queue->maxsize = maxsize;
  init_end(&queue->tail);
  init_end(&queue->head);
  atomic_init(&queue->closing, LT_QUEUE_OPEN);
  atomic_init(&queue->done, 0);
  lt_traced_init(&queue->traced, type);
  return queue;
}

void lt_queue_destroy(lt_Object *object) {
  lt_Queue *queue = (lt_Queue *)object;
  lt_traced_finish(&queue->traced);
  lt_queue_signal_free(queue);
  if (queue->order == LT_FIRST_FIRST)
    lt_segments_free(&queue->head.place,
                     lt_queue_count_at(&queue->tail) - lt_queue_count_at(&queue->head));
  else
    lt_heap_free(&queue->heap);
  lt_memory_free_lines(queue, sizeof(*queue));
}

/*
** Waking
*/

/* What nobody waits for, looks at or has a descriptor of leaves this at once. */
void lt_queue_wake(lt_Queue *queue, lt_QueueEnd *end, uint64_t changes) {
  unsigned waiting = atomic_load(&end->waiting);
  if (waiting == 0 || changes == 0)
    return;
  unsigned called;
  unsigned next;
  do {
    called = waiting / LT_QUEUE_WAITER;
    called = called < changes ? called : (unsigned)changes;
    next = (waiting - called * LT_QUEUE_WAITER) & ~LT_QUEUE_LOOKED_AT;
  } while (next != waiting && !atomic_compare_exchange_weak(&end->waiting, &waiting, next));
  if (waiting & LT_QUEUE_SIGNALS)
    lt_queue_signal(queue);
  for (; called > 0; called--)
    lt_unpark_one(&end->waiting, NULL, NULL);
  if (waiting & LT_QUEUE_LOOKED_AT)
    lt_look_wake(&end->waiting);
}

/*
** Putting, with the tail's lock
*/

static size_t room_for(lt_Queue *queue, size_t count) {
  if (queue->maxsize == 0)
    return count;
  uint64_t put = lt_queue_count_at(&queue->tail);
  if (put - queue->tail.seen + count > queue->maxsize)
    queue->tail.seen = lt_queue_read_count(&queue->head);
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
  size_t put = lt_segments_append(&queue->tail.place, items, count);
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
  lt_lock_acquire_brief(&tail->lock, parker, "queue", queue);
  if (lt_queue_closing(queue) != LT_QUEUE_OPEN) {
    outcome = LT_QUEUE_SHUT_DOWN;
  } else {
    size_t room = room_for(queue, count);
    if (room < count)
      outcome = LT_QUEUE_FULL;
    note_references(queue, items, room);
    *put = put_items(queue, items, keys, room, &outcome);
    lt_queue_publish_count(tail, lt_queue_count_at(tail) + *put);
  }
  lt_lock_release(&tail->lock);
  lt_queue_wake(queue, tail, *put);
  if (outcome == LT_QUEUE_NO_MEMORY || outcome == LT_QUEUE_UNORDERED)
    lt_queue_wake(queue, &queue->head, 1);
  return outcome;
}

/*
** Getting, with the head's lock
*/

static uint64_t available(lt_Queue *queue, size_t wanted) {
  lt_QueueEnd *head = &queue->head;
  uint64_t taken = lt_queue_count_at(head);
  if (head->seen - taken < wanted)
    head->seen = lt_queue_read_count(&queue->tail);
  return head->seen - taken;
}

uint64_t lt_queue_gettable(lt_Queue *queue, size_t wanted, lt_QueueOutcome *outcome) {
  lt_QueueClosing state =
      lt_queue_closing(queue); /* before the count, so that the count is the last one then */
  uint64_t count = state == LT_QUEUE_CLOSED ? 0 : available(queue, wanted);
  if (count > 0)
    *outcome = LT_QUEUE_DONE;
  else
    *outcome = state == LT_QUEUE_OPEN ? LT_QUEUE_EMPTY : LT_QUEUE_SHUT_DOWN;
  return count;
}

/* The first of those that are there. Only a message may come back, so only that keeps its key. */
static void take_item(lt_Queue *queue, lt_HeapEntry *got) {
  if (queue->order == LT_FIRST_FIRST) {
    lt_segments_take(&queue->head.place, &got->item, 1);
  } else {
    lt_heap_take(&queue->heap, got);
    lt_heap_settle(&queue->heap, 1);
    if (got->item.kind != LT_ITEM_MESSAGE)
      lt_message_item_free(&got->key);
  }
  lt_queue_publish_count(&queue->head, lt_queue_count_at(&queue->head) + 1);
}

lt_QueueOutcome lt_queue_get(lt_Queue *queue, lt_Parker *parker, lt_HeapEntry *got) {
  lt_QueueOutcome outcome;
  lt_lock_acquire_brief(lt_queue_head_lock(queue), parker, "queue", queue);
  if (lt_queue_gettable(queue, 1, &outcome) > 0)
    take_item(queue, got);
  lt_lock_release(lt_queue_head_lock(queue));
  if (outcome == LT_QUEUE_DONE)
    lt_queue_wake(queue, &queue->head, 1);
  return outcome;
}

/*
** Tasks. An item that is put is a task until it is said to be done.
*/

static bool are_all_done(const lt_Queue *queue) {
  return atomic_load(&queue->done) == lt_queue_read_count(&queue->tail);
}

/*
** Of those who count the last task, one reads the tail's count as it is then, because its own
** count can't be above that: it wakes those who wait for all.
*/
bool lt_queue_task_done(lt_Queue *queue) {
  uint64_t done = atomic_load(&queue->done);
  do {
    if (done >= lt_queue_read_count(&queue->tail))
      return false;
  } while (!atomic_compare_exchange_weak(&queue->done, &done, done + 1));
  if (are_all_done(queue))
    lt_unpark_all(&queue->done);
  return true;
}

/* That of one moment: what is done is counted before what was put, and is never above it. */
uint64_t lt_queue_unfinished(const lt_Queue *queue) {
  uint64_t done = atomic_load(&queue->done);
  return lt_queue_read_count(&queue->tail) - done;
}

/*
** Shutting down
*/

bool lt_queue_is_shut_down(const lt_Queue *queue) {
  return lt_queue_closing(queue) != LT_QUEUE_OPEN;
}

void lt_queue_drop_all(lt_Queue *queue, lt_Parker *parker) {
  lt_HeapEntry entry = {.number = 0};
  bool got;
  do {
    lt_lock_acquire_brief(lt_queue_head_lock(queue), parker, "queue", queue);
    got = available(queue, 1) > 0;
    if (got)
      take_item(queue, &entry);
    lt_lock_release(lt_queue_head_lock(queue));
    if (got) {
      lt_queue_wake(queue, &queue->head, 1);
      lt_queue_free_got(&entry);
      lt_queue_task_done(queue);
    }
  } while (got);
}

void lt_queue_shut_down(lt_Queue *queue, lt_Parker *parker, bool immediate) {
  lt_lock_acquire_brief(&queue->tail.lock, parker, "queue", queue);
  lt_QueueClosing state = immediate ? LT_QUEUE_CLOSED : LT_QUEUE_NO_PUTS;
  /* Relaxed: written with this lock only. Release: who sees it sees all that was put. */
  if ((int)state > atomic_load_explicit(&queue->closing, memory_order_relaxed))
    atomic_store_explicit(&queue->closing, (int)state, memory_order_release);
  lt_lock_release(&queue->tail.lock);
  if (immediate)
    lt_queue_drop_all(queue, parker);
  lt_unpark_all(&queue->tail.waiting);
  lt_unpark_all(&queue->head.waiting);
  if (atomic_load(&queue->tail.waiting) & LT_QUEUE_SIGNALS)
    lt_queue_signal(queue);
  lt_look_wake(&queue->tail.waiting);
}

/*
** Waiting
*/

/* Each look takes a cache line from the one who is awaited. */
#define BETWEEN_LOOKS ((plat_Time)100)

static bool must_wait(const lt_Queue *queue, const lt_QueueEnd *end) {
  uint64_t got =
      lt_queue_read_count(&queue->head); /* first, so that it is not above what was put */
  uint64_t size = lt_queue_read_count(&queue->tail) - got;
  bool in_vain = end == &queue->tail ? size == 0 : size >= queue->maxsize;
  return in_vain && lt_queue_closing(queue) == LT_QUEUE_OPEN;
}

bool lt_queue_is_readable(const lt_Queue *queue) {
  return !must_wait(queue, &queue->tail);
}

static bool is_worth_a_try(void *context) {
  const lt_QueueUse *use = context;
  return !must_wait(use->queue, use->end);
}

static bool spin_at_end(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, is_worth_a_try, wait->context);
}

static void leave_waiting(void *context) {
  lt_QueueEnd *end = ((lt_QueueUse *)context)->end;
  unsigned waiting = atomic_load(&end->waiting);
  while (waiting >= LT_QUEUE_WAITER &&
         !atomic_compare_exchange_weak(&end->waiting, &waiting, waiting - LT_QUEUE_WAITER))
    ;
}

static bool count_waiter(void *context) {
  const lt_QueueUse *use = context;
  atomic_fetch_add(&use->end->waiting, LT_QUEUE_WAITER);
  bool waits = must_wait(use->queue, use->end);
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
** Looking
*/

static bool queue_is_seen(const lt_Sight *sight) {
  return lt_queue_is_readable(sight->thing);
}

static bool announce_queue_looker(const lt_Sight *sight) {
  lt_Queue *queue = sight->thing;
  atomic_fetch_or(&queue->tail.waiting, LT_QUEUE_LOOKED_AT);
  return !lt_queue_is_readable(queue);
}

lt_Sight lt_queue_sight(lt_Queue *queue) {
  return (lt_Sight){.address = &queue->tail.waiting,
                    .thing = queue,
                    .is_ready = queue_is_seen,
                    .announce = announce_queue_looker};
}
