/*
** The contract with an operating system.
**
** posix.c, events.c and signals.c keep most of it for every Unix; linux.c (futex) or portable.c
** (mutex and condition) keep what is marked "per system". What of it is a type or a constant of the
** system is in unix_types.h. windows.c and the files that begin with its name keep all of it for
** Windows, with windows_types.h. A port to another system has such a header, implements these
** functions and changes nothing else.
*/
#ifndef lt_platform_h
#define lt_platform_h

#if defined(LT_PLATFORM_WINDOWS)
#include "platform/windows_types.h"
#else
#include "platform/unix_types.h"
#endif

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Nanoseconds on the monotonic clock. */
typedef int64_t plat_Time;

#define PLAT_FOREVER INT64_MAX
#define PLAT_AT_ONCE ((plat_Time)0) /* as a deadline: it has passed */
#define PLAT_SECOND ((plat_Time)1000000000)

/* When so much time will have passed since then; what can't be counted is for ever. */
static inline plat_Time plat_after(plat_Time since, plat_Time span) {
  return span < PLAT_FOREVER - since ? since + span : PLAT_FOREVER;
}

plat_Time plat_now(void);

/*
** A mutex for critical sections of a few instructions, within which nothing blocks. The header of
** the system has plat_mutex_lock and plat_mutex_unlock.
*/
void plat_mutex_init(plat_Mutex *mutex);
void plat_mutex_destroy(plat_Mutex *mutex);

/* What is set up once for the process, by whichever thread comes first. */
typedef struct plat_Once {
  plat_Mutex mutex;
  bool done;
} plat_Once;

#define PLAT_ONCE_INIT                                                                             \
  { PLAT_MUTEX_INIT, false }

/* Calls 'set_up' if that has not succeeded yet; 0, or its errno. */
int plat_once(plat_Once *once, int (*set_up)(void));

/* For one who waits for a few instructions of another thread. */
static inline void plat_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}
void plat_yield(void);

/*
** Memory straight from the system, and straight back to it: whole pages, which are zero and take
** no memory before they are touched. NULL: there is none.
*/
void *plat_pages_take(size_t size);
void plat_pages_give(void *pages, size_t size);

/* malloc gives what is free of its memory back to the system, where it can be asked to. */
void plat_memory_trim(void);

/* Bytes that two processors can't write at the same time. */
#define PLAT_CACHE_LINE 64

/* Memory that begins with such a line. The size is a multiple of it. NULL: there is none. */
void *plat_lines_take(size_t size);
void plat_lines_give(void *lines);

/*
** Two threads each write something and then look at what the other writes; one of them must see
** it. Where the system offers it, the light barrier between the two steps costs nothing, and the
** heavy one of the other thread makes up for it. plat_barrier_setup comes before both, once (per
** system). A heavy barrier may sleep for some milliseconds, at most once in a thread's life.
*/
extern atomic_bool plat_has_heavy_barrier;

void plat_barrier_setup(void);
void plat_heavy_barrier(void);

static inline void plat_light_barrier(void) {
  /* The step before comes first in the program too: see linux.c. */
  atomic_signal_fence(memory_order_seq_cst);
  /* Relaxed: while it is false, both barriers are full ones. */
  if (atomic_load_explicit(&plat_has_heavy_barrier, memory_order_relaxed))
    atomic_signal_fence(memory_order_seq_cst);
  else
    atomic_thread_fence(memory_order_seq_cst);
}

/*
** An event is a descriptor that is readable while the event is set. It is set once before it is
** cleared. Programs that are executed do not have it.
*/
typedef struct plat_Event {
  int readable;
  int writable;
} plat_Event;

#define PLAT_NO_EVENT                                                                              \
  { -1, -1 }

static inline bool plat_event_is_open(const plat_Event *event) {
  return event->readable >= 0;
}

int plat_event_open(plat_Event *event); /* 0 or an errno */
void plat_event_close(plat_Event *event);
void plat_event_set(const plat_Event *event);
bool plat_event_clear(const plat_Event *event); /* whether it was set; does not wait */

/*
** In the child of a fork, which shares its events with the parent: in the place of this one there
** is a new one, not set, with the same numbers; or none, if the system makes no other.
*/
void plat_event_renew(plat_Event *event);

/*
** A parker puts its one thread to sleep until somebody hands it the token (per system). An unpark
** that comes before the park is kept: the park then returns at once. plat_park may return early
** when a signal handler ran; its callers look at their condition again.
*/
typedef struct plat_Parker {
  _Atomic(uint32_t) token; /* 1: an unpark has come, 0: none, PLAT_POLLING */
  plat_Event wake;         /* ends a poll; made when the thread first polls */
#if defined(LT_PLATFORM_POSIX)
  pthread_mutex_t mutex;
  pthread_cond_t handed;
#endif
} plat_Parker;

#define PLAT_POLLING 2u

typedef enum plat_Wake { PLAT_UNPARKED, PLAT_TIMED_OUT, PLAT_SIGNALLED, PLAT_READY } plat_Wake;

int plat_parker_init(plat_Parker *parker); /* 0 or an errno */
void plat_parker_destroy(plat_Parker *parker);
plat_Wake plat_park(plat_Parker *parker, plat_Time deadline);
void plat_unpark(plat_Parker *parker);

/*
** The thread may also park in poll: it comes back as soon as one of the descriptors is ready, too,
** with PLAT_READY. The first entry is the parker's own, the caller fills in the others. Polling is
** enabled by the thread itself; where it never is, plat_unpark does nothing more.
**
** A plat_Polled has the fields 'fd', 'events' (PLAT_READABLE, PLAT_WRITABLE) and 'revents', where
** there may also be PLAT_FAILED and PLAT_NOT_OPEN.
*/
int plat_parker_enable_polling(plat_Parker *parker); /* 0 or an errno; any number of calls */
plat_Wake plat_park_polling(plat_Parker *parker, plat_Polled *polled, unsigned count,
                            plat_Time deadline);

bool plat_poll(plat_Polled *polled, unsigned count); /* whether one is ready, without waiting */

/* How many are ready; 0: the time is up; negative: a signal handler ran. */
int plat_poll_until(plat_Polled *polled, unsigned count, plat_Time deadline);

/*
** Threads. They start detached, with every signal blocked that could run a handler of the host.
*/
#define PLAT_NAME_BYTES 16 /* what the system shows of a thread's name, with the zero */

plat_Thread plat_thread_self(void);
int plat_thread_start(size_t stack_size, void (*body)(void *), void *argument); /* 0 or an errno */

/*
** A plat_Origin is what a thread takes over from the one that starts it. plat_thread_renew makes a
** thread of ours that has run other code like a new one: signals, locale, floating point.
*/
void plat_origin_get(plat_Origin *origin); /* of a thread that the calling one starts */
void plat_thread_renew(const plat_Origin *origin);

/*
** In the child of a fork: if the calling thread is one of ours, it is the one in which the handlers
** of the host run from now on.
*/
void plat_thread_be_host(void);

bool plat_stack_size_valid(size_t stack_size);
void plat_set_thread_name(const char *name); /* per system */
uint64_t plat_native_id(void);               /* per system */
unsigned plat_cpu_count(void);               /* per system */

/*
** A set of processors: a bit for each, by the system's numbers. Those on which the calling thread may
** run; PLAT_NOT_SUPPORTED where a system does not let one choose, or another errno (per system).
*/
enum { PLAT_PROCESSORS = 1024, PLAT_PROCESSOR_WORDS = PLAT_PROCESSORS / 64 };

typedef struct plat_Processors {
  uint64_t words[PLAT_PROCESSOR_WORDS];
} plat_Processors;

int plat_get_affinity(plat_Processors *processors);
int plat_set_affinity(const plat_Processors *processors);

/* The processor that the calling thread is on; -1 where that can't be told (per system). */
int plat_processor(void);
void plat_describe_error(int error, char *buffer, size_t length); /* what an errno means */

/*
** A variable of each thread that a handler may touch. With glibc its place is in the part of each
** thread that is there from the start (a library that is loaded later gets some of it, too), so that
** nothing is allocated for it. musl refuses such a library, and gives all threads that there are
** their places when it loads one. Others may allocate the places of all our variables when a thread
** touches the first one, which plat_poke_accept does before a handler can.
*/
#if defined(__GLIBC__)
#define PLAT_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define PLAT_THREAD_LOCAL _Thread_local
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAT_ADDRESS_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PLAT_ADDRESS_SANITIZER
#endif

/*
** ThreadSanitizer's runtime can't be entered from a handler that interrupts it: what runs in one is
** not instrumented.
*/
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PLAT_THREAD_SANITIZER
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define PLAT_THREAD_SANITIZER
#endif
#if defined(PLAT_THREAD_SANITIZER) && defined(__clang__)
#define PLAT_IN_HANDLER __attribute__((disable_sanitizer_instrumentation))
#elif defined(PLAT_THREAD_SANITIZER)
#define PLAT_IN_HANDLER __attribute__((no_sanitize("thread")))
#else
#define PLAT_IN_HANDLER
#endif

/*
** Pokes run 'handler' on another thread, between two of its instructions. The handler may only do
** what a signal handler may. A poke that breaks makes a system call in which the thread is blocked
** return early; the other one lets it go on. The signals belong to others, too: what is sent by
** others goes to the handler that was there before, or has been installed since.
*/
typedef enum plat_Poke { PLAT_POKE_BREAKS, PLAT_POKE_LETS_GO_ON } plat_Poke;
#define PLAT_POKES 2

/* An OS thread that may be poked. It lies in the thread's own storage, so it ends with it. */
typedef struct plat_Target {
  plat_Thread thread;
  void *place;                   /* for the handler */
  atomic_bool poked[PLAT_POKES]; /* the signal has been sent, and its handler has not begun yet */
} plat_Target;

extern PLAT_THREAD_LOCAL plat_Target plat_own_target;

/*
** The handler gets the place that the thread has accepted with, or NULL if it has not yet. 'at_end'
** is called by each thread that has accepted, when it ends. Once; 0 or an errno.
*/
int plat_poke_setup(void (*handler)(void *place), void (*at_end)(void));

/* Lets the calling thread be poked, always with the same place; 0 or an errno. */
int plat_poke_accept(void *place);

/* 'again': the poke before may have been lost. The target must not have ended. */
void plat_poke(plat_Target *target, plat_Poke poke, bool again);

void plat_pokes_after_fork(void); /* none is on its way any more */

/*
** Signals of the host. Its numbers are those of the system; 0 stands for none. Whether a handler
** that runs while its thread is parked wakes it depends on the system; Linux goes on with a park
** without deadline, if the handler was installed so (SA_RESTART).
*/
#if defined(LT_PLATFORM_LINUX)
#define PLAT_SIGNALS_WAKE 1
#else
#define PLAT_SIGNALS_WAKE 0
#endif

bool plat_signal_valid(int64_t number);
int plat_signal_named(const char *name); /* "USR1", "SIGUSR1" or "10"; 0: there is none */

/* Runs the handler of a signal on a thread, if it has one. False: the system can't do that. */
bool plat_signal_deliver(plat_Thread thread, int number);

/* Why a signal can't be taken over, or NULL. */
const char *plat_watch_refusal(int number);

/*
** Takes a signal over, one only, for as long as the process lives: instead of what it did before
** it wakes the one who waits for it, without ending anybody's system call.
*/
int plat_watch_begin(int number); /* 0 or an errno */
void plat_watch_wait(void);

/* In the child of a fork: the signal does nothing until it is taken over there. */
void plat_watch_forget(void);

/* Writes what is in the stream's buffer. One that another thread is using is left to that one. */
void plat_flush(FILE *file);

/* Has these called at every fork from now on. 0 or an errno. */
typedef struct plat_ForkHandlers {
  void (*before)(void);
  void (*in_parent)(void);
  void (*in_child)(void);
} plat_ForkHandlers;

int plat_at_fork(const plat_ForkHandlers *handlers);

/*
** Commands, run by the shell. They begin with the signals blocked that the thread had blocked which
** started the calling one, and not with all those that it blocks itself as a thread of ours. In the
** calling thread no signal is unblocked for that.
*/
int plat_command_start(const char *command, plat_Process *process); /* 0 or an errno */

/*
** The same with a stream that is the command's input ("w"), or its output ("r"); NULL and errno on
** failure. The mode must be one that io.popen of Lua takes on this system.
*/
bool plat_command_mode_valid(const char *mode);
FILE *plat_command_open(const char *command, const char *mode, plat_Process *process);

/* Waits until the command has ended. A status as of system(3), or -1 and errno. */
int plat_command_wait(plat_Process process);

/*
** Another descriptor of the same open file, closed in programs that are started. -1 and errno.
*/
int plat_descriptor_copy(int descriptor);
void plat_descriptor_close(int descriptor);

/* Keeps the library that contains 'address' mapped until the process ends. */
bool plat_pin_library(const void *address);

/* Whether the library in this file is loaded, and has something of this name. */
bool plat_library_has(const char *file, const char *name);

/* The value of a variable of the environment, or NULL. */
const char *plat_getenv(const char *name);

/* Writes all bytes to the standard error stream, in one write where the system lets it. */
void plat_write_error(const char *bytes, size_t length);

#endif
