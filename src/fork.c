#include "src/fork.h"

#include "platform/platform.h"
#include "src/biased.h"
#include "src/collect.h"
#include "src/insist.h"
#include "src/interrupt.h"
#include "src/loan.h"
#include "src/park.h"
#include "src/watch.h"
#include "src/worker.h"

/* The collector comes last: it goes on only where nobody is missing. */
static void in_child(void) {
  plat_thread_be_host();
  lt_watch_after_fork();
  lt_park_after_fork();
  lt_loans_after_fork();
  lt_insist_after_fork();
  lt_slots_after_fork();
  lt_workers_after_fork();
  lt_collect_after_fork(lt_interrupt_after_fork());
}

static int set_up(void) {
  static const plat_ForkHandlers handlers = {lt_collect_before_fork, lt_collect_go_on, in_child};
  return plat_at_fork(&handlers);
}

int lt_fork_setup(void) {
  static plat_Once once = PLAT_ONCE_INIT;
  return plat_once(&once, set_up);
}
