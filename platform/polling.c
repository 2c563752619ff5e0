/*
** Parking in poll, for every system.
**
** Invariant: whoever turns the token from POLLING to 1 sets the wake event once, and the thread
** does not leave the poll before it has taken that. So nothing stale wakes it later, and nobody
** sets an event that its thread has closed. Checked by spec/model/polling.pml.
*/
#include "platform/platform.h"

/* Takes what another thread is just about to set. */
static void take_event(const plat_Event *event) {
  plat_Polled polled = {.fd = event->readable, .events = PLAT_READABLE};
  while (!plat_event_clear(event) && plat_event_is_open(event) && !(polled.revents & PLAT_NOT_OPEN))
    plat_poll_until(&polled, 1, PLAT_FOREVER);
}

bool plat_poll(plat_Polled *polled, unsigned count) {
  return plat_poll_until(polled, count, PLAT_AT_ONCE) > 0;
}

int plat_parker_enable_polling(plat_Parker *parker) {
  return plat_event_is_open(&parker->wake) ? 0 : plat_event_open(&parker->wake);
}

/* A script that closes all descriptors has closed this one, too. */
static void replace_lost(plat_Event *event) {
  *event = (plat_Event)PLAT_NO_EVENT;
  plat_event_open(event);
}

plat_Wake plat_park_polling(plat_Parker *parker, plat_Polled *polled, unsigned count,
                            plat_Time deadline) {
  uint32_t none = 0;
  polled[0] = (plat_Polled){.fd = parker->wake.readable, .events = PLAT_READABLE};
  /*
  ** Acquire, here and below: what the other did before its unpark is seen after the park. Release:
  ** who finds that the thread polls finds its event, too.
  */
  if (!atomic_compare_exchange_strong_explicit(&parker->token, &none, PLAT_POLLING,
                                               memory_order_acq_rel, memory_order_relaxed)) {
    atomic_exchange_explicit(&parker->token, 0, memory_order_acquire);
    return PLAT_UNPARKED;
  }
  int ready = plat_poll_until(polled, count, deadline);
  bool is_lost = (polled[0].revents & PLAT_NOT_OPEN) != 0;
  if (atomic_exchange_explicit(&parker->token, 0, memory_order_acquire) != PLAT_POLLING) {
    if (!is_lost)
      take_event(&parker->wake);
    return PLAT_UNPARKED;
  }
  if (is_lost) {
    replace_lost(&parker->wake);
    return PLAT_SIGNALLED;
  }
  if (ready > 0)
    return PLAT_READY;
  return ready == 0 ? PLAT_TIMED_OUT : PLAT_SIGNALLED;
}
