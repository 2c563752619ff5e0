/*
** Shared state: 'probing' and, with it, lt_probe, written under 'probing_guard'.
*/
#include "src/diagnose/probing.h"

#include "src/diagnose/contention.h"
#include "src/thread/wait.h"

#define FOR_CONTENTION 1u

static plat_Mutex probing_guard = PLAT_MUTEX_INIT;
static atomic_uint probing; /* bits */

/* Relaxed: it only says who is told; what they keep has guards of its own. */
static bool is_wanted_by(unsigned whose) {
  return (atomic_load_explicit(&probing, memory_order_relaxed) & whose) != 0;
}

static void wait_begins(const lt_Wait *wait, lt_WaitNote *note) {
  note->begin = plat_now();
  note->ender = wait->ender == NULL ? 0 : wait->ender(wait->context);
}

static void wait_ends(lt_Parker *parker, const lt_Wait *wait, const lt_WaitNote *note, int parked) {
  (void)parked;
  lt_Thread *thread = lt_wait_thread(parker);
  if (thread == NULL)
    return;
  plat_Time now = plat_now();
  if (is_wanted_by(FOR_CONTENTION))
    lt_contention_count(thread, wait, note, now);
}

static const lt_Probe probing_probe = {wait_begins, wait_ends};

static void probing_set(unsigned whose, bool wanted) {
  plat_mutex_lock(&probing_guard);
  unsigned bits = wanted ? atomic_fetch_or(&probing, whose) | whose
                         : atomic_fetch_and(&probing, ~whose) & ~whose;
  atomic_store(&lt_probe, bits == 0 ? NULL : &probing_probe);
  plat_mutex_unlock(&probing_guard);
}

bool lt_probing_start_contention(void) {
  if (!lt_contention_clear())
    return false;
  lt_lock_want_owners(LT_OWNERS_FOR_CONTENTION, true);
  probing_set(FOR_CONTENTION, true);
  return true;
}

void lt_probing_stop_contention(void) {
  probing_set(FOR_CONTENTION, false);
  lt_lock_want_owners(LT_OWNERS_FOR_CONTENTION, false);
}

void lt_probing_after_fork(void) {
  plat_mutex_init(&probing_guard);
  lt_contention_after_fork();
}
