#include "src/fork.h"

#include <stdbool.h>

#include "platform/platform.h"
#include "src/biased.h"
#include "src/collect.h"
#include "src/interrupt.h"
#include "src/loan.h"
#include "src/park.h"
#include "src/watch.h"
#include "src/worker.h"

/* The collector comes last: it goes on only where nobody is missing. */
static void in_child(void) {
  lt_watch_after_fork();
  lt_park_after_fork();
  lt_loans_after_fork();
  lt_slots_after_fork();
  lt_workers_after_fork();
  lt_collect_after_fork(lt_interrupt_after_fork());
}

int lt_fork_setup(void) {
  static const plat_ForkHandlers handlers = {lt_collect_before_fork, lt_collect_go_on, in_child};
  static plat_Mutex guard = PLAT_MUTEX_INIT;
  static bool ready;
  plat_mutex_lock(&guard);
  int error = ready ? 0 : plat_at_fork(&handlers);
  ready = error == 0;
  plat_mutex_unlock(&guard);
  return error;
}
