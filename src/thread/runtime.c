#include "src/thread/runtime.h"

#include <stdlib.h>

static atomic_uint open_runtimes;

lt_Runtime *lt_runtime_new(void) {
  lt_Runtime *runtime = calloc(1, sizeof(*runtime));
  if (runtime == NULL)
    return NULL;
  atomic_init(&runtime->references, 0); /* its threads have them */
  atomic_init(&runtime->stack_size, 0);
  atomic_init(&runtime->deadlocked, false);
  atomic_init(&runtime->memory_left, 0);
  plat_mutex_init(&runtime->guard);
  runtime->is_first = atomic_fetch_add(&open_runtimes, 1) == 0;
  return runtime;
}

void lt_runtime_retain(lt_Runtime *runtime) {
  /* Relaxed: who retains already has a reference to go by. */
  atomic_fetch_add_explicit(&runtime->references, 1, memory_order_relaxed);
}

void lt_runtime_release(lt_Runtime *runtime) {
  /* Acquire and release: the last one sees all that the others did before it frees. */
  if (atomic_fetch_sub_explicit(&runtime->references, 1, memory_order_acq_rel) != 1)
    return;
  if (runtime->excepthook != NULL)
    lt_object_release(runtime->excepthook);
  if (runtime->globals != NULL)
    lt_object_release(runtime->globals);
  if (runtime->registry != NULL)
    lt_object_release(runtime->registry);
  plat_mutex_destroy(&runtime->guard);
  atomic_fetch_sub(&open_runtimes, 1);
  free(runtime);
}

unsigned lt_runtimes_open(void) {
  return atomic_load(&open_runtimes);
}
