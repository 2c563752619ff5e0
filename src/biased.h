/*
** A lock for short critical sections of which many only read. While it is biased, a reader does not
** touch the lock but announces itself in a slot of its own thread, so that readers do not wait for
** each other's cache line. A writer takes the bias away and waits for the readers that are there;
** the bias comes back when reads have gone by without a write.
**
** With the lock held no function of Lua may be called that can raise, allocate or collect, and no
** second lock be taken.
*/
#ifndef lt_biased_h
#define lt_biased_h

#include "src/lock.h"

#define LT_READER_SLOTS 64
#define LT_READS_TO_BIAS 256

typedef struct lt_ReaderSlot {
  _Alignas(64) _Atomic(const void *) lock; /* which one its thread reads under, or NULL */
} lt_ReaderSlot;

extern lt_ReaderSlot lt_reader_slots[LT_READER_SLOTS];

typedef struct lt_BiasedLock {
  lt_Lock lock;
  atomic_bool biased; /* written with the lock held */
  uint32_t reads;     /* under the lock since the last write; with the lock held */
} lt_BiasedLock;

void lt_biased_init(lt_BiasedLock *lock);

/*
** To write. 'parker' is the calling thread's, to wait with; NULL for one that has none: it yields
** until the lock is free.
*/
void lt_biased_lock(lt_BiasedLock *lock, lt_Parker *parker);
void lt_biased_unlock(lt_BiasedLock *lock);

/* Keeps writers out, but not readers. Ends with lt_biased_unlock. */
void lt_biased_lock_writers(lt_BiasedLock *lock, lt_Parker *parker);

/* Reads under the lock, when there is no bias. */
void lt_biased_lock_reading(lt_BiasedLock *lock, lt_Parker *parker);

/*
** To read. 'ident' is the calling thread's. What is returned is for lt_biased_end_read: the slot,
** or NULL if the lock is held.
*/
static inline lt_ReaderSlot *lt_biased_begin_read(lt_BiasedLock *lock, uint64_t ident,
                                                  lt_Parker *parker) {
  /* Relaxed: only a first look. */
  if (atomic_load_explicit(&lock->biased, memory_order_relaxed)) {
    lt_ReaderSlot *slot = &lt_reader_slots[ident % LT_READER_SLOTS];
    const void *none = NULL;
    /*
    ** In the one order of these operations either the announcement comes before the writer looks at
    ** the slots, or the writer's removal of the bias before this looks at it.
    */
    if (atomic_compare_exchange_strong(&slot->lock, &none, lock)) {
      if (atomic_load(&lock->biased))
        return slot;
      atomic_store_explicit(&slot->lock, NULL, memory_order_relaxed); /* nothing was read */
    }
  }
  lt_biased_lock_reading(lock, parker);
  return NULL;
}

static inline void lt_biased_end_read(lt_BiasedLock *lock, lt_ReaderSlot *slot) {
  if (slot != NULL)
    /* Release: what was read was read before a writer finds the slot empty. */
    atomic_store_explicit(&slot->lock, NULL, memory_order_release);
  else
    lt_biased_unlock(lock);
}

#endif
