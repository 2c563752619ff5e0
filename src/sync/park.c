/*
** Invariant: nobody is parked while there is something to take for him, nor while an interrupt asks
** him that his wait is not deaf to. Checked by spec/model/park.pml.
**
** Shared state: the buckets. Under a bucket's mutex are its queue and every waiter in it. The one
** who unparks a waiter writes 'woken', 'handed' and 'waker' under the mutex; from 'woken' on they
** are the waiter's. 'blocked' of a parker is written under the mutex too, but anybody reads it.
**
** While such a mutex is held, no other one of them is taken, and nothing of Lua is called. A
** 'validate' may take a guard within it.
*/
#include "src/sync/park.h"

#include <stdlib.h>

#include "src/base/probe.h"

typedef struct Waiter {
  struct Waiter *next;
  struct Waiter *previous;
  lt_Parker *parker;
  const void *address;
  plat_Time since;
  intptr_t handed;
  int waker;    /* the processor of who has woken it */
  bool counted; /* in its parker's 'blocked', until it leaves the queue */
  atomic_bool woken;
} Waiter;

typedef struct Bucket {
  plat_Mutex mutex;
  Waiter *first;
  Waiter *last;
} Bucket;

#define BUCKETS 256

#define EMPTY_BUCKET                                                                               \
  { PLAT_MUTEX_INIT, NULL, NULL }
#define EMPTY_4 EMPTY_BUCKET, EMPTY_BUCKET, EMPTY_BUCKET, EMPTY_BUCKET
#define EMPTY_16 EMPTY_4, EMPTY_4, EMPTY_4, EMPTY_4
#define EMPTY_64 EMPTY_16, EMPTY_16, EMPTY_16, EMPTY_16

static Bucket buckets[BUCKETS] = {EMPTY_64, EMPTY_64, EMPTY_64, EMPTY_64};

static Bucket *bucket_of(const void *address) {
  uint64_t bits = (uint64_t)(uintptr_t)address;
  return &buckets[(bits * UINT64_C(0x9E3779B97F4A7C15)) >> 56];
}

/*
** In the order in which they began to wait. One who tried in vain and comes back was the first;
** all others belong near the end.
*/
static void enqueue(Bucket *bucket, Waiter *waiter) {
  Waiter *previous = bucket->last;
  if (bucket->first != NULL && waiter->since < bucket->first->since)
    previous = NULL;
  while (previous != NULL && waiter->since < previous->since)
    previous = previous->previous;
  waiter->previous = previous;
  waiter->next = previous != NULL ? previous->next : bucket->first;
  *(previous != NULL ? &previous->next : &bucket->first) = waiter;
  *(waiter->next != NULL ? &waiter->next->previous : &bucket->last) = waiter;
  if (waiter->counted)
    atomic_fetch_add(&waiter->parker->blocked, 1);
}

static void dequeue(Bucket *bucket, Waiter *waiter) {
  if (waiter->previous != NULL)
    waiter->previous->next = waiter->next;
  else
    bucket->first = waiter->next;
  if (waiter->next != NULL)
    waiter->next->previous = waiter->previous;
  else
    bucket->last = waiter->previous;
  if (waiter->counted)
    atomic_fetch_add(&waiter->parker->blocked, 1);
}

static Waiter *next_on(Waiter *waiter, const void *address) {
  while (waiter != NULL && waiter->address != address)
    waiter = waiter->next;
  return waiter;
}

/*
** Parkers
*/

lt_Parker *lt_parker_new(void) {
  lt_Parker *parker = malloc(sizeof(*parker));
  if (parker == NULL)
    return NULL;
  if (plat_parker_init(&parker->native) != 0) {
    free(parker);
    return NULL;
  }
  atomic_init(&parker->references, 1);
  atomic_init(&parker->urgency, LT_CALM);
  atomic_init(&parker->asked, false);
  atomic_init(&parker->blocked, 0);
  atomic_init(&parker->waiting, NULL);
  atomic_init(&parker->arrow, 0);
  parker->attend = NULL;
  parker->attendant = NULL;
  parker->apart = false;
  parker->stays = 0;
  parker->stays_left = 0;
  return parker;
}

static void retain(lt_Parker *parker) {
  /* Relaxed: who retains already has a reference to go by. */
  atomic_fetch_add_explicit(&parker->references, 1, memory_order_relaxed);
}

void lt_parker_release(lt_Parker *parker) {
  /* Acquire and release: the last one sees all that the others did before it frees. */
  if (atomic_fetch_sub_explicit(&parker->references, 1, memory_order_acq_rel) == 1) {
    plat_parker_destroy(&parker->native);
    free(parker);
  }
}

int lt_parker_enable_polling(lt_Parker *parker) {
  return plat_parker_enable_polling(&parker->native);
}

void lt_parker_end_polling(lt_Parker *parker) {
  plat_event_close(&parker->native.wake);
}

void lt_parker_interrupt(lt_Parker *parker, lt_Urgency urgency) {
  int current = atomic_load(&parker->urgency);
  while (current < (int)urgency &&
         !atomic_compare_exchange_weak(&parker->urgency, &current, (int)urgency))
    ;
  lt_probe_wakes(parker);
  plat_unpark(&parker->native);
}

void lt_parker_ask(lt_Parker *parker) {
  atomic_store(&parker->asked, true);
  plat_unpark(&parker->native);
}

void lt_parker_wake(lt_Parker *parker) {
  lt_probe_wakes(parker);
  plat_unpark(&parker->native);
}

unsigned lt_parker_blocked(const lt_Parker *parker) {
  return atomic_load(&parker->blocked);
}

/*
** Parking
*/

/* True when the waiter was still queued; false when somebody has woken it meanwhile. */
static bool give_up(Bucket *bucket, Waiter *waiter, const lt_Wait *wait) {
  plat_mutex_lock(&bucket->mutex);
  /* Relaxed: 'woken' is written under this mutex. */
  bool queued = !atomic_load_explicit(&waiter->woken, memory_order_relaxed);
  if (queued) {
    dequeue(bucket, waiter);
    if (wait->leave != NULL)
      wait->leave(wait->context);
  }
  plat_mutex_unlock(&bucket->mutex);
  return queued;
}

static bool is_interrupted(const lt_Parker *parker, const lt_Wait *wait) {
  int urgency = atomic_load(&parker->urgency);
  return urgency != LT_CALM && wait->deaf != LT_BRIEF &&
         (urgency == LT_MUST_END || wait->deaf == LT_HEARS_ALL);
}

/* Acquire: what was done before it was set is seen. */
static bool may_have_come_elsewhere(const lt_Wait *wait) {
  return wait->elsewhere != NULL && atomic_load_explicit(wait->elsewhere, memory_order_acquire);
}

static plat_Time attend(Waiter *waiter, const lt_Wait *wait, lt_Occasion occasion) {
  lt_Parker *parker = waiter->parker;
  if (parker->attend == NULL || wait->deaf == LT_BRIEF)
    return PLAT_FOREVER;
  plat_Time next = parker->attend(parker->attendant, wait, waiter->since, occasion);
  return next == LT_END_WAIT && wait->deaf >= LT_DEAF_TO_SIGNALS ? PLAT_FOREVER : next;
}

static plat_Wake sleep_until(lt_Parker *parker, const lt_Wait *wait, plat_Time until) {
  if (wait->polled == NULL)
    return plat_park(&parker->native, until);
  return plat_park_polling(&parker->native, wait->polled, wait->polled_count, until);
}

static lt_Parked stay_parked(Bucket *bucket, Waiter *waiter, const lt_Wait *wait) {
  lt_Parker *parker = waiter->parker;
  lt_Parked result = LT_UNPARKED;
  plat_Time look = attend(waiter, wait, LT_WAIT_BEGINS);
  /* Acquire: 'handed' and what the other did before it woke us are seen. */
  while (!atomic_load_explicit(&waiter->woken, memory_order_acquire)) {
    if (is_interrupted(parker, wait))
      result = LT_INTERRUPTED;
    if (result != LT_UNPARKED)
      return give_up(bucket, waiter, wait) ? result : LT_UNPARKED;
    if (may_have_come_elsewhere(wait)) {
      give_up(bucket, waiter, wait);
      return LT_UNPARKED;
    }
    plat_Time until = look < wait->deadline ? look : wait->deadline;
    plat_Wake wake = sleep_until(parker, wait, until);
    if (wake == PLAT_READY) {
      give_up(bucket, waiter, wait);
      return LT_UNPARKED;
    } else if (wake == PLAT_TIMED_OUT && until == wait->deadline) {
      result = LT_TIMED_OUT;
    } else if (wake != PLAT_UNPARKED || atomic_load(&parker->asked)) {
      look = attend(waiter, wait, wake == PLAT_TIMED_OUT ? LT_WAIT_LOOKS : LT_WAIT_DISTURBED);
      if (look == LT_END_WAIT)
        result = LT_SIGNALLED;
    }
  }
  return LT_UNPARKED;
}

/* LT_UNPARKED: somebody has, or there was nothing to wait for. */
static lt_Parked park(lt_Parker *parker, const lt_Wait *wait, intptr_t *handed) {
  Bucket *bucket = bucket_of(wait->address);
  Waiter waiter;
  waiter.parker = parker;
  waiter.address = wait->address;
  waiter.since = wait->since;
  waiter.handed = 0;
  waiter.waker = -1;
  waiter.counted = wait->deadline == PLAT_FOREVER && wait->deaf != LT_BRIEF &&
                   wait->polled == NULL && wait->elsewhere == NULL;
  atomic_init(&waiter.woken, false);
  plat_mutex_lock(&bucket->mutex);
  bool proceed = wait->validate == NULL || wait->validate(wait->context);
  if (proceed)
    enqueue(bucket, &waiter);
  plat_mutex_unlock(&bucket->mutex);
  if (!proceed)
    return LT_UNPARKED;
  /* Relaxed: it is for diagnostics. It is kept for the wait within which this one may be. */
  const char *outer = atomic_load_explicit(&parker->waiting, memory_order_relaxed);
  atomic_store_explicit(&parker->waiting, wait->what, memory_order_relaxed);
  lt_Parked result = stay_parked(bucket, &waiter, wait);
  atomic_store_explicit(&parker->waiting, outer, memory_order_relaxed);
  /* Relaxed: it is the thread's own by now. */
  if (result == LT_UNPARKED && atomic_load_explicit(&waiter.woken, memory_order_relaxed))
    parker->apart = waiter.waker != plat_processor();
  *handed = waiter.handed;
  return result;
}

static bool take(const lt_Wait *wait) {
  if (wait->take != NULL)
    return wait->take(wait->context);
  return wait->validate != NULL && !wait->validate(wait->context);
}

/*
** Who is woken always tries to take, even if the time is up: a wake-up is not lost with the one who
** leaves.
*/
static lt_Parked wait_until_taken(lt_Parker *parker, lt_Wait *wait) {
  do {
    plat_Time now = wait->deadline == PLAT_AT_ONCE ? 0 : plat_now();
    intptr_t handed = 0;
    if (now >= wait->deadline)
      return LT_TIMED_OUT;
    if (is_interrupted(parker, wait))
      return LT_INTERRUPTED;
    if (wait->since == 0)
      wait->since = now;
    if (wait->spin != NULL && wait->spin(parker, wait))
      continue;
    lt_Parked parked = park(parker, wait, &handed);
    if (parked == LT_INTERRUPTED || parked == LT_SIGNALLED)
      return parked;
    if (handed != 0)
      break;
  } while (!take(wait));
  return LT_UNPARKED;
}

lt_Parked lt_await(lt_Parker *parker, lt_Wait *wait) {
  if (take(wait))
    return LT_UNPARKED;
  const lt_Probe *probe = lt_probe_get();
  if (probe == NULL || wait->deadline == PLAT_AT_ONCE)
    return wait_until_taken(parker, wait);
  lt_WaitNote note = {.goes_on = wait->since != 0};
  probe->wait_begins(parker, wait, &note);
  lt_Parked parked = wait_until_taken(parker, wait);
  probe->wait_ends(parker, wait, &note, (int)parked);
  return parked;
}

/*
** Before parking
*/

/* Less than it mostly takes to be woken from another processor. */
#define SPIN ((plat_Time)16000)

#define MOST_STAYS 1023

/* Others may have the processor for as long: with less time left than this it is not given away. */
#define TIME_TO_YIELD (PLAT_SECOND / 20)

/*
** Where threads take turns on one processor this passes it on with less work than parking and being
** woken. Where others compute there, it may take long to come back, and a wake-up would be faster:
** after that, or if it was in vain, it is left out for twice as many waits each time.
*/
static bool yield_once(lt_Parker *parker, plat_Time deadline, lt_Look look, void *context) {
  if (parker->apart)
    return false;
  if (parker->stays_left > 0) {
    parker->stays_left--;
    return false;
  }
  plat_Time begin = plat_now();
  if (deadline - begin < TIME_TO_YIELD)
    return false;
  plat_yield();
  bool seen = look(context);
  bool well = seen && plat_now() - begin < SPIN;
  parker->stays = well ? 0 : parker->stays < MOST_STAYS ? 2 * parker->stays + 1 : MOST_STAYS;
  parker->stays_left = parker->stays;
  return seen;
}

static bool keep_looking(plat_Time deadline, plat_Time between, lt_Look look, void *context) {
  plat_Time now = plat_now();
  plat_Time end = now + SPIN < deadline ? now + SPIN : deadline;
  while (now < end) {
    plat_Time until = now + between;
    for (; now < until; now = plat_now())
      for (int i = 0; i < 16; i++)
        plat_relax();
    if (look(context))
      return true;
  }
  return false;
}

bool lt_spin(lt_Parker *parker, plat_Time deadline, plat_Time between, lt_Look look,
             void *context) {
  return parker->apart ? keep_looking(deadline, between, look, context)
                       : yield_once(parker, deadline, look, context);
}

/*
** Unparking
*/

/* After 'woken' is set the waiter may be gone; the reference keeps its parker. */
static lt_Parker *take_out(Bucket *bucket, Waiter *waiter, intptr_t handed) {
  lt_Parker *parker = waiter->parker;
  dequeue(bucket, waiter);
  retain(parker);
  waiter->handed = handed;
  waiter->waker = plat_processor();
  lt_probe_wakes(parker);
  /* Release: pairs with the acquiring loads in await. */
  atomic_store_explicit(&waiter->woken, true, memory_order_release);
  return parker;
}

static void park_wake(lt_Parker *parker) {
  plat_unpark(&parker->native);
  lt_parker_release(parker);
}

void lt_unpark_one(const void *address, lt_HandOver hand, void *context) {
  Bucket *bucket = bucket_of(address);
  lt_Parker *parker = NULL;
  plat_mutex_lock(&bucket->mutex);
  Waiter *waiter = next_on(bucket->first, address);
  if (waiter == NULL) {
    if (hand != NULL)
      hand(context, LT_NOBODY, false);
  } else {
    bool more = next_on(waiter->next, address) != NULL;
    intptr_t handed = hand == NULL ? 0 : hand(context, waiter->since, more);
    if (handed != LT_KEEP_PARKED)
      parker = take_out(bucket, waiter, handed);
  }
  plat_mutex_unlock(&bucket->mutex);
  if (parker != NULL)
    park_wake(parker);
}

/* Takes a handful at a time, so that a waiter who comes back at once is not woken again. */
#define HANDFUL 64

void lt_unpark_all(const void *address) {
  Bucket *bucket = bucket_of(address);
  int count;
  do {
    lt_Parker *parkers[HANDFUL];
    count = 0;
    plat_mutex_lock(&bucket->mutex);
    Waiter *waiter = next_on(bucket->first, address);
    while (waiter != NULL && count < HANDFUL) {
      Waiter *next = next_on(waiter->next, address);
      parkers[count++] = take_out(bucket, waiter, 0);
      waiter = next;
    }
    plat_mutex_unlock(&bucket->mutex);
    for (int i = 0; i < count; i++)
      park_wake(parkers[i]);
  } while (count == HANDFUL);
}

void lt_park_after_fork(void) {
  for (size_t i = 0; i < BUCKETS; i++) {
    plat_mutex_init(&buckets[i].mutex);
    buckets[i].first = NULL;
    buckets[i].last = NULL;
  }
}
