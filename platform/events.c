/*
** Descriptors for every Unix: events, and the poll of the system. An event is an eventfd on Linux,
** a pipe elsewhere.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _NETBSD_SOURCE

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
      span = unix_timespec(left);
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
int plat_poll_until(plat_Polled *polled, unsigned count, plat_Time deadline) {
  int ready = poll_until(polled, count, deadline);
  if (ready >= 0 || errno == EINTR)
    return ready;
  for (unsigned i = 0; i < count; i++)
    polled[i].revents = POLLERR;
  return (int)count;
}
