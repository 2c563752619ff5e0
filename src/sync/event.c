/*
** Shared state: the word of an event. A waiter parks only if it finds or sets LT_EVENT_WAITED in a
** word without the flag, under the mutex of its bucket; who sets the flag takes that bit out in the
** same step, and if it was there unparks all under the same mutex: so he can't miss one. Who looks
** announces himself by the same bit, under the mutex of those who look.
*/
#include "src/sync/event.h"

#define BETWEEN_LOOKS ((plat_Time)500)

void lt_event_init(lt_Event *event) {
  atomic_init(&event->state, 0);
}

void lt_event_set(lt_Event *event) {
  /* Relaxed: the exchange compares it. */
  uint64_t state = atomic_load_explicit(&event->state, memory_order_relaxed);
  uint64_t next;
  do {
    next =
        state & LT_EVENT_SET ? state : ((state & ~LT_EVENT_WAITED) + LT_EVENT_TIME) | LT_EVENT_SET;
    /* Release: who finds the flag, or that it was set, sees what was done before. */
  } while (!atomic_compare_exchange_weak_explicit(&event->state, &state, next, memory_order_release,
                                                  memory_order_relaxed));
  if (state & LT_EVENT_WAITED) {
    lt_unpark_all(&event->state);
    lt_look_wake(&event->state);
  }
}

void lt_event_clear(lt_Event *event) {
  /*
  ** Acquire and release: who clears it sees what was done before it was set, and a waiter finds by
  ** the rest of the word that it was.
  */
  atomic_fetch_and_explicit(&event->state, ~LT_EVENT_SET, memory_order_acq_rel);
}

/*
** Waiting
*/

static bool has_come(const lt_EventWaiter *waiter, uint64_t state) {
  return (state & LT_EVENT_SET) != 0 || state / LT_EVENT_TIME != waiter->times;
}

static bool event_has_come(void *context) {
  const lt_EventWaiter *waiter = context;
  /* Acquire: as lt_event_is_set. */
  return has_come(waiter, atomic_load_explicit(&waiter->event->state, memory_order_acquire));
}

/* Whether LT_EVENT_WAITED is set in a word for which there is something to wait. */
static bool announce_event_waiter(void *context) {
  const lt_EventWaiter *waiter = context;
  atomic_uint_least64_t *word = &waiter->event->state;
  /* Relaxed: the word is compared, nothing is read because of it. */
  uint64_t state = atomic_load_explicit(word, memory_order_relaxed);
  do {
    if (has_come(waiter, state))
      return false;
  } while (!atomic_compare_exchange_weak_explicit(word, &state, state | LT_EVENT_WAITED,
                                                  memory_order_relaxed, memory_order_relaxed));
  return true;
}

static bool spin_for_event(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, event_has_come, wait->context);
}

lt_EventWaiter lt_event_waiter(lt_Event *event) {
  /* Relaxed: of the state when the wait begins any answer may be old. */
  uint64_t state = atomic_load_explicit(&event->state, memory_order_relaxed);
  return (lt_EventWaiter){event, state / LT_EVENT_TIME};
}

lt_Wait lt_event_wait(lt_EventWaiter *waiter, plat_Time deadline) {
  return (lt_Wait){.address = &waiter->event->state,
                   .context = waiter,
                   .take = event_has_come,
                   .spin = spin_for_event,
                   .validate = announce_event_waiter,
                   .deadline = deadline,
                   .what = "Event",
                   .shown = waiter->event};
}

/*
** Looking
*/

static bool event_is_seen(const lt_Sight *sight) {
  lt_EventWaiter waiter = {sight->thing, sight->since};
  return event_has_come(&waiter);
}

static bool announce_event_looker(const lt_Sight *sight) {
  lt_EventWaiter waiter = {sight->thing, sight->since};
  return announce_event_waiter(&waiter);
}

lt_Sight lt_event_sight(lt_Event *event) {
  return (lt_Sight){.address = &event->state,
                    .thing = event,
                    .is_ready = event_is_seen,
                    .announce = announce_event_looker,
                    .since = lt_event_waiter(event).times};
}
