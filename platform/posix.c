/*
** What all Unix systems share: clock, mutex, threads, pinned libraries.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include "platform/platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

plat_Time plat_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (plat_Time)now.tv_sec * PLAT_SECOND + now.tv_nsec;
}

void plat_mutex_init(plat_Mutex *mutex) {
  pthread_mutex_init(mutex, NULL);
}

void plat_mutex_destroy(plat_Mutex *mutex) {
  pthread_mutex_destroy(mutex);
}

void plat_mutex_lock(plat_Mutex *mutex) {
  pthread_mutex_lock(mutex);
}

void plat_mutex_unlock(plat_Mutex *mutex) {
  pthread_mutex_unlock(mutex);
}

void plat_yield(void) {
  sched_yield();
}

/*
** Threads
*/

/*
** Lua lets 200 C calls nest (LUAI_MAXCCALLS). Calls of its library that are nested so deep stay
** below this size, which comes on top of the one that was asked for: so the smallest thread,
** too, meets Lua's limit before the end of its stack. It is address space: pages that are never
** touched cost nothing.
*/
#define STACK_RESERVE ((size_t)1024 * 1024)
#define STACK_DEFAULT ((size_t)8 * 1024 * 1024)
#define STACK_LARGEST (SIZE_MAX / 4)

typedef struct Start {
  void (*body)(void *);
  void *argument;
} Start;

static void *run_start(void *block) {
  Start start = *(Start *)block;
  free(block);
  start.body(start.argument);
  return NULL;
}

/* Faults stay deliverable: blocked, they would end the process without a word. */
static void mask_host_signals(sigset_t *previous) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t blocked;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
    sigdelset(&blocked, faults[i]);
  pthread_sigmask(SIG_SETMASK, &blocked, previous);
}

static size_t whole_pages(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (size + page - 1) / page * page;
}

static int set_stack_size(pthread_attr_t *attributes, size_t stack_size) {
  size_t size = stack_size == 0 ? STACK_DEFAULT : stack_size + STACK_RESERVE;
  return pthread_attr_setstacksize(attributes, whole_pages(size));
}

bool plat_stack_size_valid(size_t stack_size) {
  pthread_attr_t attributes;
  if (stack_size > STACK_LARGEST || pthread_attr_init(&attributes) != 0)
    return false;
  int error = set_stack_size(&attributes, stack_size);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

static int create_detached(size_t stack_size, Start *start) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0)
    return error;
  error = set_stack_size(&attributes, stack_size);
  if (error == 0)
    error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  if (error == 0) {
    sigset_t previous;
    pthread_t thread;
    mask_host_signals(&previous);
    error = pthread_create(&thread, &attributes, run_start, start);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
  }
  pthread_attr_destroy(&attributes);
  return error;
}

int plat_thread_start(size_t stack_size, void (*body)(void *), void *argument) {
  Start *start = malloc(sizeof(*start));
  if (start == NULL)
    return ENOMEM;
  start->body = body;
  start->argument = argument;
  int error = create_detached(stack_size, start);
  if (error != 0)
    free(start);
  return error;
}

plat_Thread plat_thread_self(void) {
  return pthread_self();
}

void plat_describe_error(int error, char *buffer, size_t length) {
#if defined(__GLIBC__)
  const char *text = strerror_r(error, buffer, length);
  if (text != buffer) {
    strncpy(buffer, text, length - 1);
    buffer[length - 1] = '\0';
  }
#else
  if (strerror_r(error, buffer, length) != 0)
    buffer[0] = '\0';
#endif
}

/*
** Libraries and the error stream
*/

int plat_at_fork(void (*in_child)(void)) {
  return pthread_atfork(NULL, NULL, in_child);
}

bool plat_pin_library(const void *address) {
  Dl_info library;
  if (dladdr(address, &library) == 0 || library.dli_fname == NULL)
    return false;
  /* The handle is never closed. The main program can't be opened by its name, nor unloaded. */
  void *handle = dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  return handle != NULL;
}

const char *plat_getenv(const char *name) {
  return getenv(name); /* NOLINT(concurrency-mt-unsafe): nothing of ours changes it */
}

void plat_write_error(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(STDERR_FILENO, bytes, length);
    if (written < 0 && errno != EINTR)
      return;
    if (written > 0) {
      bytes += written;
      length -= (size_t)written;
    }
  }
}
