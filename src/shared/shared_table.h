/*
** Shared tables, as threads use them: a value table, the lock that makes each operation on it one
** step, a count of its changes, and, if it is a shared object, the metatable.
*/
#ifndef lt_shared_table_h
#define lt_shared_table_h

#include "src/object/cycles.h"
#include "src/shared/value_table.h"
#include "src/sync/biased_lock.h"

typedef struct lt_SharedTable {
  lt_Traced traced;
  lt_BiasedLock lock; /* of what follows */
  lt_ValueTable table;
  uint64_t changes;
  lt_Object *metatable; /* see shared_metatable.h; or NULL. Set before any thread sees the table */
  bool is_globals;      /* what it lacks is taken from the globals of a state; never changes */
} lt_SharedTable;

extern lt_Type lt_shared_table_type;

lt_SharedTable *lt_shared_table_new(bool is_globals); /* empty; NULL without memory */

/* Makes a new one, which nobody has seen, a shared object. */
void lt_shared_table_set_metatable(lt_SharedTable *shared, lt_Object *metatable);

/*
** A write: what lies between the two may use lt_SharedTable.table, and no function of Lua. The end,
** which takes what the begin has returned, counts the change.
*/
static inline lt_BiasSlot *lt_shared_table_begin_write(lt_SharedTable *shared, lt_BiasUser user) {
  return lt_biased_lock_begin_write(&shared->lock, user);
}

static inline void lt_shared_table_end_write(lt_SharedTable *shared, lt_BiasSlot *slot) {
  shared->changes++;
  lt_biased_lock_end(&shared->lock, slot);
}

/*
** A read. Of Lua, only functions that neither raise nor allocate nor collect may be used within.
*/
static inline lt_BiasSlot *lt_shared_table_begin_read(lt_SharedTable *shared, lt_BiasUser user) {
  return lt_biased_lock_begin_read(&shared->lock, user);
}

static inline void lt_shared_table_end_read(lt_SharedTable *shared, lt_BiasSlot *slot) {
  lt_biased_lock_end(&shared->lock, slot);
}

/* A read that takes long: it keeps writers out, and lets readers go on. */
static inline void lt_shared_table_begin_long_read(lt_SharedTable *shared, lt_BiasUser user) {
  lt_biased_lock_keep_writers_out(&shared->lock, user);
}

static inline void lt_shared_table_end_long_read(lt_SharedTable *shared) {
  lt_biased_lock_release(&shared->lock);
}

/*
** Sets a field to 'value', whose reference is taken over, also on failure. Fails without memory,
** and leaves the table as before. Tells whether the old value was a shared object.
*/
typedef enum lt_SetOutcome { LT_SET, LT_SET_OVER_OBJECT, LT_NOT_SET } lt_SetOutcome;

lt_SetOutcome lt_shared_table_set(lt_SharedTable *shared, lt_BiasUser user, const lt_SharedKey *key,
                                  const lt_SharedValue *value);

#endif
