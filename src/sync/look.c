/*
** Invariant: a looker that is in its bucket finds the thing ready before it parks, or will be woken
** after it has become so. Checked by spec/model/lookers.pml.
**
** It enters the bucket and announces itself under the bucket's mutex. Who changes the thing does so
** first, then finds the announcement, and then takes this mutex: so he finds the looker. Of
** the announcement and the change one comes first; the looker looks at the thing after the one, he
** for the announcement after the other: at least one of the two sees the other.
**
** Shared state: the buckets. Under a bucket's mutex are its list and the links and 'queued' of
** every looker in it. Who takes one out sets 'seen' under it, too: until its thread has had the
** mutex of each of its lookers, as it leaves, it stays where it is. While such a mutex is held, no
** other one of them and none of park.c is taken.
*/
#include "src/sync/look.h"

typedef struct LookerBucket {
  plat_Mutex mutex;
  lt_Looker *first;
} LookerBucket;

enum { LOOKER_BUCKETS = 256 };

#define NO_LOOKERS                                                                                 \
  { PLAT_MUTEX_INIT, NULL }
#define NO_LOOKERS_4 NO_LOOKERS, NO_LOOKERS, NO_LOOKERS, NO_LOOKERS
#define NO_LOOKERS_16 NO_LOOKERS_4, NO_LOOKERS_4, NO_LOOKERS_4, NO_LOOKERS_4
#define NO_LOOKERS_64 NO_LOOKERS_16, NO_LOOKERS_16, NO_LOOKERS_16, NO_LOOKERS_16

static LookerBucket looker_buckets[LOOKER_BUCKETS] = {NO_LOOKERS_64, NO_LOOKERS_64, NO_LOOKERS_64,
                                                      NO_LOOKERS_64};

static LookerBucket *bucket_of_lookers(const void *address) {
  uint64_t bits = (uint64_t)(uintptr_t)address;
  return &looker_buckets[(bits * UINT64_C(0x9E3779B97F4A7C15)) >> 56];
}

static void enter_bucket(LookerBucket *bucket, lt_Looker *looker) {
  looker->previous = NULL;
  looker->next = bucket->first;
  if (looker->next != NULL)
    looker->next->previous = looker;
  bucket->first = looker;
  looker->queued = true;
}

static void leave_bucket(LookerBucket *bucket, lt_Looker *looker) {
  *(looker->previous != NULL ? &looker->previous->next : &bucket->first) = looker->next;
  if (looker->next != NULL)
    looker->next->previous = looker->previous;
  looker->queued = false;
}

void lt_looking_init(lt_Looking *looking, lt_Looker *lookers) {
  looking->parker = NULL;
  looking->lookers = lookers;
  looking->count = 0;
  looking->entered = 0;
  atomic_init(&looking->seen, false);
}

bool lt_look_enter(lt_Looking *looking) {
  bool waits = true;
  /* Relaxed: nobody sets it before the first one has entered. */
  atomic_store_explicit(&looking->seen, false, memory_order_relaxed);
  while (waits && looking->entered < looking->count) {
    lt_Looker *looker = &looking->lookers[looking->entered++];
    LookerBucket *bucket = bucket_of_lookers(looker->sight.address);
    looker->looking = looking;
    plat_mutex_lock(&bucket->mutex);
    enter_bucket(bucket, looker);
    waits = looker->sight.announce(&looker->sight);
    plat_mutex_unlock(&bucket->mutex);
  }
  return waits;
}

void lt_look_leave(lt_Looking *looking) {
  while (looking->entered > 0) {
    lt_Looker *looker = &looking->lookers[--looking->entered];
    LookerBucket *bucket = bucket_of_lookers(looker->sight.address);
    plat_mutex_lock(&bucket->mutex);
    if (looker->queued)
      leave_bucket(bucket, looker);
    plat_mutex_unlock(&bucket->mutex);
  }
}

/*
** Under the mutex, so its thread is still there. One unpark is enough: who was the first to see
** something for this thread has called it, or is about to.
*/
static void show(lt_Looking *looking) {
  /* Acquire and release: what was done before is seen by the thread when it finds 'seen'. */
  if (!atomic_exchange_explicit(&looking->seen, true, memory_order_acq_rel))
    lt_parker_wake(looking->parker);
}

void lt_look_wake(const void *address) {
  LookerBucket *bucket = bucket_of_lookers(address);
  plat_mutex_lock(&bucket->mutex);
  lt_Looker *looker = bucket->first;
  while (looker != NULL) {
    lt_Looker *next = looker->next;
    if (looker->sight.address == address) {
      leave_bucket(bucket, looker);
      show(looker->looking);
    }
    looker = next;
  }
  plat_mutex_unlock(&bucket->mutex);
}

void lt_look_after_fork(void) {
  for (size_t i = 0; i < LOOKER_BUCKETS; i++) {
    plat_mutex_init(&looker_buckets[i].mutex);
    looker_buckets[i].first = NULL;
  }
}
