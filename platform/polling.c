/*
** Descriptors that a thread waits on, for every Unix: events, and parking in poll. An event is an
** eventfd on Linux, a pipe elsewhere.
**
** Invariant: whoever turns the token from POLLING to 1 sets the wake event once, and the thread
** does not leave the poll before it has taken that. So nothing stale wakes it later, and nobody
** sets an event that its thread has closed. Checked by spec/model/polling.pml.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include "platform/platform.h"

#include <fcntl.h>
#include <unistd.h>

/*
** Events
*/

#if defined(LT_PLATFORM_LINUX)

#include <sys/eventfd.h>

int plat_event_open(plat_Event *event) {
  int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0)
    return errno;
  event->readable = descriptor;
  event->writable = descriptor;
  return 0;
}

#else

int plat_event_open(plat_Event *event) {
  int ends[2];
  if (pipe(ends) != 0)
    return errno;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  event->readable = ends[0];
  event->writable = ends[1];
  return 0;
}

#endif

/* What an eventfd counts; eight bytes to a pipe. */
void plat_event_set(const plat_Event *event) {
  const uint64_t one = 1;
  while (write(event->writable, &one, sizeof(one)) < 0 && errno == EINTR)
    ;
}

bool plat_event_clear(const plat_Event *event) {
  uint64_t count;
  ssize_t taken;
  do
    taken = read(event->readable, &count, sizeof(count));
  while (taken < 0 && errno == EINTR);
  return taken > 0;
}

/* Takes what another thread is just about to set. */
static void take_event(const plat_Event *event) {
  plat_Polled polled = {.fd = event->readable, .events = POLLIN};
  while (!plat_event_clear(event) && plat_event_is_open(event) && !(polled.revents & POLLNVAL))
    poll(&polled, 1, -1);
}

void plat_event_close(plat_Event *event) {
  if (plat_event_is_open(event)) {
    close(event->readable);
    if (event->writable != event->readable)
      close(event->writable);
  }
  *event = (plat_Event)PLAT_NO_EVENT;
}

/* Puts the new one in the place of the old, of which others have the number. */
static bool take_place(int descriptor, int of) {
  return dup2(descriptor, of) == of && fcntl(of, F_SETFD, FD_CLOEXEC) == 0;
}

void plat_event_renew(plat_Event *event) {
  plat_Event fresh = PLAT_NO_EVENT;
  if (!plat_event_is_open(event))
    return;
  if (plat_event_open(&fresh) == 0 && take_place(fresh.readable, event->readable) &&
      (event->writable == event->readable || take_place(fresh.writable, event->writable)))
    plat_event_close(&fresh);
  else {
    plat_event_close(&fresh);
    plat_event_close(event);
  }
}

/*
** Polling
*/

#if defined(LT_PLATFORM_LINUX)

static int poll_until(plat_Polled *polled, unsigned count, plat_Time deadline) {
  struct timespec span = {0, 0};
  if (deadline != PLAT_FOREVER && deadline != PLAT_AT_ONCE) {
    plat_Time left = deadline - plat_now();
    if (left > 0)
      span = (struct timespec){(time_t)(left / PLAT_SECOND), (long)(left % PLAT_SECOND)};
  }
  return ppoll(polled, count, deadline == PLAT_FOREVER ? NULL : &span, NULL);
}

#else

#define LONGEST ((plat_Time)INT32_MAX) /* in milliseconds */
#define MILLISECOND (PLAT_SECOND / 1000)

static int poll_until(plat_Polled *polled, unsigned count, plat_Time deadline) {
  int ready;
  plat_Time left;
  do {
    left = 0;
    if (deadline != PLAT_FOREVER && deadline != PLAT_AT_ONCE)
      left = deadline - plat_now();
    left = left <= 0 ? 0 : (left - 1) / MILLISECOND + 1;
    int span = (int)(left < LONGEST ? left : LONGEST);
    ready = poll(polled, count, deadline == PLAT_FOREVER ? -1 : span);
  } while (ready == 0 && left > LONGEST);
  return ready;
}

#endif

/* What can't be polled is not waited for: whoever uses it is told why. */
static int polled_until(plat_Polled *polled, unsigned count, plat_Time deadline) {
  int ready = poll_until(polled, count, deadline);
  if (ready >= 0 || errno == EINTR)
    return ready;
  for (unsigned i = 0; i < count; i++)
    polled[i].revents = POLLERR;
  return (int)count;
}

bool plat_poll(plat_Polled *polled, unsigned count) {
  return polled_until(polled, count, PLAT_AT_ONCE) > 0;
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
  polled[0] = (plat_Polled){.fd = parker->wake.readable, .events = POLLIN};
  /*
  ** Acquire, here and below: what the other did before its unpark is seen after the park. Release:
  ** who finds that the thread polls finds its event, too.
  */
  if (!atomic_compare_exchange_strong_explicit(&parker->token, &none, PLAT_POLLING,
                                               memory_order_acq_rel, memory_order_relaxed)) {
    atomic_exchange_explicit(&parker->token, 0, memory_order_acquire);
    return PLAT_UNPARKED;
  }
  int ready = polled_until(polled, count, deadline);
  bool is_lost = (polled[0].revents & POLLNVAL) != 0;
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
