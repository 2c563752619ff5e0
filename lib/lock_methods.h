/*
** Locks, for what has one of them: a condition. A lock is here an object of either type, lock or
** RLock.
*/
#ifndef lt_lock_methods_h
#define lt_lock_methods_h

#include "lib/libs.h"

bool lt_is_lock(const lt_Object *object);

/* A new RLock with one reference; NULL without memory. */
lt_Object *lt_rlock_new(void);

/* Methods of the lock at index 1. */
int lt_lock_method_acquire(lua_State *L);
int lt_lock_method_release(lua_State *L);
int lt_lock_method_locked(lua_State *L);
int lt_lock_method_hold(lua_State *L);
int lt_lock_method_with(lua_State *L);

bool lt_lock_is_owned(const lt_Object *lock, uint64_t ident);

/* How its owner had a lock that he has released. */
typedef struct lt_LockHolding {
  uint64_t count;
  bool guarded;
} lt_LockHolding;

/* Releases it, however often the calling thread, its owner, has acquired it. */
lt_LockHolding lt_lock_suspend(lt_Object *lock);

/*
** Acquires it and has it as before. An interrupt does not end this; only the end of the runtime
** does, by raising SystemExit.
*/
void lt_lock_resume(lua_State *L, lt_Object *lock, lt_LockHolding as_before);

#endif
