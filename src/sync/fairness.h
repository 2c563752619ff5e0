/*
** When a lock or a semaphore is handed over. A release is fast because it lets newcomers take what
** it frees before the waiter that it wakes. But once in FAIR it is handed over to the waiter that
** has waited longest, if that is as long as FAIR. So nobody starves: a waiter's turn comes after as
** many times FAIR as there are waiters. To hand over to every waiter that has waited so long would
** make each acquire a switch of threads, as soon as there are so many that all of them have.
*/
#ifndef lt_fairness_h
#define lt_fairness_h

#include <stdbool.h>

#include "platform/platform.h"

#define LT_FAIR ((plat_Time)1000000)

/*
** The clock of 'handed', when it was handed over last. That it begins anew every hour makes one
** handing over late.
*/
#define LT_FAIR_TICK ((plat_Time)1024)

/*
** Under the mutex of the bucket: whether to hand over to the one who has waited since then; notes
** it in 'handed'.
*/
static inline bool lt_is_time_to_be_fair(unsigned *handed, plat_Time since) {
  plat_Time now = plat_now();
  unsigned tick = (unsigned)(now / LT_FAIR_TICK);
  bool fair = now - since >= LT_FAIR && tick - *handed >= LT_FAIR / LT_FAIR_TICK;
  if (fair)
    *handed = tick;
  return fair;
}

#endif
