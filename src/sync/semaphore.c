/*
** Invariant: as many are awake, or about to be unparked by a release, as there are units or parked
** waiters, whichever is less. So nobody stays parked while there is a unit.
**
** Shared state: the word of a semaphore. A waiter parks only if it finds or sets LT_SEMAPHORE_WAITED
** in a word without a unit, under the mutex of its bucket, and that bit is taken out under the same
** mutex, by one who finds that nobody else is parked. A release adds its units first, and then
** unparks one waiter for each of them, as long as there are any. A waiter that was unparked always
** tries to take one, even if its time is up. Whoever was faster has a release of his own to come.
**
** Who looks announces himself by the same bit, under the mutex of those who look. Whoever has found
** the bit, and so may take it out, wakes them after that: one who has set it before is woken, and
** sets it again.
**
** Now and then a release hands a unit over: see fairness.h.
*/
#include "src/sync/semaphore.h"

#include "src/sync/fairness.h"

/* As those of a lock. */
#define BETWEEN_LOOKS ((plat_Time)2000)

enum { UNIT_FREE, UNIT_HANDED };

void lt_semaphore_init(lt_Semaphore *semaphore, uint64_t count, uint64_t limit) {
  atomic_init(&semaphore->state, count * LT_SEMAPHORE_UNIT);
  semaphore->limit = limit;
  semaphore->handed = 0;
}

/*
** Acquiring
*/

static bool try_semaphore(void *context) {
  return lt_semaphore_try(context);
}

static bool has_unit(void *context) {
  return lt_semaphore_count(context) > 0;
}

/* Whether LT_SEMAPHORE_WAITED is set in a word without a unit. */
static bool announce_semaphore_waiter(void *context) {
  lt_Semaphore *semaphore = context;
  uint64_t state = 0;
  /* Relaxed: the word is compared, nothing is read because of it. */
  return atomic_compare_exchange_strong_explicit(&semaphore->state, &state, LT_SEMAPHORE_WAITED,
                                                 memory_order_relaxed, memory_order_relaxed) ||
         state == LT_SEMAPHORE_WAITED;
}

static bool spin_for_unit(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, has_unit, wait->context);
}

lt_Wait lt_semaphore_wait(lt_Semaphore *semaphore, plat_Time deadline) {
  return (lt_Wait){.address = &semaphore->state,
                   .context = semaphore,
                   .take = try_semaphore,
                   .spin = spin_for_unit,
                   .validate = announce_semaphore_waiter,
                   .deadline = deadline,
                   .what = "Semaphore",
                   .shown = semaphore};
}

/*
** Looking
*/

static bool semaphore_is_seen(const lt_Sight *sight) {
  return has_unit(sight->thing);
}

static bool announce_semaphore_looker(const lt_Sight *sight) {
  return announce_semaphore_waiter(sight->thing);
}

lt_Sight lt_semaphore_sight(lt_Semaphore *semaphore) {
  return (lt_Sight){.address = &semaphore->state,
                    .thing = semaphore,
                    .is_ready = semaphore_is_seen,
                    .announce = announce_semaphore_looker};
}

/*
** Releasing
*/

/* Relaxed: who waits looks at the word under the mutex. */
static intptr_t hand_unit_over(void *context, plat_Time since, bool more) {
  lt_Semaphore *semaphore = context;
  if (since != LT_NOBODY && !has_unit(semaphore))
    return LT_KEEP_PARKED;
  if (!more)
    atomic_fetch_and_explicit(&semaphore->state, ~LT_SEMAPHORE_WAITED, memory_order_relaxed);
  if (since == LT_NOBODY)
    return LT_KEEP_PARKED;
  bool fair = lt_is_time_to_be_fair(&semaphore->handed, since);
  return fair && lt_semaphore_try(semaphore) ? UNIT_HANDED : UNIT_FREE;
}

bool lt_semaphore_release(lt_Semaphore *semaphore, uint64_t count) {
  /* Relaxed: the exchange compares it. */
  uint64_t state = atomic_load_explicit(&semaphore->state, memory_order_relaxed);
  uint64_t next;
  do {
    if (count > semaphore->limit - state / LT_SEMAPHORE_UNIT)
      return false;
    next = state + count * LT_SEMAPHORE_UNIT;
    /* Release: who gets a unit sees what was done before. */
  } while (!atomic_compare_exchange_weak_explicit(&semaphore->state, &state, next,
                                                  memory_order_release, memory_order_relaxed));
  bool waited = (next & LT_SEMAPHORE_WAITED) != 0;
  /* Relaxed: who sets the bit later has found no unit. */
  for (; count > 0 && next > LT_SEMAPHORE_UNIT && (next & LT_SEMAPHORE_WAITED) != 0; count--) {
    lt_unpark_one(&semaphore->state, hand_unit_over, semaphore);
    next = atomic_load_explicit(&semaphore->state, memory_order_relaxed);
  }
  if (waited)
    lt_look_wake(&semaphore->state);
  return true;
}
