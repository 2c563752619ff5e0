/*
** What all Unix systems share: clock, mutex, threads, commands, pinned libraries.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _NETBSD_SOURCE

#include "platform/platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__DragonFly__)
#include <xlocale.h> /* uselocale */
#endif

/* Before OpenBSD 7.0 and 7.2. What is pinned is so by its handle alone then. */
#if !defined(RTLD_NODELETE)
#define RTLD_NODELETE 0
#endif
#if !defined(RTLD_NOLOAD)
#define RTLD_NOLOAD 0
#endif

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

int plat_once(plat_Once *once, int (*set_up)(void)) {
  plat_mutex_lock(&once->mutex);
  int error = once->done ? 0 : set_up();
  once->done = error == 0;
  plat_mutex_unlock(&once->mutex);
  return error;
}

void plat_yield(void) {
  sched_yield();
}

void *plat_pages_take(size_t size) {
  void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  return pages == MAP_FAILED ? NULL : pages;
}

void plat_pages_give(void *pages, size_t size) {
  munmap(pages, size);
}

void plat_memory_trim(void) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

void *plat_lines_take(size_t size) {
#if defined(__APPLE__)
  void *lines; /* aligned_alloc came with macOS 10.15 */
  return posix_memalign(&lines, PLAT_CACHE_LINE, size) == 0 ? lines : NULL;
#else
  return aligned_alloc(PLAT_CACHE_LINE, size);
#endif
}

void plat_lines_give(void *lines) {
  free(lines);
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
  plat_Origin origin;
} Start;

/* What the commands of this thread have blocked; of another's thread it is what the thread has. */
static PLAT_THREAD_LOCAL plat_Origin own_origin;
static PLAT_THREAD_LOCAL bool posix_is_ours;

void plat_origin_get(plat_Origin *origin) {
  if (posix_is_ours)
    *origin = own_origin;
  else
    pthread_sigmask(SIG_SETMASK, NULL, &origin->commands_mask);
}

static void *run_start(void *block) {
  Start start = *(Start *)block;
  free(block);
  own_origin = start.origin;
  posix_is_ours = true;
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

void plat_thread_be_host(void) {
  if (!posix_is_ours)
    return;
  posix_is_ours = false;
  pthread_sigmask(SIG_SETMASK, &own_origin.commands_mask, NULL);
  plat_poke_accept(plat_own_target.place);
}

void plat_thread_renew(const plat_Origin *origin) {
  own_origin = *origin;
  posix_is_ours = true;
  mask_host_signals(NULL);
#if !defined(__NetBSD__) /* which has no locale of a thread */
  uselocale(LC_GLOBAL_LOCALE);
#endif
  fesetenv(FE_DFL_ENV);
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
  plat_origin_get(&start->origin);
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
** Commands. popen and system would hand the calling thread's own mask on.
*/

#if defined(__APPLE__)
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

/* 'files' says what the shell's files are, NULL: those of the process. */
static int start_shell(const char *command, const posix_spawn_file_actions_t *files,
                       plat_Process *process) {
  char *const arguments[] = {"sh", "-c", (char *)command, NULL};
  posix_spawnattr_t attributes;
  plat_Origin origin;
  int error = posix_spawnattr_init(&attributes);
  if (error != 0)
    return error;
  plat_origin_get(&origin);
  error = posix_spawnattr_setsigmask(&attributes, &origin.commands_mask);
  if (error == 0)
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  if (error == 0)
    error = posix_spawn(process, "/bin/sh", files, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  return error;
}

/* Both ends are closed in what other threads start meanwhile, or nearly so without pipe2. */
static int open_pipe(int ends[2]) {
#if defined(__APPLE__)
  if (pipe(ends) != 0)
    return errno;
  for (int i = 0; i < 2; i++)
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  return 0;
#else
  return pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
#endif
}

static int start_with_file(const char *command, int fd, int as, plat_Process *process) {
  posix_spawn_file_actions_t files;
  int error = posix_spawn_file_actions_init(&files);
  if (error != 0)
    return error;
  error = posix_spawn_file_actions_adddup2(&files, fd, as);
  if (error == 0)
    error = start_shell(command, &files, process);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

int plat_command_start(const char *command, plat_Process *process) {
  return start_shell(command, NULL, process);
}

bool plat_command_mode_valid(const char *mode) {
  return (mode[0] == 'r' || mode[0] == 'w') && mode[1] == '\0';
}

FILE *plat_command_open(const char *command, const char *mode, plat_Process *process) {
  bool is_input = mode[0] == 'w';
  int ends[2];
  int error = open_pipe(ends);
  if (error != 0) {
    errno = error;
    return NULL;
  }
  int theirs = ends[is_input ? 0 : 1];
  int ours = ends[is_input ? 1 : 0];
  FILE *stream = fdopen(ours, mode);
  error = stream == NULL ? errno : start_with_file(command, theirs, is_input ? 0 : 1, process);
  close(theirs);
  if (error == 0)
    return stream;
  if (stream != NULL)
    fclose(stream);
  else
    close(ours);
  errno = error;
  return NULL;
}

int plat_command_wait(plat_Process process) {
  int status;
  pid_t ended;
  do
    ended = waitpid(process, &status, 0);
  while (ended < 0 && errno == EINTR);
  return ended < 0 ? -1 : status;
}

void plat_flush(FILE *file) {
  if (ftrylockfile(file) == 0) {
    fflush(file);
    funlockfile(file);
  }
}

/*
** Libraries and the error stream
*/

int plat_at_fork(const plat_ForkHandlers *handlers) {
  return pthread_atfork(handlers->before, handlers->in_parent, handlers->in_child);
}

int plat_descriptor_copy(int descriptor) {
  return fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
}

/* It is closed even where a signal breaks it off. */
void plat_descriptor_close(int descriptor) {
  close(descriptor);
}

bool plat_pin_library(const void *address) {
  Dl_info library;
  if (dladdr(address, &library) == 0 || library.dli_fname == NULL)
    return false;
  /* The handle is never closed. The main program can't be opened by its name, nor unloaded. */
  void *handle = dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  return handle != NULL;
}

bool plat_library_has(const char *file, const char *name) {
  void *handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
  bool found = handle != NULL && dlsym(handle, name) != NULL;
  if (handle != NULL)
    dlclose(handle);
  return found;
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
