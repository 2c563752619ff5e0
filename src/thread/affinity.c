/*
** Shared state: 'of_process', the processors of the first OS thread that is told others, before that.
** It is written once, under the guard, before 'is_used' is set.
*/
#include "src/thread/affinity.h"

static plat_Mutex affinity_guard = PLAT_MUTEX_INIT;
static plat_Processors of_process;
static atomic_bool is_used;

int lt_affinity_set(const plat_Processors *processors) {
  plat_Processors before;
  int error = plat_get_affinity(&before);
  if (error == 0)
    error = plat_set_affinity(processors);
  if (error != 0)
    return error;
  plat_mutex_lock(&affinity_guard);
  if (!atomic_load(&is_used)) {
    of_process = before;
    atomic_store(&is_used, true);
  }
  plat_mutex_unlock(&affinity_guard);
  return 0;
}

int lt_affinity_try(const plat_Processors *processors) {
  plat_Processors before;
  int error = plat_get_affinity(&before);
  if (error == 0)
    error = plat_set_affinity(processors);
  if (error == 0)
    error = plat_set_affinity(&before);
  return error;
}

void lt_affinity_begin(const lt_Thread *thread) {
  if (thread->processors != NULL)
    lt_affinity_set(thread->processors);
  else if (atomic_load(&is_used))
    plat_set_affinity(&of_process);
}
