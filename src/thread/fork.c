#include "src/thread/fork.h"

#include "platform/platform.h"
#include "src/object/cycles.h"
#include "src/shared/queue.h"
#include "src/state/lent_string.h"
#include "src/sync/biased_lock.h"
#include "src/sync/look.h"
#include "src/sync/park.h"
#include "src/thread/home.h"
#include "src/thread/observer.h"
#include "src/thread/repeated_poke.h"
#include "src/thread/time_limit.h"
#include "src/thread/worker.h"
#include "src/transfer/c_rules.h"

/* The collector comes last: it works on only where no thread is missing, which interrupts know. */
static void in_child(void) {
  plat_thread_be_host();
  plat_pokes_after_fork();
  lt_observer->after_fork();
  lt_park_after_fork();
  lt_look_after_fork();
  lt_lent_strings_after_fork();
  lt_queue_signals_after_fork();
  lt_repeated_pokes_after_fork();
  lt_time_limits_after_fork();
  lt_c_rules_after_fork();
  lt_bias_slots_after_fork();
  lt_workers_after_fork();
  lt_cycles_after_fork(lt_home_after_fork());
}

static int fork_set_up(void) {
  static const plat_ForkHandlers handlers = {lt_cycles_before_fork, lt_cycles_after_fork_in_parent,
                                             in_child};
  return plat_at_fork(&handlers);
}

int lt_fork_setup(void) {
  static plat_Once once = PLAT_ONCE_INIT;
  return plat_once(&once, fork_set_up);
}
