/*
** Shared state: the barrier, under its guard. What comes of a round is written for all who wait in
** it in one step, so none of them can find another outcome than the rest, and the next round may
** begin before they have seen it. They park on one address; those of the next round that are woken
** besides look at their own outcome and park again.
*/
#include "src/sync/barrier.h"

void lt_barrier_init(lt_Barrier *barrier, uint64_t parties) {
  *barrier = (lt_Barrier){.parties = parties};
  plat_mutex_init(&barrier->guard);
}

void lt_barrier_destroy(lt_Barrier *barrier) {
  plat_mutex_destroy(&barrier->guard);
}

lt_Arrival lt_barrier_arrive(lt_Barrier *barrier, lt_BarrierWaiter *waiter) {
  lt_Arrival arrival = LT_ARRIVED;
  plat_mutex_lock(&barrier->guard);
  if (barrier->broken) {
    arrival = LT_ARRIVED_AT_BROKEN;
  } else if (barrier->acting) {
    arrival = LT_NOT_YET;
  } else {
    waiter->barrier = barrier;
    waiter->place = barrier->count++;
    atomic_init(&waiter->outcome, LT_BARRIER_WAITS);
    if (barrier->count == barrier->parties) {
      barrier->acting = true;
      arrival = LT_ARRIVED_LAST;
    } else {
      waiter->next = barrier->waiters;
      barrier->waiters = waiter;
    }
  }
  plat_mutex_unlock(&barrier->guard);
  return arrival;
}

/* Under the guard; the caller unparks all after it. */
static void end_barrier_round(lt_Barrier *barrier, lt_BarrierOutcome outcome) {
  for (lt_BarrierWaiter *waiter = barrier->waiters; waiter != NULL; waiter = waiter->next)
    /* Release: who goes on sees what all have done before. */
    atomic_store_explicit(&waiter->outcome, (int)outcome, memory_order_release);
  barrier->waiters = NULL;
  barrier->count = 0;
  barrier->cut = barrier->acting;
}

static bool is_acting(void *context) {
  lt_Barrier *barrier = context;
  plat_mutex_lock(&barrier->guard);
  bool acting = barrier->acting && !barrier->broken;
  plat_mutex_unlock(&barrier->guard);
  return acting;
}

static bool has_no_outcome(void *context) {
  const lt_BarrierWaiter *waiter = context;
  /* Acquire: pairs with end_barrier_round. */
  return atomic_load_explicit(&waiter->outcome, memory_order_acquire) == LT_BARRIER_WAITS;
}

lt_Wait lt_barrier_wait_to_arrive(lt_Barrier *barrier, plat_Time deadline) {
  return (lt_Wait){.address = &barrier->waiters,
                   .context = barrier,
                   .validate = is_acting,
                   .deadline = deadline,
                   .what = "Barrier",
                   .shown = barrier};
}

lt_Wait lt_barrier_wait(lt_BarrierWaiter *waiter, plat_Time deadline) {
  return (lt_Wait){.address = &waiter->barrier->waiters,
                   .context = waiter,
                   .validate = has_no_outcome,
                   .deadline = deadline,
                   .what = "Barrier",
                   .shown = waiter->barrier};
}

lt_BarrierOutcome lt_barrier_leave(lt_BarrierWaiter *waiter, bool breaks) {
  lt_Barrier *barrier = waiter->barrier;
  plat_mutex_lock(&barrier->guard);
  lt_BarrierOutcome outcome = (lt_BarrierOutcome)atomic_load(&waiter->outcome);
  bool broken = outcome == LT_BARRIER_WAITS && (breaks || !barrier->acting);
  if (broken) {
    barrier->broken = true;
    end_barrier_round(barrier, LT_BARRIER_BROKEN);
    outcome = LT_BARRIER_BROKEN;
  }
  plat_mutex_unlock(&barrier->guard);
  if (broken)
    lt_unpark_all(&barrier->waiters);
  return outcome;
}

bool lt_barrier_finish(lt_Barrier *barrier, bool well) {
  plat_mutex_lock(&barrier->guard);
  bool passed = well && !barrier->cut;
  barrier->acting = false;
  barrier->broken = barrier->broken || !well;
  end_barrier_round(barrier, passed ? LT_BARRIER_PASSED : LT_BARRIER_BROKEN);
  plat_mutex_unlock(&barrier->guard);
  lt_unpark_all(&barrier->waiters);
  return passed;
}

static void end_round_as(lt_Barrier *barrier, bool broken) {
  plat_mutex_lock(&barrier->guard);
  barrier->broken = broken;
  end_barrier_round(barrier, LT_BARRIER_BROKEN);
  plat_mutex_unlock(&barrier->guard);
  lt_unpark_all(&barrier->waiters);
}

void lt_barrier_abort(lt_Barrier *barrier) {
  end_round_as(barrier, true);
}

void lt_barrier_reset(lt_Barrier *barrier) {
  end_round_as(barrier, false);
}

size_t lt_barrier_count(lt_Barrier *barrier) {
  plat_mutex_lock(&barrier->guard);
  size_t count = barrier->count;
  plat_mutex_unlock(&barrier->guard);
  return count;
}

bool lt_barrier_is_broken(lt_Barrier *barrier) {
  plat_mutex_lock(&barrier->guard);
  bool broken = barrier->broken;
  plat_mutex_unlock(&barrier->guard);
  return broken;
}
