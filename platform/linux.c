/*
** Linux: the parker is a futex; native ids, names and processors as the kernel has them.
*/
#define _GNU_SOURCE

#include "platform/platform.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int plat_parker_init(plat_Parker *parker) {
  atomic_init(&parker->token, 0);
  parker->wake = (plat_Event)PLAT_NO_EVENT;
  return 0;
}

void plat_parker_destroy(plat_Parker *parker) {
  plat_event_close(&parker->wake);
}

/* As <linux/futex.h> has them, which comes with the kernel and not with each libc. */
enum { FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE = 128 };
#define FUTEX_ALL_BITS UINT32_MAX

/* Where time_t has 64 bits on a system of 32, the call of this name takes such times. */
#if defined(SYS_futex_time64)
#define FUTEX_CALL (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define FUTEX_CALL SYS_futex
#endif

/* FUTEX_WAIT_BITSET takes an absolute time on the monotonic clock. */
static long futex_wait(plat_Parker *parker, plat_Time deadline) {
  struct timespec until = unix_timespec(deadline);
  return syscall(FUTEX_CALL, &parker->token, FUTEX_WAIT_BITSET | FUTEX_PRIVATE, 0,
                 deadline == PLAT_FOREVER ? NULL : &until, NULL, FUTEX_ALL_BITS);
}

plat_Wake plat_park(plat_Parker *parker, plat_Time deadline) {
  for (;;) {
    /* Acquire: what the other did before its unpark is seen after the park. */
    if (atomic_exchange_explicit(&parker->token, 0, memory_order_acquire) != 0)
      return PLAT_UNPARKED;
    if (futex_wait(parker, deadline) != 0) {
      if (errno == ETIMEDOUT)
        return PLAT_TIMED_OUT;
      if (errno != EAGAIN) /* EINTR */
        return PLAT_SIGNALLED;
    }
  }
}

void plat_unpark(plat_Parker *parker) {
  /* Release: pairs with the exchange in plat_park. Acquire: a thread that polls has its event. */
  uint32_t before = atomic_exchange_explicit(&parker->token, 1, memory_order_acq_rel);
  if (before == 0)
    syscall(FUTEX_CALL, &parker->token, FUTEX_WAKE | FUTEX_PRIVATE, 1, NULL, NULL, 0);
  else if (before == PLAT_POLLING)
    plat_event_set(&parker->wake);
}

void plat_set_thread_name(const char *name) {
  pthread_setname_np(pthread_self(), name);
}

uint64_t plat_native_id(void) {
  return (uint64_t)syscall(SYS_gettid);
}

int plat_get_affinity(plat_Processors *processors) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return errno;
  *processors = (plat_Processors){{0}};
  for (unsigned i = 0; i < PLAT_PROCESSORS; i++)
    if (CPU_ISSET(i, &set))
      processors->words[i / 64] |= (uint64_t)1 << i % 64;
  return 0;
}

int plat_set_affinity(const plat_Processors *processors) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (unsigned i = 0; i < PLAT_PROCESSORS; i++)
    if (processors->words[i / 64] >> i % 64 & 1)
      CPU_SET(i, &set);
  return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : errno;
}

unsigned plat_cpu_count(void) {
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof(usable), &usable) == 0)
    return (unsigned)CPU_COUNT(&usable);
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (unsigned)online : 1;
}

int plat_processor(void) {
  return sched_getcpu();
}

/*
** The heavy barrier: membarrier makes every running thread of the process pass a full barrier.
**
** A filter of system calls that is set later may forbid it, in some threads or in all. From the
** first failure on both barriers are full ones, for good. That leaves the threads that have passed
** a light barrier which was none, because they had not seen the failure yet.
**
** Such a thread had written its step before it read, in the order of its program, that there are
** heavy barriers; and it read that no later than a moment after the failure was written. From then
** on only the processor holds its step back: what is written leaves the store buffer by itself, in
** less than a microsecond, whatever the thread does meanwhile, and a thread that is taken off its
** processor between the two leaves it with its step written. So whoever finds the failure waits for
** many times as long before it looks, and so does everybody who comes while it waits.
**
** Shared state: 'plat_has_heavy_barrier' becomes false once and for all; then 'all_are_full' true.
*/
#define STORES_ARE_SEEN (PLAT_SECOND / 200)

atomic_bool plat_has_heavy_barrier;
static atomic_bool all_are_full;

enum { PRIVATE_EXPEDITED = 1 << 3, REGISTER_PRIVATE_EXPEDITED = 1 << 4 };

#if defined(SYS_membarrier)

static bool call_membarrier(int command) {
  return syscall(SYS_membarrier, command, 0, 0) == 0;
}

#else

static bool call_membarrier(int command) {
  (void)command;
  return false;
}

#endif

static int set_up_barrier(void) {
  bool heavy = call_membarrier(REGISTER_PRIVATE_EXPEDITED);
  atomic_store(&all_are_full, !heavy);
  atomic_store(&plat_has_heavy_barrier, heavy);
  return 0;
}

void plat_barrier_setup(void) {
  static plat_Once once = PLAT_ONCE_INIT;
  plat_once(&once, set_up_barrier);
}

static void make_all_full(void) {
  atomic_store(&plat_has_heavy_barrier, false);
  for (plat_Time now = plat_now(), end = now + STORES_ARE_SEEN; now < end; now = plat_now()) {
    const struct timespec left = {0, (long)(end - now)};
    nanosleep(&left, NULL);
  }
  atomic_store(&all_are_full, true);
}

void plat_heavy_barrier(void) {
  atomic_thread_fence(memory_order_seq_cst);
  if (!atomic_load(&all_are_full) &&
      !(atomic_load(&plat_has_heavy_barrier) && call_membarrier(PRIVATE_EXPEDITED)))
    make_all_full();
}
