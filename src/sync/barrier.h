/*
** Barriers: so many threads wait until all of them have come. The last one may do something before
** any goes on.
*/
#ifndef lt_barrier_h
#define lt_barrier_h

#include "src/sync/park.h"

typedef struct lt_BarrierWaiter lt_BarrierWaiter;

/* All under the guard. */
typedef struct lt_Barrier {
  plat_Mutex guard;
  uint64_t parties;
  size_t count;              /* who has come in this round */
  lt_BarrierWaiter *waiters; /* of them, but for the last one; also the address that they park on */
  bool acting;               /* the last one does something */
  bool cut;                  /* meanwhile the round was broken or reset */
  bool broken;
} lt_Barrier;

typedef enum lt_BarrierOutcome {
  LT_BARRIER_WAITS, /* it is not known yet */
  LT_BARRIER_PASSED,
  LT_BARRIER_BROKEN
} lt_BarrierOutcome;

/* One who waits, in memory of his own until he has left. */
struct lt_BarrierWaiter {
  lt_Barrier *barrier;
  lt_BarrierWaiter *next;
  size_t place; /* how many came before */
  atomic_int outcome;
};

typedef enum lt_Arrival {
  LT_ARRIVED,      /* he waits, and leaves in the end */
  LT_ARRIVED_LAST, /* he calls lt_barrier_finish */
  LT_NOT_YET,      /* the round before is not over: lt_barrier_wait_to_arrive */
  LT_ARRIVED_AT_BROKEN
} lt_Arrival;

void lt_barrier_init(lt_Barrier *barrier, uint64_t parties);
void lt_barrier_destroy(lt_Barrier *barrier);

lt_Arrival lt_barrier_arrive(lt_Barrier *barrier, lt_BarrierWaiter *waiter);

/* For lt_wait. */
lt_Wait lt_barrier_wait_to_arrive(lt_Barrier *barrier, plat_Time deadline);
lt_Wait lt_barrier_wait(lt_BarrierWaiter *waiter, plat_Time deadline);

/* The end of a wait. If nothing has come of it, and no last one acts, or 'breaks', it breaks. */
lt_BarrierOutcome lt_barrier_leave(lt_BarrierWaiter *waiter, bool breaks);

/* The last one is done, well or not. Whether all go on. */
bool lt_barrier_finish(lt_Barrier *barrier, bool well);

/* Both end the round for those who wait; the first one all others, too, until the second. */
void lt_barrier_abort(lt_Barrier *barrier);
void lt_barrier_reset(lt_Barrier *barrier);

size_t lt_barrier_count(lt_Barrier *barrier);
bool lt_barrier_is_broken(lt_Barrier *barrier);

#endif
