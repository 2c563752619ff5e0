/*
** The contract with an operating system.
**
** posix.c keeps most of it for every Unix; linux.c (futex) or portable.c (mutex and condition)
** keep what is marked "per system". A port to another system implements these functions
** and changes nothing else.
*/
#ifndef lt_platform_h
#define lt_platform_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

/* Nanoseconds on the monotonic clock. */
typedef int64_t plat_Time;

#define PLAT_FOREVER INT64_MAX
#define PLAT_SECOND ((plat_Time)1000000000)

plat_Time plat_now(void);

/*
** A mutex for critical sections of a few instructions, within which nothing blocks.
*/
typedef pthread_mutex_t plat_Mutex;

#define PLAT_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

void plat_mutex_init(plat_Mutex *mutex);
void plat_mutex_destroy(plat_Mutex *mutex);
void plat_mutex_lock(plat_Mutex *mutex);
void plat_mutex_unlock(plat_Mutex *mutex);

/*
** For one who waits for a few instructions of another thread: a hint to the processor, to the
** system.
*/
static inline void plat_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}
void plat_yield(void);

/*
** Two threads each write something and then look at what the other writes; one of them must see
** it. Where the system offers it, the light barrier between the two steps costs nothing, and the
** heavy one of the other thread makes up for it. plat_barrier_setup comes before both (per
** system).
*/
extern atomic_bool plat_has_heavy_barrier;

void plat_barrier_setup(void);
void plat_heavy_barrier(void);

static inline void plat_light_barrier(void) {
  /* Relaxed: while it is still false, both barriers are full ones. */
  if (atomic_load_explicit(&plat_has_heavy_barrier, memory_order_relaxed))
    atomic_signal_fence(memory_order_seq_cst);
  else
    atomic_thread_fence(memory_order_seq_cst);
}

/*
** A parker puts its one thread to sleep until somebody hands it the token (per system). An unpark
** that comes before the park is kept: the park then returns at once. plat_park may return early
** when a signal handler ran; its callers look at their condition again.
*/
typedef struct plat_Parker {
  _Atomic(uint32_t) token; /* 1: an unpark has come, 0: none */
#if defined(LT_PLATFORM_POSIX)
  pthread_mutex_t mutex;
  pthread_cond_t handed;
#endif
} plat_Parker;

typedef enum plat_Wake { PLAT_UNPARKED, PLAT_TIMED_OUT, PLAT_SIGNALLED } plat_Wake;

int plat_parker_init(plat_Parker *parker); /* 0 or an errno */
void plat_parker_destroy(plat_Parker *parker);
plat_Wake plat_park(plat_Parker *parker, plat_Time deadline);
void plat_unpark(plat_Parker *parker);

/*
** Threads. They start detached, with every signal blocked that could run a handler of the host.
*/
typedef pthread_t plat_Thread;

#define PLAT_NAME_BYTES 16 /* what the system shows of a thread's name, with the zero */

plat_Thread plat_thread_self(void);
int plat_thread_start(size_t stack_size, void (*body)(void *), void *argument); /* 0 or an errno */
bool plat_stack_size_valid(size_t stack_size);
void plat_set_thread_name(const char *name);                      /* per system */
uint64_t plat_native_id(void);                                    /* per system */
unsigned plat_cpu_count(void);                                    /* per system */
void plat_describe_error(int error, char *buffer, size_t length); /* what an errno means */

/*
** ThreadSanitizer's runtime can't be entered from a handler that interrupts it: what runs in one
** is not instrumented.
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
** Runs 'handler' on another thread, between two of its instructions. The handler may only
** do what a signal handler may. plat_poke needs a thread that has not ended.
*/
int plat_poke_setup(void (*handler)(void)); /* 0 or an errno; may be called again */
void plat_poke_accept(void);                /* lets the calling thread be poked */
void plat_poke(plat_Thread thread);

/* Keeps the library that contains 'address' mapped until the process ends. */
bool plat_pin_library(const void *address);

/* Writes all bytes to the standard error stream, in one write where the system lets it. */
void plat_write_error(const char *bytes, size_t length);

#endif
