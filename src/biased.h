/*
** A lock for short critical sections, which costs nothing but a few ordinary instructions while
** one thread has it to itself, or while all that use it only read.
**
** Such a lock is biased, to one thread or to readers. Who it is biased to does not touch it, but
** announces itself in a slot of its own. Anybody else locks it, takes the bias away, and waits
** for those who are announced. That is expensive, so the bias comes back only after many uses
** that it would have served, and after twice as many each time.
**
** With the lock held no function of Lua may be called that can raise, allocate or collect, and no
** second one of these locks be taken.
*/
#ifndef lt_biased_h
#define lt_biased_h

#include <limits.h>

#include "src/lock.h"

/* Slots have numbers from 1 on; 0 is that of a thread for which there is none. */
#define LT_SLOTS 64

typedef struct lt_Slot {
  _Alignas(PLAT_CACHE_LINE) _Atomic(const void *)
      lock; /* which one its thread uses by its bias, or NULL */
} lt_Slot;

extern lt_Slot lt_slots[LT_SLOTS];

/* What a lock is biased to: a slot's number, or one of these. */
#define LT_UNBIASED 0u
#define LT_READERS UINT_MAX
#define LT_UNBIASING (UINT_MAX - 1) /* to no one any more, but who was may still be at work */

typedef struct lt_BiasedLock {
  lt_Lock lock;
  atomic_uint bias; /* written with the lock held */
  unsigned last;    /* with the lock held: the slot of who held it before */
  uint32_t run;     /* how often in a row that thread held it */
  uint32_t reads;   /* how often in a row it was held to read */
  uint32_t needed;  /* how many of them make a bias */
} lt_BiasedLock;

/* Once before anything else here, by any number of threads. */
void lt_biased_setup(void);

/* A slot for the calling thread, to be given back when it does not use these locks any more. */
unsigned lt_slot_take(void);
void lt_slot_give(unsigned slot);

/* In the child of a fork: no other thread is there that could be announced. */
void lt_slots_after_fork(void);

void lt_biased_init(lt_BiasedLock *lock);

/* Who uses the lock: the thread's slot, and its parker to wait with; without one it yields. */
typedef struct lt_User {
  unsigned slot;
  lt_Parker *parker;
} lt_User;

void lt_biased_lock(lt_BiasedLock *lock, lt_User user);
void lt_biased_lock_reading(lt_BiasedLock *lock, lt_User user);
void lt_biased_unlock(lt_BiasedLock *lock);

/*
** Whether the lock is biased, for one who has written something before that he wants those with the
** bias to see: false, and they will; true, and they will after plat_heavy_barrier, if they pass the
** light one. Sequentially consistent: see set_bias and remove_bias.
*/
static inline bool lt_biased_is(const lt_BiasedLock *lock) {
  return atomic_load(&lock->bias) != LT_UNBIASED;
}

/* Keeps those out that write, but not readers. Ends with lt_biased_unlock. */
void lt_biased_lock_writers(lt_BiasedLock *lock, lt_User user);

/* Uses the bias, if it is 'bias'; NULL if it is not. */
static inline lt_Slot *lt_biased_enter(lt_BiasedLock *lock, unsigned slot, unsigned bias) {
  lt_Slot *announced = &lt_slots[slot];
  atomic_store_explicit(&announced->lock, lock, memory_order_relaxed);
  /*
  ** With the heavy barrier of the one who takes the bias away: either that one finds the
  ** announcement, or the bias is found gone here. Acquire: what was written before the bias came
  ** is seen.
  */
  plat_light_barrier();
  if (atomic_load_explicit(&lock->bias, memory_order_acquire) == bias)
    return announced;
  atomic_store_explicit(&announced->lock, NULL, memory_order_relaxed); /* nothing was used */
  return NULL;
}

/*
** To write and to read. What is returned is for lt_biased_end: the slot, or NULL if the lock is
** held. Relaxed: the first look at the bias is only a hint.
*/
static inline lt_Slot *lt_biased_begin_write(lt_BiasedLock *lock, lt_User user) {
  unsigned bias = atomic_load_explicit(&lock->bias, memory_order_relaxed);
  lt_Slot *slot = NULL;
  if (bias != LT_UNBIASED && bias == user.slot)
    slot = lt_biased_enter(lock, user.slot, bias);
  if (slot == NULL)
    lt_biased_lock(lock, user);
  return slot;
}

static inline lt_Slot *lt_biased_begin_read(lt_BiasedLock *lock, lt_User user) {
  unsigned bias = atomic_load_explicit(&lock->bias, memory_order_relaxed);
  lt_Slot *slot = NULL;
  if (bias != LT_UNBIASED && user.slot != 0 && (bias == user.slot || bias == LT_READERS))
    slot = lt_biased_enter(lock, user.slot, bias);
  if (slot == NULL)
    lt_biased_lock_reading(lock, user);
  return slot;
}

static inline void lt_biased_end(lt_BiasedLock *lock, lt_Slot *slot) {
  if (slot != NULL)
    /* Release: who finds the slot empty sees all that was done. */
    atomic_store_explicit(&slot->lock, NULL, memory_order_release);
  else
    lt_biased_unlock(lock);
}

#endif
