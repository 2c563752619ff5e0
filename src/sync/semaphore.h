/*
** Semaphores: a count of units that threads take and give back. One word each, with the table of
** parked waiters of park.h behind it.
*/
#ifndef lt_semaphore_h
#define lt_semaphore_h

#include "src/sync/look.h"

/*
** The word: how many units there are, LT_SEMAPHORE_UNIT each, and
**
**   LT_SEMAPHORE_WAITED  somebody may be parked on the word, or look at it: the release has to look
*/
#define LT_SEMAPHORE_WAITED ((uint64_t)1)
#define LT_SEMAPHORE_UNIT ((uint64_t)2)
#define LT_SEMAPHORE_MOST ((uint64_t)INT64_MAX)

typedef struct lt_Semaphore {
  atomic_uint_least64_t state;
  uint64_t limit;  /* there are never more units */
  unsigned handed; /* when one was handed over last, see fairness.h */
} lt_Semaphore;

void lt_semaphore_init(lt_Semaphore *semaphore, uint64_t count, uint64_t limit);

/* The wait that takes a unit, for lt_wait. */
lt_Wait lt_semaphore_wait(lt_Semaphore *semaphore, plat_Time deadline);

/* Ready if there is a unit. */
lt_Sight lt_semaphore_sight(lt_Semaphore *semaphore);

/* Gives so many units, or, if there would be more than the limit, none: false. */
bool lt_semaphore_release(lt_Semaphore *semaphore, uint64_t count);

static inline uint64_t lt_semaphore_count(const lt_Semaphore *semaphore) {
  /* Relaxed: the answer may be old before the caller sees it. */
  return atomic_load_explicit(&semaphore->state, memory_order_relaxed) / LT_SEMAPHORE_UNIT;
}

static inline bool lt_semaphore_try(lt_Semaphore *semaphore) {
  /* Relaxed: the exchange compares it. */
  uint64_t state = atomic_load_explicit(&semaphore->state, memory_order_relaxed);
  while (state >= LT_SEMAPHORE_UNIT)
    /* Acquire: what was done before the release is seen by the one who gets the unit. */
    if (atomic_compare_exchange_weak_explicit(&semaphore->state, &state, state - LT_SEMAPHORE_UNIT,
                                              memory_order_acquire, memory_order_relaxed))
      return true;
  return false;
}

#endif
