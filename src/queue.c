/*
** A queue has two ends: items are put at the tail and taken at the head. Each end has a mutex, so
** that those who put and those who get work side by side. An end counts all that ever passed it;
** what lies in the queue is the difference. Where the order is not that of coming, the items are
** in a heap and the tail's mutex is for both ends.
**
** Shared state:
**   tail.place, tail.seen, tail.waiting, tail.count   written under the tail's mutex
**   head.place, head.seen, head.count                 written under the head's (a heap: the tail's)
**   head.waiting                                      the same
**   heap, may_refer                                   under the tail's mutex
**   returned                                          as head.count
**   cursor     of the collector, of which there is one; good as long as nothing changes
**   closing    written under the tail's mutex, so nothing is put once it is seen; it only grows
**   done       atomic; at most tail.count
**   spinners   atomic guesses
**
** A count is published with release after what it counts, and read with acquire by the other end,
** which remembers it in 'seen' and reads it again only when that no longer suffices: so the
** ends rarely touch each other's cache lines. head.count only goes back when items are put back,
** which lets a bounded queue exceed its bound by as many.
**
** Waiting: who finds nothing to get parks on the tail, who finds no room parks on the head. Under
** the mutex of that end it makes sure that it is still so, and counts itself in 'waiting'; a thread
** that changes that end does so under the same mutex, and so either comes before, and is seen, or
** sees the count. For each change it takes one off 'waiting' and, without the mutex, unparks one.
** A waiter that gives up takes itself off, if the count is not 0. Hence there are never more parked
** than are counted in 'waiting' and about to be unparked, and no wake-up is lost; an unpark that
** finds nobody does no harm.
**
** A mutex may be taken under that of a bucket (by a validation), not the other way round; the one
** of the head under that of the tail, by the collector.
*/
#include "src/queue.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

typedef struct End {
  alignas(PLAT_CACHE_LINE) plat_Mutex mutex;
  lt_Place place;   /* where the next item goes, or is */
  uint32_t waiting; /* parked here, and not yet about to be unparked */
  alignas(PLAT_CACHE_LINE) _Atomic(uint64_t) count;
  uint64_t seen; /* what the count of the other end was */
} End;

/* How those who wait spin before they park; guesses that learn. */
typedef struct Spinner {
  atomic_int pauses;     /* before a look */
  atomic_int skips;      /* how many waits to park at once in, when spinning is in vain */
  atomic_int skips_left; /* of them */
} Spinner;

#define PAUSES_IN_ALL 1024 /* some 10 to 50 microseconds, as long as waking a thread may take */
#define PAUSES_LEAST 8
#define PAUSES_MOST 512
#define SKIPS_LEAST 16
#define SKIPS_MOST 1024

typedef enum Closing { OPEN, NO_PUTS, NOTHING } Closing;

/* Where the collector goes on; only it uses this. */
typedef struct Cursor {
  lt_Place place;   /* in a chain */
  size_t entry;     /* in a heap */
  size_t reference; /* of the item's message */
  uint64_t left;    /* items, from this one on */
  uint64_t changes; /* when it began */
} Cursor;

struct lt_Queue {
  lt_Traced traced;
  lt_Order order;
  atomic_int closing;
  uint64_t maxsize; /* 0: no bound */
  lt_Heap heap;
  End tail;
  End head;
  alignas(PLAT_CACHE_LINE) _Atomic(uint64_t) done; /* of the items ever put */
  lt_Spare spare;
  bool may_refer;    /* an item with references was put, once */
  uint64_t returned; /* how many items were ever put back */
  Cursor cursor;
  Spinner get_spinner;
  Spinner put_spinner;
};

static plat_Mutex *head_mutex(lt_Queue *queue) {
  return queue->order == LT_FIRST_FIRST ? &queue->head.mutex : &queue->tail.mutex;
}

/* Of an end whose mutex the caller holds; or whose value may be old. */
static uint64_t count_at(const End *end) {
  return atomic_load_explicit(&end->count, memory_order_relaxed);
}

/* Acquire: what was put, or taken away, before the count came to this, is seen. */
static uint64_t read_count(const End *end) {
  return atomic_load_explicit(&end->count, memory_order_acquire);
}

/* Release: pairs with read_count. */
static void publish_count(End *end, uint64_t count) {
  atomic_store_explicit(&end->count, count, memory_order_release);
}

/* Acquire: pairs with the release in lt_queue_shut_down; the last count of the tail is seen. */
static Closing closing(const lt_Queue *queue) {
  return (Closing)atomic_load_explicit(&queue->closing, memory_order_acquire);
}

lt_Order lt_queue_order(const lt_Queue *queue) {
  return queue->order;
}

uint64_t lt_queue_maxsize(const lt_Queue *queue) {
  return queue->maxsize;
}

/* With the head held still it is the size at one moment. */
uint64_t lt_queue_size(lt_Queue *queue) {
  plat_mutex_lock(head_mutex(queue));
  uint64_t size = read_count(&queue->tail) - count_at(&queue->head);
  plat_mutex_unlock(head_mutex(queue));
  return size;
}

/*
** Making and destroying
*/

static void init_end(End *end) {
  plat_mutex_init(&end->mutex);
  atomic_init(&end->count, 0);
}

static void init_spinner(Spinner *spinner) {
  atomic_init(&spinner->pauses, PAUSES_LEAST);
  atomic_init(&spinner->skips, 0);
  atomic_init(&spinner->skips_left, 0);
}

lt_Queue *lt_queue_new(const lt_Type *type, lt_Order order, uint64_t maxsize) {
  lt_Queue *queue = aligned_alloc(PLAT_CACHE_LINE, sizeof(*queue));
  if (queue == NULL)
    return NULL;
  memset(queue, 0, sizeof(*queue));
  if (order == LT_FIRST_FIRST &&
      !lt_chain_init(&queue->tail.place, &queue->head.place, &queue->spare)) {
    free(queue);
    return NULL;
  }
  queue->heap.is_stack = order == LT_LAST_FIRST;
  queue->order = order;
  queue->maxsize = maxsize;
  init_end(&queue->tail);
  init_end(&queue->head);
  atomic_init(&queue->closing, OPEN);
  atomic_init(&queue->done, 0);
  init_spinner(&queue->get_spinner);
  init_spinner(&queue->put_spinner);
  lt_traced_init(&queue->traced, type);
  return queue;
}

void lt_queue_destroy(lt_Object *object) {
  lt_Queue *queue = (lt_Queue *)object;
  lt_traced_finish(&queue->traced);
  if (queue->order == LT_FIRST_FIRST)
    lt_chain_free(&queue->head.place, &queue->spare,
                  count_at(&queue->tail) - count_at(&queue->head));
  else
    lt_heap_free(&queue->heap);
  plat_mutex_destroy(&queue->tail.mutex);
  plat_mutex_destroy(&queue->head.mutex);
  free(queue);
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

/* Under the end's mutex: takes off as many waiters as there were changes. */
static uint32_t call_waiters(End *end, uint64_t changes) {
  uint32_t called = end->waiting < changes ? end->waiting : (uint32_t)changes;
  end->waiting -= called;
  return called;
}

/* Then, without it. */
static void wake(End *end, uint32_t called) {
  for (; called > 0; called--)
    lt_unpark_one(end, unpark, NULL);
}

/*
** Putting, under the tail's mutex
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

static size_t put_in_heap(lt_Queue *queue, const lt_Item *items, const lt_Item *keys, size_t count,
                          lt_Outcome *outcome) {
  static const lt_Item none = {.kind = LT_ITEM_NIL};
  for (size_t i = 0; i < count; i++) {
    const lt_Item *key = keys != NULL ? &keys[i] : &none;
    bool fits = lt_heap_fits(&queue->heap, key);
    if (!fits || !lt_heap_reserve(&queue->heap)) {
      *outcome = fits ? LT_QUEUE_NO_MEMORY : LT_QUEUE_UNORDERED;
      return i;
    }
    lt_heap_put(&queue->heap, &items[i], key);
  }
  return count;
}

static size_t put_items(lt_Queue *queue, const lt_Item *items, const lt_Item *keys, size_t count,
                        lt_Outcome *outcome) {
  if (queue->order != LT_FIRST_FIRST)
    return put_in_heap(queue, items, keys, count, outcome);
  size_t put = lt_chain_append(&queue->tail.place, &queue->spare, items, count);
  if (put < count)
    *outcome = LT_QUEUE_NO_MEMORY;
  return put;
}

static void note_references(lt_Queue *queue, const lt_Item *items, size_t count) {
  for (size_t i = 0; i < count && !queue->may_refer; i++)
    queue->may_refer = lt_item_references(&items[i]) > 0;
}

lt_Outcome lt_queue_put(lt_Queue *queue, const lt_Item *items, const lt_Item *keys, size_t count,
                        size_t *put) {
  End *tail = &queue->tail;
  lt_Outcome outcome = LT_QUEUE_DONE;
  *put = 0;
  plat_mutex_lock(&tail->mutex);
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
  uint32_t called = call_waiters(tail, *put);
  plat_mutex_unlock(&tail->mutex);
  wake(tail, called);
  return outcome;
}

/*
** Getting, under the head's mutex
*/

static uint64_t available(lt_Queue *queue, size_t wanted) {
  End *head = &queue->head;
  uint64_t taken = count_at(head);
  if (head->seen - taken < wanted)
    head->seen = read_count(&queue->tail);
  return head->seen - taken;
}

/* How many items may be got, as far as so many are wanted; if none, why. */
static uint64_t gettable(lt_Queue *queue, size_t wanted, lt_Outcome *outcome) {
  Closing state = closing(queue); /* before the count, so that the count is the last one then */
  uint64_t count = state == NOTHING ? 0 : available(queue, wanted);
  if (count > 0)
    *outcome = LT_QUEUE_DONE;
  else
    *outcome = state == OPEN ? LT_QUEUE_EMPTY : LT_QUEUE_SHUT_DOWN;
  return count;
}

static void take_items(lt_Queue *queue, lt_Item *items, size_t count) {
  lt_chain_take(&queue->head.place, &queue->spare, items, count);
}

/* Those that are taken from a heap have keys, too. */
static void take_entries(lt_Queue *queue, lt_HeapEntry *entries, size_t count) {
  for (size_t i = 0; i < count; i++)
    lt_heap_take(&queue->heap, &entries[i]);
}

static uint32_t count_taken(lt_Queue *queue, uint64_t count) {
  publish_count(&queue->head, count_at(&queue->head) + count);
  return call_waiters(&queue->head, count);
}

lt_Outcome lt_queue_get(lt_Queue *queue, lt_Item *item) {
  lt_Outcome outcome;
  lt_HeapEntry entry;
  uint32_t called = 0;
  bool is_heap = queue->order != LT_FIRST_FIRST;
  plat_mutex_lock(head_mutex(queue));
  if (gettable(queue, 1, &outcome) > 0) {
    if (is_heap) {
      take_entries(queue, &entry, 1);
      lt_heap_settle(&queue->heap, 1);
    } else {
      take_items(queue, item, 1);
    }
    called = count_taken(queue, 1);
  }
  plat_mutex_unlock(head_mutex(queue));
  wake(&queue->head, called);
  if (is_heap && outcome == LT_QUEUE_DONE) {
    *item = entry.item;
    lt_item_free(&entry.key);
  }
  return outcome;
}

/*
** Batches
*/

const lt_Item *lt_batch_item(const lt_Batch *batch, size_t number) {
  return batch->segment != NULL ? &lt_segment_items(batch->segment)[number]
                                : &batch->entries[number].item;
}

static bool allocate_batch(lt_Queue *queue, size_t max, lt_Batch *batch) {
  uint64_t size = lt_queue_size(queue);
  size_t capacity = size == 0 ? 1 : size < max ? (size_t)size : max;
  *batch = (lt_Batch){capacity, NULL, NULL};
  if (queue->order == LT_FIRST_FIRST)
    batch->segment = lt_segment_new(capacity);
  else
    batch->entries = malloc(capacity * sizeof(lt_HeapEntry));
  return batch->segment != NULL || batch->entries != NULL;
}

static void free_room(lt_Batch *batch) {
  free(batch->segment);
  free(batch->entries);
}

lt_Outcome lt_queue_get_batch(lt_Queue *queue, size_t max, lt_Batch *batch) {
  lt_Outcome outcome;
  uint32_t called = 0;
  if (!allocate_batch(queue, max, batch)) {
    batch->count = 0;
    return LT_QUEUE_NO_MEMORY;
  }
  plat_mutex_lock(head_mutex(queue));
  uint64_t count = gettable(queue, batch->count, &outcome);
  if (count < batch->count)
    batch->count = (size_t)count;
  if (batch->segment != NULL)
    take_items(queue, lt_segment_items(batch->segment), batch->count);
  else
    take_entries(queue, batch->entries, batch->count);
  if (batch->count > 0)
    called = count_taken(queue, batch->count);
  plat_mutex_unlock(head_mutex(queue));
  wake(&queue->head, called);
  if (batch->count == 0)
    free_room(batch);
  return outcome;
}

void lt_batch_free(lt_Queue *queue, lt_Batch *batch) {
  if (batch->segment != NULL) {
    for (size_t i = 0; i < batch->count; i++)
      lt_item_free(&lt_segment_items(batch->segment)[i]);
  } else {
    for (size_t i = 0; i < batch->count; i++)
      lt_heap_entry_free(&batch->entries[i]);
    plat_mutex_lock(&queue->tail.mutex);
    lt_heap_settle(&queue->heap, batch->count);
    plat_mutex_unlock(&queue->tail.mutex);
  }
  free_room(batch);
}

static void put_back_items(lt_Queue *queue, lt_Batch *batch, size_t but) {
  lt_Item *items = lt_segment_items(batch->segment);
  if (but < batch->count) {
    lt_item_free(&items[but]);
    memmove(&items[but], &items[but + 1], (batch->count - but - 1) * sizeof(lt_Item));
    batch->count--;
  }
  plat_mutex_lock(&queue->head.mutex);
  lt_chain_put_back(&queue->head.place, batch->segment, batch->count);
  publish_count(&queue->head, count_at(&queue->head) - batch->count);
  queue->returned += batch->count;
  plat_mutex_unlock(&queue->head.mutex);
}

static void put_back_entries(lt_Queue *queue, lt_Batch *batch, size_t but) {
  size_t taken = batch->count;
  plat_mutex_lock(&queue->tail.mutex);
  for (size_t i = taken; i-- > 0;)
    if (i != but)
      lt_heap_put_back(&queue->heap, &batch->entries[i]);
  if (but < taken) {
    lt_heap_settle(&queue->heap, 1);
    batch->count--;
  }
  publish_count(&queue->head, count_at(&queue->head) - batch->count);
  queue->returned += batch->count;
  plat_mutex_unlock(&queue->tail.mutex);
  if (but < taken)
    lt_heap_entry_free(&batch->entries[but]);
  free(batch->entries);
}

static void drop_all(lt_Queue *queue);

void lt_batch_put_back(lt_Queue *queue, lt_Batch *batch, size_t but) {
  if (batch->segment != NULL)
    put_back_items(queue, batch, but);
  else
    put_back_entries(queue, batch, but);
  plat_mutex_lock(&queue->tail.mutex);
  uint32_t called = call_waiters(&queue->tail, batch->count);
  plat_mutex_unlock(&queue->tail.mutex);
  wake(&queue->tail, called);
  if (closing(queue) == NOTHING)
    drop_all(queue);
}

/*
** Tasks. An item that is put is a task until it is said to be done.
*/

bool lt_queue_all_done(lt_Queue *queue) {
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
  if (lt_queue_all_done(queue))
    lt_unpark_all(&queue->done);
  return true;
}

/*
** Shutting down
*/

/* For a queue that nobody gets from any more. */
static void drop_all(lt_Queue *queue) {
  enum { PORTION = 64 };
  lt_Item items[PORTION];
  lt_HeapEntry entries[PORTION];
  size_t count;
  do {
    plat_mutex_lock(head_mutex(queue));
    uint64_t there = available(queue, PORTION);
    count = there < PORTION ? (size_t)there : PORTION;
    if (queue->order == LT_FIRST_FIRST) {
      take_items(queue, items, count);
    } else {
      take_entries(queue, entries, count);
      lt_heap_settle(&queue->heap, count);
    }
    count_taken(queue, count);
    plat_mutex_unlock(head_mutex(queue));
    for (size_t i = 0; i < count; i++) {
      if (queue->order == LT_FIRST_FIRST)
        lt_item_free(&items[i]);
      else
        lt_heap_entry_free(&entries[i]);
      lt_queue_task_done(queue);
    }
  } while (count > 0);
}

void lt_queue_shut_down(lt_Queue *queue, bool immediate) {
  plat_mutex_lock(&queue->tail.mutex);
  Closing state = immediate ? NOTHING : NO_PUTS;
  /* Relaxed: written under this mutex only. Release: who sees it sees all that was put. */
  if ((int)state > atomic_load_explicit(&queue->closing, memory_order_relaxed))
    atomic_store_explicit(&queue->closing, (int)state, memory_order_release);
  plat_mutex_unlock(&queue->tail.mutex);
  if (immediate)
    drop_all(queue);
  lt_unpark_all(&queue->tail);
  lt_unpark_all(&queue->head);
}

/*
** Waiting
*/

/* How much there is to get, or to put into; 1 where a wait would be in vain. */
typedef uint64_t (*Chances)(const lt_Queue *queue);

static uint64_t items_there(const lt_Queue *queue) {
  uint64_t got = read_count(&queue->head); /* first, so that it is not above what was put */
  uint64_t items = read_count(&queue->tail) - got;
  return items == 0 && closing(queue) != OPEN ? 1 : items;
}

static uint64_t room_there(const lt_Queue *queue) {
  uint64_t got = read_count(&queue->head);
  uint64_t size = read_count(&queue->tail) - got;
  uint64_t room = size < queue->maxsize ? queue->maxsize - size : 0;
  return room == 0 && closing(queue) != OPEN ? 1 : room;
}

/*
** Others often come soon, and parking costs more than a moment. While one spins it does not look at
** once, nor often: each look takes a cache line from the other thread. Where more than one item
** has come meanwhile, they come in a stream, and the next wait may be longer.
**
** Where spinning was in vain, perhaps because the other thread needs this very processor, it is
** left out, for twice as many waits each time.
**
** Relaxed everywhere: these are guesses.
*/
static bool is_alone(void) {
  static atomic_int processors;
  /* Relaxed: whoever finds 0 asks for itself. */
  int count = atomic_load_explicit(&processors, memory_order_relaxed);
  if (count == 0) {
    count = (int)plat_cpu_count();
    atomic_store_explicit(&processors, count, memory_order_relaxed);
  }
  return count == 1;
}

static int guess(atomic_int *variable) {
  return atomic_load_explicit(variable, memory_order_relaxed);
}

static void learn(atomic_int *variable, int value, int least, int most) {
  value = value < least ? least : value > most ? most : value;
  if (value != guess(variable))
    atomic_store_explicit(variable, value, memory_order_relaxed);
}

static bool spin_rounds(lt_Queue *queue, Spinner *spinner, Chances chances) {
  int pauses = guess(&spinner->pauses);
  for (int spent = 0; spent < PAUSES_IN_ALL; spent += pauses) {
    for (int i = 0; i < pauses; i++)
      plat_relax();
    uint64_t count = chances(queue);
    if (count > 0) {
      learn(&spinner->pauses, count > 1 ? pauses * 2 : pauses / 2, PAUSES_LEAST, PAUSES_MOST);
      return true;
    }
  }
  return false;
}

/* Returns whether the wait is over. */
static bool spin(lt_Queue *queue, Spinner *spinner, Chances chances) {
  int left = guess(&spinner->skips_left);
  if (is_alone())
    return false;
  if (left > 0) {
    learn(&spinner->skips_left, left - 1, 0, SKIPS_MOST);
    return false;
  }
  bool over = spin_rounds(queue, spinner, chances);
  int skips = over ? 0 : guess(&spinner->skips) * 2;
  learn(&spinner->skips, skips, SKIPS_LEAST, SKIPS_MOST);
  learn(&spinner->skips_left, skips, 0, SKIPS_MOST);
  return over;
}

static bool count_waiter(lt_Queue *queue, End *end, plat_Mutex *mutex, Chances chances) {
  plat_mutex_lock(mutex);
  bool must_wait = chances(queue) == 0;
  if (must_wait)
    end->waiting++;
  plat_mutex_unlock(mutex);
  return must_wait;
}

static void give_up(End *end, plat_Mutex *mutex) {
  plat_mutex_lock(mutex);
  if (end->waiting > 0)
    end->waiting--;
  plat_mutex_unlock(mutex);
}

static bool wait_for_item(void *context) {
  lt_Queue *queue = context;
  return count_waiter(queue, &queue->tail, &queue->tail.mutex, items_there);
}

static bool wait_for_room(void *context) {
  lt_Queue *queue = context;
  return count_waiter(queue, &queue->head, head_mutex(queue), room_there);
}

static bool wait_for_done(void *context) {
  return !lt_queue_all_done(context);
}

lt_Parked lt_queue_await_item(lt_Queue *queue, lt_Parker *parker, plat_Time deadline) {
  const lt_Wait wait = {.address = &queue->tail,
                        .validate = wait_for_item,
                        .context = queue,
                        .deadline = deadline,
                        .what = "queue get",
                        .shown = queue};
  if (spin(queue, &queue->get_spinner, items_there))
    return LT_CHANGED;
  lt_Parked parked = lt_park(parker, &wait, NULL);
  if (parked != LT_UNPARKED && parked != LT_CHANGED)
    give_up(&queue->tail, &queue->tail.mutex);
  return parked;
}

lt_Parked lt_queue_await_room(lt_Queue *queue, lt_Parker *parker, plat_Time deadline) {
  const lt_Wait wait = {.address = &queue->head,
                        .validate = wait_for_room,
                        .context = queue,
                        .deadline = deadline,
                        .what = "queue put",
                        .shown = queue};
  if (spin(queue, &queue->put_spinner, room_there))
    return LT_CHANGED;
  lt_Parked parked = lt_park(parker, &wait, NULL);
  if (parked != LT_UNPARKED && parked != LT_CHANGED)
    give_up(&queue->head, head_mutex(queue));
  return parked;
}

lt_Parked lt_queue_await_done(lt_Queue *queue, lt_Parker *parker, plat_Time deadline) {
  const lt_Wait wait = {.address = &queue->done,
                        .validate = wait_for_done,
                        .context = queue,
                        .deadline = deadline,
                        .what = "queue join",
                        .shown = queue};
  return lt_park(parker, &wait, NULL);
}

/*
** For the collector
*/

static void hold_still(lt_Queue *queue) {
  plat_mutex_lock(&queue->tail.mutex);
  plat_mutex_lock(&queue->head.mutex);
}

static void let_go(lt_Queue *queue) {
  plat_mutex_unlock(&queue->head.mutex);
  plat_mutex_unlock(&queue->tail.mutex);
}

static const lt_Item *item_at(const lt_Queue *queue, Cursor *cursor) {
  return queue->order == LT_FIRST_FIRST ? lt_chain_at(&cursor->place)
                                        : &queue->heap.entries[cursor->entry].item;
}

/* Visits what is left of the item at the cursor, as far as 'steps' last; false: not all. */
static bool visit_item(const lt_Item *item, size_t *reference, size_t *steps, lt_Visit visit,
                       void *context) {
  size_t count = lt_item_references(item);
  for (; *reference<count && * steps> 0; ++*reference, --*steps) {
    const lt_Object *object = lt_item_reference(item, *reference);
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

static uint64_t traverse(lt_Object *object, size_t *position, lt_Visit visit, void *context) {
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
  let_go(queue);
  return changes;
}

static void clear(lt_Object *object) {
  drop_all((lt_Queue *)object);
}

const lt_Tracing lt_queue_tracing = {traverse, clear};
