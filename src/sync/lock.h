/*
** Locks: one word each, with the table of parked waiters of park.h behind it. An RLock is one that
** its owner may acquire again.
*/
#ifndef lt_lock_h
#define lt_lock_h

#include "src/sync/park.h"

/* Any thread may release a lock. */
typedef struct lt_Lock {
  atomic_uint state;
  unsigned handed;             /* when it was handed over last, see fairness.h */
  atomic_uint_least64_t owner; /* the ident of who acquired it last, 0 if that was not noted */
} lt_Lock;

/*
** The bits of the word:
**
**   LT_LOCKED   somebody has the lock
**   LT_WAITED   somebody may be parked on the word: the release has to look
*/
#define LT_LOCKED 1u
#define LT_WAITED 2u

void lt_lock_init(lt_Lock *lock);

/* The wait that acquires the lock, for lt_wait. */
lt_Wait lt_lock_wait(lt_Lock *lock, plat_Time deadline);

bool lt_lock_release_waited(lt_Lock *lock);
bool lt_lock_locked(const lt_Lock *lock);

/* Notes who has acquired it: for diagnostics, and for the RLock. */
void lt_lock_note_owner(lt_Lock *lock, uint64_t ident);

/* Whose wish it is that locks remember by whom they were acquired, a bit each. */
#define LT_OWNERS_FOR_DEADLOCKS 1u
#define LT_OWNERS_FOR_CONTENTION 2u
#define LT_OWNERS_FOR_TRACE 4u

extern atomic_uint lt_lock_owners_wanted;

void lt_lock_want_owners(unsigned whose, bool wanted);

static inline bool lt_lock_owner_is_wanted(void) {
  /* Relaxed: it only says whether to take notes. */
  return atomic_load_explicit(&lt_lock_owners_wanted, memory_order_relaxed) != 0;
}

static inline bool lt_lock_try(lt_Lock *lock) {
  unsigned state = 0;
  do {
    /* Acquire: what was done before the release is seen by the next owner. */
    if (atomic_compare_exchange_weak_explicit(&lock->state, &state, state | LT_LOCKED,
                                              memory_order_acquire, memory_order_relaxed))
      return true;
  } while ((state & LT_LOCKED) == 0);
  return false;
}

/*
** For an owner who releases it soon and calls no Lua meanwhile. He waits with his parker, or, if he
** has none any more, lets others run until he has the lock. 'what' and 'shown' tell what it is the
** lock of.
*/
void lt_lock_wait_brief(lt_Lock *lock, lt_Parker *parker, const char *what, const void *shown);

static inline void lt_lock_acquire_brief(lt_Lock *lock, lt_Parker *parker, const char *what,
                                         const void *shown) {
  if (!lt_lock_try(lock))
    lt_lock_wait_brief(lock, parker, what, shown);
}

/* False: it was not locked. */
static inline bool lt_lock_release(lt_Lock *lock) {
  unsigned state = LT_LOCKED;
  /* Release: the next owner sees what was done with the lock held. */
  if (atomic_compare_exchange_strong_explicit(&lock->state, &state, 0, memory_order_release,
                                              memory_order_relaxed))
    return true;
  return (state & LT_LOCKED) != 0 && lt_lock_release_waited(lock);
}

/* A lock that its owner, a thread's ident, may acquire again. */
typedef struct lt_RLock {
  lt_Lock lock; /* its owner is always noted, 0: nobody */
  atomic_uint_least64_t count;
} lt_RLock;

void lt_rlock_init(lt_RLock *rlock);
bool lt_rlock_owned(const lt_RLock *rlock, uint64_t ident);

/* Notes who has acquired its lock, and how often. */
void lt_rlock_own(lt_RLock *rlock, uint64_t ident, uint64_t count);

/* For one who does not own it. */
bool lt_rlock_try(lt_RLock *rlock, uint64_t ident);

/* For the owner. */
bool lt_rlock_again(lt_RLock *rlock); /* false: it has it too often to count */
void lt_rlock_release(lt_RLock *rlock);
uint64_t lt_rlock_release_all(lt_RLock *rlock); /* returns the count it had */

#endif
