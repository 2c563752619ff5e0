/*
** Shared state: the word of a lock. Both bits are changed only by compare-and-swap. While both are
** set, only a releaser changes the word, under the mutex of its bucket. A waiter parks only if it
** finds or sets both there: so the releaser can't miss it. spec/model/lock.pml shows that.
**
** Now and then a release hands the lock over, still locked: see fairness.h.
**
** A waiter spins before it parks, since the owner may be about to release.
**
** 'owner' of a lock and 'count' of an RLock are written by the owner only, with the lock held.
*/
#include "src/sync/lock.h"

#include "src/sync/fairness.h"

/*
** Each look of one who spins slows down the one who has the lock, and if he acquires it over and
** over, both get on faster in turns of some length.
*/
#define BETWEEN_LOOKS ((plat_Time)2000)

enum { NOT_HANDED, HANDED };

void lt_lock_init(lt_Lock *lock) {
  atomic_init(&lock->state, 0);
  atomic_init(&lock->owner, 0);
  lock->handed = 0;
}

bool lt_lock_locked(const lt_Lock *lock) {
  /* Relaxed: the answer may be old before the caller sees it. */
  return (atomic_load_explicit(&lock->state, memory_order_relaxed) & LT_LOCKED) != 0;
}

/*
** Whether the lock is locked with LT_WAITED set. Relaxed: the word is compared, nothing is read
** because of it.
*/
static bool announce_waiter(void *context) {
  lt_Lock *lock = context;
  unsigned state = LT_LOCKED;
  return atomic_compare_exchange_strong_explicit(&lock->state, &state, LT_LOCKED | LT_WAITED,
                                                 memory_order_relaxed, memory_order_relaxed) ||
         state == (LT_LOCKED | LT_WAITED);
}

atomic_uint lt_lock_owners_wanted;

void lt_lock_want_owners(unsigned whose, bool wanted) {
  if (wanted)
    atomic_fetch_or(&lt_lock_owners_wanted, whose);
  else
    atomic_fetch_and(&lt_lock_owners_wanted, ~whose);
}

void lt_lock_note_owner(lt_Lock *lock, uint64_t ident) {
  /* Relaxed: a thread finds its own ident only where it wrote it itself. */
  atomic_store_explicit(&lock->owner, ident, memory_order_relaxed);
}

static uint64_t holder(void *context) {
  const lt_Lock *lock = context;
  return atomic_load_explicit(&lock->owner, memory_order_relaxed); /* for diagnostics */
}

static bool try_lock(void *context) {
  return lt_lock_try(context);
}

static bool lock_is_free(void *context) {
  return !lt_lock_locked(context);
}

static bool spin_for_lock(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, lock_is_free, wait->context);
}

lt_Wait lt_lock_wait(lt_Lock *lock, plat_Time deadline) {
  return (lt_Wait){.address = &lock->state,
                   .context = lock,
                   .take = try_lock,
                   .spin = spin_for_lock,
                   .validate = announce_waiter,
                   .deadline = deadline,
                   .what = "lock",
                   .shown = lock,
                   .ender = holder,
                   .relation = "held by"};
}

void lt_lock_wait_brief(lt_Lock *lock, lt_Parker *parker, const char *what, const void *shown) {
  while (parker == NULL) {
    if (lt_lock_try(lock))
      return;
    plat_yield();
  }
  lt_Wait wait = lt_lock_wait(lock, PLAT_FOREVER);
  wait.deaf = LT_BRIEF;
  wait.what = what;
  wait.shown = shown;
  lt_await(parker, &wait);
}

typedef struct Release {
  lt_Lock *lock;
  bool released;
} Release;

static intptr_t hand_over(void *context, plat_Time since, bool more) {
  Release *release = context;
  atomic_uint *word = &release->lock->state;
  bool fair = since != LT_NOBODY && lt_is_time_to_be_fair(&release->lock->handed, since);
  unsigned next = since == LT_NOBODY ? 0 : (fair ? LT_LOCKED : 0) | (more ? LT_WAITED : 0);
  unsigned state = atomic_load_explicit(word, memory_order_relaxed);
  do {
    if ((state & LT_LOCKED) == 0) { /* another release was faster */
      release->released = false;
      return LT_KEEP_PARKED;
    }
    /* Release: the next owner sees what was done with the lock held. */
  } while (!atomic_compare_exchange_weak_explicit(word, &state, next, memory_order_release,
                                                  memory_order_relaxed));
  return fair ? HANDED : NOT_HANDED;
}

bool lt_lock_release_waited(lt_Lock *lock) {
  Release release = {lock, true};
  lt_unpark_one(&lock->state, hand_over, &release);
  return release.released;
}

/*
** RLock. Relaxed everywhere: a thread finds its own ident only where it wrote it itself, and the
** lock orders what one owner does before what the next one does.
*/

void lt_rlock_init(lt_RLock *rlock) {
  lt_lock_init(&rlock->lock);
  atomic_init(&rlock->count, 0);
}

bool lt_rlock_owned(const lt_RLock *rlock, uint64_t ident) {
  return atomic_load_explicit(&rlock->lock.owner, memory_order_relaxed) == ident;
}

void lt_rlock_own(lt_RLock *rlock, uint64_t ident, uint64_t count) {
  lt_lock_note_owner(&rlock->lock, ident);
  atomic_store_explicit(&rlock->count, count, memory_order_relaxed);
}

bool lt_rlock_try(lt_RLock *rlock, uint64_t ident) {
  if (!lt_lock_try(&rlock->lock))
    return false;
  lt_rlock_own(rlock, ident, 1);
  return true;
}

bool lt_rlock_again(lt_RLock *rlock) {
  uint64_t count = atomic_load_explicit(&rlock->count, memory_order_relaxed);
  if (count == INT64_MAX)
    return false;
  atomic_store_explicit(&rlock->count, count + 1, memory_order_relaxed);
  return true;
}

void lt_rlock_release(lt_RLock *rlock) {
  if (atomic_fetch_sub_explicit(&rlock->count, 1, memory_order_relaxed) == 1)
    lt_rlock_release_all(rlock);
}

uint64_t lt_rlock_release_all(lt_RLock *rlock) {
  uint64_t count = atomic_load_explicit(&rlock->count, memory_order_relaxed);
  lt_rlock_own(rlock, 0, 0);
  lt_lock_release(&rlock->lock);
  return count;
}
