/*
** Shared state: the lock's word, see lock.c; 'biased' and the slots, which are atomic; 'reads',
** under the lock.
*/
#include "src/biased.h"

#define SPINS 100

lt_ReaderSlot lt_reader_slots[LT_READER_SLOTS];

void lt_biased_init(lt_BiasedLock *lock) {
  lt_lock_init(&lock->lock);
  atomic_init(&lock->biased, false);
  lock->reads = 0;
}

/* The holder may be about to unlock on another processor, or not be running at all. */
static void wait_for_lock(lt_BiasedLock *lock, lt_Parker *parker) {
  for (int i = 0; i < SPINS; i++) {
    plat_relax();
    if (!lt_lock_locked(&lock->lock) && lt_lock_try(&lock->lock))
      return;
  }
  if (parker != NULL) {
    lt_lock_acquire(&lock->lock, &(lt_Acquire){parker, 0, PLAT_FOREVER, true});
  } else {
    while (!lt_lock_try(&lock->lock))
      plat_yield();
  }
}

void lt_biased_lock_writers(lt_BiasedLock *lock, lt_Parker *parker) {
  if (!lt_lock_try(&lock->lock))
    wait_for_lock(lock, parker);
}

void lt_biased_lock_reading(lt_BiasedLock *lock, lt_Parker *parker) {
  lt_biased_lock_writers(lock, parker);
  if (++lock->reads == LT_READS_TO_BIAS)
    atomic_store(&lock->biased, true);
}

static void remove_bias(lt_BiasedLock *lock) {
  atomic_store(&lock->biased, false);
  for (int i = 0; i < LT_READER_SLOTS; i++) {
    int spins = 0;
    while (atomic_load(&lt_reader_slots[i].lock) == lock) {
      if (++spins < SPINS)
        plat_relax();
      else
        plat_yield();
    }
  }
}

void lt_biased_lock(lt_BiasedLock *lock, lt_Parker *parker) {
  lt_biased_lock_writers(lock, parker);
  lock->reads = 0;
  /* Relaxed: the lock orders what was written with it held. */
  if (atomic_load_explicit(&lock->biased, memory_order_relaxed))
    remove_bias(lock);
}

void lt_biased_unlock(lt_BiasedLock *lock) {
  lt_lock_release(&lock->lock);
}
