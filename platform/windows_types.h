/*
** Of the contract with the system, the types and constants of Windows. <windows.h> stays out of
** what includes this.
*/
#ifndef lt_windows_types_h
#define lt_windows_types_h

/* Windows 8, before a header of the system decides it. */
#if !defined(_WIN32_WINNT)
#define _WIN32_WINNT 0x0602
#endif

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

/* Exactly an SRWLOCK. */
typedef struct plat_Mutex {
  void *lock;
} plat_Mutex;

#define PLAT_MUTEX_INIT                                                                            \
  { NULL }

void plat_mutex_lock(plat_Mutex *mutex);
void plat_mutex_unlock(plat_Mutex *mutex);

typedef unsigned long plat_Thread; /* its id */
typedef void *plat_Process;        /* a handle */

typedef char plat_Origin; /* nothing: there are no masks of signals */

#define PLAT_NO_MEMORY ENOMEM
#define PLAT_NOT_SUPPORTED ENOTSUP
#define PLAT_BROKEN_OFF EINVAL /* what C's runtime makes of ERROR_OPERATION_ABORTED */
#define PLAT_SIGINT 2

/* Sockets only. Their numbers are those of handles, which have 32 significant bits. */
typedef struct plat_Polled {
  int fd;
  short events;
  short revents;
} plat_Polled;

#define PLAT_READABLE 1
#define PLAT_WRITABLE 2
#define PLAT_FAILED 4
#define PLAT_NOT_OPEN 8
#define PLAT_POLLED_KIND "socket"

/* The descriptor of a stream of C, or -1 where such can't be polled. */
#define PLAT_FILE_DESCRIPTOR(file) ((void)(file), -1)

#define PLAT_WATCHABLE "BREAK"

#endif
