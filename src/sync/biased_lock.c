/*
** Shared state: the word of the lock proper, see lock.c; its 'bias' and the slots, which are
** atomic; its other fields, with the lock held; and which slots are taken, one bit each.
**
** spec/model/bias.pml shows that a biased lock lets in one at a time.
*/
#include "src/sync/biased_lock.h"

#define SPINS 100
#define FIRST_NEEDED 1024
#define MOST_NEEDED (1u << 20)

lt_BiasSlot lt_bias_slots[LT_BIAS_SLOTS];
static atomic_uint_least64_t bias_taken = 1; /* slot 0 is nobody's */

void lt_biased_lock_setup(void) {
  plat_barrier_setup();
}

unsigned lt_bias_slot_take(void) {
  uint64_t bits = atomic_load(&bias_taken);
  for (;;) {
    unsigned slot = 1;
    while (slot < LT_BIAS_SLOTS && (bits >> slot & 1) != 0)
      slot++;
    if (slot == LT_BIAS_SLOTS)
      return 0;
    if (atomic_compare_exchange_weak(&bias_taken, &bits, bits | (uint64_t)1 << slot))
      return slot;
  }
}

void lt_bias_slot_give(unsigned slot) {
  if (slot != 0)
    atomic_fetch_and(&bias_taken, ~((uint64_t)1 << slot));
}

void lt_bias_slots_after_fork(void) {
  for (int i = 0; i < LT_BIAS_SLOTS; i++)
    atomic_store(&lt_bias_slots[i].lock, NULL);
}

void lt_biased_lock_init(lt_BiasedLock *lock) {
  lt_lock_init(&lock->lock);
  atomic_init(&lock->bias, LT_BIAS_NONE);
  lock->last = 0;
  lock->run = 0;
  lock->reads = 0;
  lock->needed = FIRST_NEEDED;
}

/*
** Locking. Who holds the lock may be about to release it on another processor, or not be running at
** all.
*/

static void wait_for_slot(const lt_BiasedLock *lock, unsigned slot) {
  int spins = 0;
  /* Acquire: the revoker sees what the owner did by his bias. */
  while (atomic_load_explicit(&lt_bias_slots[slot].lock, memory_order_acquire) == lock) {
    if (++spins < SPINS)
      plat_relax();
    else
      plat_yield();
  }
}

/* By the revoker. Relaxed: the heavy barrier orders the store before his look at the slots. */
static void remove_bias(lt_BiasedLock *lock, unsigned bias) {
  atomic_store_explicit(&lock->bias, LT_BIAS_NONE, memory_order_relaxed);
  plat_heavy_barrier();
  for (unsigned slot = 1; bias == LT_BIAS_READERS && slot < LT_BIAS_SLOTS; slot++)
    wait_for_slot(lock, slot);
  if (bias != LT_BIAS_READERS)
    wait_for_slot(lock, bias);
  lock->run = 0;
  lock->reads = 0;
  if (lock->needed < MOST_NEEDED)
    lock->needed *= 2;
}

/*
** Acquires the lock, and takes away a bias that is neither the user's own nor, unless readers shall
** be kept out too, that of readers.
*/
static void lock_against(lt_BiasedLock *lock, lt_BiasUser user, bool readers_too) {
  lt_lock_acquire_brief(&lock->lock, user.parker, "shared table", lock);
  /* Relaxed: it is written with the lock held. */
  unsigned bias = atomic_load_explicit(&lock->bias, memory_order_relaxed);
  if (bias != LT_BIAS_NONE && bias != user.slot && (bias != LT_BIAS_READERS || readers_too))
    remove_bias(lock, bias);
}

/* Release: a thread that finds the bias sees what was written before it was set. */
static void set_bias(lt_BiasedLock *lock, unsigned bias) {
  atomic_store_explicit(&lock->bias, bias, memory_order_release);
}

static void count_use(lt_BiasedLock *lock, lt_BiasUser user) {
  lock->run = user.slot == lock->last ? lock->run + 1 : 0;
  lock->last = user.slot;
  if (lock->run >= lock->needed && user.slot != 0)
    set_bias(lock, user.slot);
}

void lt_biased_lock_acquire(lt_BiasedLock *lock, lt_BiasUser user) {
  lock_against(lock, user, true);
  lock->reads = 0;
  count_use(lock, user);
}

void lt_biased_lock_acquire_to_read(lt_BiasedLock *lock, lt_BiasUser user) {
  lock_against(lock, user, false);
  lock->reads++;
  count_use(lock, user);
  if (lock->reads >= lock->needed && lock->run < lock->needed)
    set_bias(lock, LT_BIAS_READERS);
}

void lt_biased_lock_keep_writers_out(lt_BiasedLock *lock, lt_BiasUser user) {
  lock_against(lock, user, false);
}

void lt_biased_lock_release(lt_BiasedLock *lock) {
  lt_lock_release(&lock->lock);
}
