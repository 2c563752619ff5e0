/*
** Any POSIX system: the parker is a mutex and a condition.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _NETBSD_SOURCE

#include "platform/platform.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)

/* No condition of macOS waits on the monotonic clock, but one waits for a span. */
static int init_condition(pthread_cond_t *condition) {
  return pthread_cond_init(condition, NULL);
}

static int wait_until(plat_Parker *parker, plat_Time deadline) {
  plat_Time left = deadline - plat_now();
  if (left <= 0)
    return ETIMEDOUT;
  struct timespec span = unix_timespec(left);
  return pthread_cond_timedwait_relative_np(&parker->handed, &parker->mutex, &span);
}

#else

static int init_condition(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  int error = pthread_condattr_init(&attributes);
  if (error != 0)
    return error;
  error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (error == 0)
    error = pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return error;
}

static int wait_until(plat_Parker *parker, plat_Time deadline) {
  struct timespec until = unix_timespec(deadline);
  return pthread_cond_timedwait(&parker->handed, &parker->mutex, &until);
}

#endif

int plat_parker_init(plat_Parker *parker) {
  atomic_init(&parker->token, 0);
  parker->wake = (plat_Event)PLAT_NO_EVENT;
  int error = pthread_mutex_init(&parker->mutex, NULL);
  if (error != 0)
    return error;
  error = init_condition(&parker->handed);
  if (error != 0)
    pthread_mutex_destroy(&parker->mutex);
  return error;
}

void plat_parker_destroy(plat_Parker *parker) {
  pthread_cond_destroy(&parker->handed);
  pthread_mutex_destroy(&parker->mutex);
  plat_event_close(&parker->wake);
}

plat_Wake plat_park(plat_Parker *parker, plat_Time deadline) {
  int error = 0;
  pthread_mutex_lock(&parker->mutex);
  /* Relaxed: the mutex orders every access to the token but those of polling.c, of this thread. */
  while (atomic_load_explicit(&parker->token, memory_order_relaxed) == 0 && error == 0)
    error = deadline == PLAT_FOREVER ? pthread_cond_wait(&parker->handed, &parker->mutex)
                                     : wait_until(parker, deadline);
  bool handed = atomic_exchange_explicit(&parker->token, 0, memory_order_relaxed) != 0;
  pthread_mutex_unlock(&parker->mutex);
  return handed ? PLAT_UNPARKED : PLAT_TIMED_OUT;
}

void plat_unpark(plat_Parker *parker) {
  pthread_mutex_lock(&parker->mutex);
  /* Release: pairs with the exchanges in polling.c. Acquire: a thread that polls has its event. */
  uint32_t before = atomic_exchange_explicit(&parker->token, 1, memory_order_acq_rel);
  pthread_cond_signal(&parker->handed);
  pthread_mutex_unlock(&parker->mutex);
  if (before == PLAT_POLLING)
    plat_event_set(&parker->wake);
}

void plat_set_thread_name(const char *name) {
#if defined(__APPLE__)
  pthread_setname_np(name);
#elif defined(__linux__)
  pthread_setname_np(pthread_self(), name);
#else
  (void)name; /* POSIX has no call for it */
#endif
}

#if defined(__APPLE__)

uint64_t plat_native_id(void) {
  uint64_t id = 0;
  pthread_threadid_np(NULL, &id);
  return id;
}

#elif defined(__linux__)

#include <sys/syscall.h>

uint64_t plat_native_id(void) {
  return (uint64_t)syscall(SYS_gettid);
}

#elif defined(__FreeBSD__) || defined(__DragonFly__)

#include <pthread_np.h>

uint64_t plat_native_id(void) {
  return (uint64_t)pthread_getthreadid_np();
}

#elif defined(__OpenBSD__)

uint64_t plat_native_id(void) {
  return (uint64_t)getthrid();
}

#elif defined(__NetBSD__)

#include <lwp.h>

uint64_t plat_native_id(void) {
  return (uint64_t)_lwp_self();
}

#else

uint64_t plat_native_id(void) {
  return (uint64_t)(uintptr_t)pthread_self();
}

#endif

int plat_get_affinity(plat_Processors *processors) {
  (void)processors;
  return PLAT_NOT_SUPPORTED;
}

int plat_set_affinity(const plat_Processors *processors) {
  (void)processors;
  return PLAT_NOT_SUPPORTED;
}

unsigned plat_cpu_count(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (unsigned)online : 1;
}

int plat_processor(void) {
  return -1;
}

atomic_bool plat_has_heavy_barrier;

void plat_barrier_setup(void) {
}

void plat_heavy_barrier(void) {
  atomic_thread_fence(memory_order_seq_cst);
}
