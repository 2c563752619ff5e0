/*
** Shared tables: a table of values, the lock that makes each operation on it one step, and a
** count of its changes.
*/
#ifndef lt_shared_h
#define lt_shared_h

#include "src/biased.h"
#include "src/collect.h"
#include "src/runtime.h"
#include "src/table.h"

typedef struct lt_Shared {
  lt_Traced traced;
  lt_BiasedLock lock; /* of what follows */
  lt_Table table;
  uint64_t changes;
  bool is_globals; /* what it lacks is taken from the globals of a state; never changes */
} lt_Shared;

extern const lt_Type lt_shared_type; /* lib/sharedlib.c */
extern const lt_Tracing lt_shared_tracing;

lt_Shared *lt_shared_new(bool is_globals); /* empty; NULL without memory */
void lt_shared_destroy(lt_Object *object);

/*
** A write: what lies between the two may use lt_Shared.table, and no function of Lua. The end,
** which takes what the begin has returned, counts the change.
*/
static inline lt_Slot *lt_shared_begin_write(lt_Shared *shared, const lt_Thread *self) {
  return lt_biased_begin_write(&shared->lock, lt_user(self));
}

static inline void lt_shared_end_write(lt_Shared *shared, lt_Slot *slot) {
  shared->changes++;
  lt_biased_end(&shared->lock, slot);
}

/*
** A read. Of Lua, only functions that neither raise nor allocate nor collect may be used within.
*/
static inline lt_Slot *lt_shared_begin_read(lt_Shared *shared, const lt_Thread *self) {
  return lt_biased_begin_read(&shared->lock, lt_user(self));
}

static inline void lt_shared_end_read(lt_Shared *shared, lt_Slot *slot) {
  lt_biased_end(&shared->lock, slot);
}

/* A read that takes long: it keeps writers out, and lets readers go on. */
static inline void lt_shared_begin_long_read(lt_Shared *shared, const lt_Thread *self) {
  lt_biased_lock_writers(&shared->lock, lt_user(self));
}

static inline void lt_shared_end_long_read(lt_Shared *shared) {
  lt_biased_unlock(&shared->lock);
}

/*
** Sets a field to 'value', whose reference is taken over, also on failure. Fails without memory,
** and leaves the table as before. Tells whether the old value was a shared object.
*/
typedef enum lt_Set { LT_SET, LT_SET_OVER_OBJECT, LT_NOT_SET } lt_Set;

lt_Set lt_shared_set(lt_Shared *shared, const lt_Thread *self, const lt_Key *key,
                     const lt_Value *value);

#endif
