/*
** What a host says of its runtime before the first thread starts. It does not change any more then,
** so any thread reads it.
*/
#ifndef lt_runtime_options_h
#define lt_runtime_options_h

#include "platform/platform.h"

typedef struct lt_RuntimeOptions {
  void (*on_thread_start)(void *context); /* on the thread's own OS thread; NULL: none */
  void (*on_thread_end)(void *context);
  void *context;
  plat_Time grace;     /* how long threads have to end when the runtime does */
  size_t memory;       /* bytes that the state of each thread may have; 0: there is no limit */
  size_t total_memory; /* and those of all threads together */
} lt_RuntimeOptions;

#define LT_DEFAULT_GRACE (2 * PLAT_SECOND)

static inline bool lt_runtime_options_equal(const lt_RuntimeOptions *a,
                                            const lt_RuntimeOptions *b) {
  return a->on_thread_start == b->on_thread_start && a->on_thread_end == b->on_thread_end &&
         a->context == b->context && a->grace == b->grace && a->memory == b->memory &&
         a->total_memory == b->total_memory;
}

#endif
