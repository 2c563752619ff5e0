/*
** Of the contract with the system, the types and constants of every Unix.
*/
#ifndef lt_unix_types_h
#define lt_unix_types_h

/* For sigset_t, where the compiler was told to know no more than ISO C. */
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

typedef pthread_mutex_t plat_Mutex;

#define PLAT_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

static inline void plat_mutex_lock(plat_Mutex *mutex) {
  pthread_mutex_lock(mutex);
}

static inline void plat_mutex_unlock(plat_Mutex *mutex) {
  pthread_mutex_unlock(mutex);
}

typedef pthread_t plat_Thread;
typedef pid_t plat_Process;

typedef struct plat_Origin {
  sigset_t commands_mask;
} plat_Origin;

#define PLAT_NO_MEMORY ENOMEM
#define PLAT_NOT_SUPPORTED ENOTSUP
#define PLAT_BROKEN_OFF EINTR /* a system call, by a poke or another signal */
#define PLAT_SIGINT SIGINT

typedef struct pollfd plat_Polled;

#define PLAT_READABLE POLLIN
#define PLAT_WRITABLE POLLOUT
#define PLAT_FAILED (POLLERR | POLLHUP)
#define PLAT_NOT_OPEN POLLNVAL
#define PLAT_POLLED_KIND "descriptor"

/* The descriptor of a stream of C, or -1 where such can't be polled. */
#define PLAT_FILE_DESCRIPTOR(file) fileno(file)

#define PLAT_WATCHABLE "USR1 and USR2"

/*
** Nanoseconds as the system counts them. Where time_t has 32 bits, what it can't hold is as long as
** it can: some decades.
*/
static inline struct timespec unix_timespec(int64_t nanoseconds) {
  const int64_t most = sizeof(time_t) < sizeof(int64_t) ? INT32_MAX : INT64_MAX;
  int64_t seconds = nanoseconds / 1000000000;
  return (struct timespec){(time_t)(seconds < most ? seconds : most),
                           (long)(nanoseconds % 1000000000)};
}

#endif
