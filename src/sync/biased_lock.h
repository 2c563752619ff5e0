/*
** Biased locks: for critical sections of a few instructions.
**
** A lock that one thread has used for itself many times in a row becomes biased to that thread, its
** owner; one that was only read, to all readers. From then on an owner does not write to the lock.
** He announces in a slot of his own which lock he uses, sees that the bias is still there, and does
** his work: some ordinary instructions.
**
** Whoever else needs the lock is the revoker: he acquires the lock proper, takes the bias away, and
** waits until no owner announces it any more. That is expensive, as it needs a barrier on all
** processors. So the bias returns only after many uses that it would have served, twice as many
** each time.
**
** It buys a tenth of the time in which a thread gets and sets a field of a shared table that it
** has to itself (74 ns rather than 82); and readers of one do not write to a common word. Without
** biases all of it is right, too.
**
** While one of these locks is held, no second one is acquired, and no function of Lua is called
** that can raise, allocate or collect.
*/
#ifndef lt_biased_lock_h
#define lt_biased_lock_h

#include <limits.h>

#include "src/sync/lock.h"

/* Slots have numbers from 1 on; 0 is that of a thread for which there is none. */
#define LT_BIAS_SLOTS 64

/* 'lock': which one the slot's thread uses by its bias, or NULL. */
typedef struct lt_BiasSlot {
  _Alignas(PLAT_CACHE_LINE) _Atomic(const void *) lock;
} lt_BiasSlot;

extern lt_BiasSlot lt_bias_slots[LT_BIAS_SLOTS];

/* What a lock is biased to: a slot's number, or one of these. */
#define LT_BIAS_NONE 0u
#define LT_BIAS_READERS UINT_MAX

typedef struct lt_BiasedLock {
  lt_Lock lock;
  atomic_uint bias; /* written with the lock held */
  unsigned last;    /* this and the rest with the lock held: the slot of who held it before */
  uint32_t run;     /* how often in a row that thread held it */
  uint32_t reads;   /* how often in a row it was held to read */
  uint32_t needed;  /* how often in a row makes a bias */
} lt_BiasedLock;

/* Once before anything else here, by any number of threads. */
void lt_biased_lock_setup(void);

/* A slot for the calling thread, which gives it back when it does not use these locks any more. */
unsigned lt_bias_slot_take(void);
void lt_bias_slot_give(unsigned slot);

/* In the child of a fork: no other thread is there that could have announced anything. */
void lt_bias_slots_after_fork(void);

void lt_biased_lock_init(lt_BiasedLock *lock);

/* Who uses the lock: the thread's slot, and its parker to wait with; without one it yields. */
typedef struct lt_BiasUser {
  unsigned slot;
  lt_Parker *parker;
} lt_BiasUser;

void lt_biased_lock_acquire(lt_BiasedLock *lock, lt_BiasUser user);
void lt_biased_lock_acquire_to_read(lt_BiasedLock *lock, lt_BiasUser user);
void lt_biased_lock_release(lt_BiasedLock *lock);

/* Keeps writers out, but not readers with a bias. Ends with lt_biased_lock_release. */
void lt_biased_lock_keep_writers_out(lt_BiasedLock *lock, lt_BiasUser user);

/* The owner uses his bias, if the lock still is biased so; else returns NULL. */
static inline lt_BiasSlot *lt_biased_lock_enter(lt_BiasedLock *lock, unsigned slot, unsigned bias) {
  lt_BiasSlot *announced = &lt_bias_slots[slot];
  atomic_store_explicit(&announced->lock, lock, memory_order_relaxed);
  /*
  ** The light barrier stands against the heavy one of the revoker: either he finds the
  ** announcement, or the owner finds the bias gone. Acquire: what was written before the bias came
  ** is seen.
  */
  plat_light_barrier();
  if (atomic_load_explicit(&lock->bias, memory_order_acquire) == bias)
    return announced;
  atomic_store_explicit(&announced->lock, NULL, memory_order_relaxed); /* nothing was used */
  return NULL;
}

/*
** To write and to read. What is returned is for lt_biased_lock_end: the slot, or NULL if the lock
** is held. Relaxed: the first look at the bias is only a hint.
*/
static inline lt_BiasSlot *lt_biased_lock_begin_write(lt_BiasedLock *lock, lt_BiasUser user) {
  unsigned bias = atomic_load_explicit(&lock->bias, memory_order_relaxed);
  lt_BiasSlot *slot = NULL;
  if (bias != LT_BIAS_NONE && bias == user.slot)
    slot = lt_biased_lock_enter(lock, user.slot, bias);
  if (slot == NULL)
    lt_biased_lock_acquire(lock, user);
  return slot;
}

static inline lt_BiasSlot *lt_biased_lock_begin_read(lt_BiasedLock *lock, lt_BiasUser user) {
  unsigned bias = atomic_load_explicit(&lock->bias, memory_order_relaxed);
  lt_BiasSlot *slot = NULL;
  if (bias != LT_BIAS_NONE && user.slot != 0 && (bias == user.slot || bias == LT_BIAS_READERS))
    slot = lt_biased_lock_enter(lock, user.slot, bias);
  if (slot == NULL)
    lt_biased_lock_acquire_to_read(lock, user);
  return slot;
}

static inline void lt_biased_lock_end(lt_BiasedLock *lock, lt_BiasSlot *slot) {
  if (slot != NULL)
    /* Release: who finds the slot empty sees all that was done. */
    atomic_store_explicit(&slot->lock, NULL, memory_order_release);
  else
    lt_biased_lock_release(lock);
}

#endif
