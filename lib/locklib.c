/*
** Locks, as Lua sees them. A lock and an RLock share all methods; an RLock has some of its own.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "lib/holding.h"
#include "lib/lock_methods.h"
#include "src/sync/lock.h"
#include "src/thread/interrupt.h"
#include "src/thread/wait.h"

/*
** The last two are written by the one who has the lock. Relaxed: a thread finds its own ident only
** where it wrote it itself.
*/
typedef struct LockObject {
  lt_Object object;
  lt_Lock lock;
  atomic_uint_least64_t holder; /* the ident of who has it; 0: nobody, or not known any more */
  atomic_bool guarded;          /* a guard may have it, which can be collected */
} LockObject;

typedef struct RLockObject {
  lt_Object object;
  lt_RLock rlock;
} RLockObject;

static void lock_destroy(lt_Object *object) {
  free(object);
}

/*
** allocate_lock() -> lock
** A new lock, unlocked. Also allocate(), lock(), LockType(). Follows _thread.allocate_lock.
*/
int lt_allocate_lock(lua_State *L) {
  lt_check_most(L, 0, 0);
  LockObject *lock = malloc(sizeof(*lock));
  if (lock == NULL)
    return lt_raise_memory(L);
  lt_object_init(&lock->object, &lt_lock_type);
  lt_lock_init(&lock->lock);
  atomic_init(&lock->holder, 0);
  atomic_init(&lock->guarded, false);
  lt_object_push_own(L, &lock->object);
  return 1;
}

lt_Object *lt_rlock_new(void) {
  RLockObject *rlock = malloc(sizeof(*rlock));
  if (rlock == NULL)
    return NULL;
  lt_object_init(&rlock->object, &lt_rlock_type);
  lt_rlock_init(&rlock->rlock);
  return &rlock->object;
}

/*
** RLock() -> rlock
** A new lock that the thread that has it may acquire again. Follows _thread.RLock.
*/
static int allocate_rlock(lua_State *L) {
  lt_check_most(L, 0, 0);
  lt_Object *rlock = lt_rlock_new();
  if (rlock == NULL)
    return lt_raise_memory(L);
  lt_object_push_own(L, rlock);
  return 1;
}

static const char not_locked[] = "release unlocked lock";
static const char not_acquired[] = "cannot release un-acquired lock";

LT_CLASS(lt_LockType, "_thread.lock", NULL, lt_allocate_lock);
LT_CLASS(lt_RLockType, "_thread.RLock", NULL, allocate_rlock);

static LockObject *lock_of(const lt_Proxy *proxy) {
  return (LockObject *)proxy->object;
}

static LockObject *check_lock(lua_State *L) {
  return lock_of(lt_check_proxy(L, 1, &lt_lock_type));
}

static lt_RLock *check_rlock(lua_State *L) {
  return &((RLockObject *)lt_check_object(L, 1, &lt_rlock_type))->rlock;
}

static uint64_t own_ident(lua_State *L) {
  return atomic_load_explicit(&lt_self(L)->ident, memory_order_relaxed); /* it wrote it itself */
}

static bool is_held_by(const LockObject *lock, uint64_t ident) {
  return atomic_load_explicit(&lock->holder, memory_order_relaxed) == ident;
}

static void set_holder(LockObject *lock, uint64_t ident) {
  atomic_store_explicit(&lock->holder, ident, memory_order_relaxed);
}

/* The owner is for those who look into the program, if they want it. */
static void note_holder(const lt_Proxy *proxy) {
  uint64_t ident = lt_holder_ident(proxy);
  set_holder(lock_of(proxy), ident);
  if (lt_lock_owner_is_wanted())
    lt_lock_note_owner(&lock_of(proxy)->lock, ident);
}

static bool wait_for_native_lock(lua_State *L, lt_Lock *lock, plat_Time deadline) {
  lt_Wait wait = lt_lock_wait(lock, deadline);
  return lt_wait(L, lt_self(L), &wait);
}

static bool wait_for_rlock(lua_State *L, lt_RLock *rlock, plat_Time deadline) {
  bool acquired = wait_for_native_lock(L, &rlock->lock, deadline);
  if (acquired)
    lt_rlock_own(rlock, own_ident(L), 1);
  return acquired;
}

/*
** A thread that would wait for itself: perhaps the coroutine that holds the lock was dropped, and
** only has to be collected.
*/
static void collect_holder(lua_State *L, LockObject *lock) {
  if (!is_held_by(lock, own_ident(L)) ||
      !atomic_load_explicit(&lock->guarded, memory_order_relaxed))
    return;
  atomic_store_explicit(&lock->guarded, false, memory_order_relaxed); /* it is tried once */
  lua_gc(L, LUA_GCCOLLECT);
}

static bool wait_for_plain_lock(lua_State *L, LockObject *lock, plat_Time deadline) {
  if (deadline != PLAT_AT_ONCE)
    collect_holder(L, lock);
  return wait_for_native_lock(L, &lock->lock, deadline);
}

/* With arguments, or when the lock was not to be had at once. */
static int acquire_or_wait(lua_State *L, const lt_Proxy *proxy) {
  LockObject *lock = lock_of(proxy);
  plat_Time deadline = PLAT_FOREVER;
  bool blocking = lua_gettop(L) == 1 || lt_check_waiting(L, &deadline);
  bool acquired = lt_lock_try(&lock->lock) || (blocking && wait_for_plain_lock(L, lock, deadline));
  if (acquired)
    note_holder(proxy);
  lua_pushboolean(L, acquired);
  return 1;
}

/*
** lock:acquire([blocking = true [, timeout = -1]]) -> boolean
** Locks the lock. If it is locked, waits until it is released; without 'blocking' not at all,
** with a timeout at most so many seconds; a negative one is none. Returns whether the lock was
** acquired. By name: lock:acquire{timeout = 0.5}. Raises ValueError for a timeout without
** blocking or one that is NaN, OverflowError beyond TIMEOUT_MAX. Follows lock.acquire.
*/
static int lock_acquire(lua_State *L) {
  const lt_Proxy *proxy = lt_check_proxy(L, 1, &lt_lock_type);
  if (lua_gettop(L) > 1 || !lt_lock_try(&lock_of(proxy)->lock))
    return acquire_or_wait(L, proxy);
  note_holder(proxy);
  lua_pushboolean(L, 1);
  return 1;
}

/*
** lock:release()
** Unlocks the lock, in whichever thread it was locked. Raises RuntimeError if it is not locked.
** Follows lock.release.
*/
static int lock_release(lua_State *L) {
  LockObject *lock = check_lock(L);
  set_holder(lock, 0); /* while it is still locked */
  if (!lt_lock_release(&lock->lock))
    return lt_raise(L, &lt_RuntimeError, not_locked);
  return 0;
}

/* lock:locked() -> boolean. Whether somebody has the lock. Follows lock.locked. */
static int lock_locked(lua_State *L) {
  lua_pushboolean(L, lt_lock_locked(&check_lock(L)->lock));
  return 1;
}

static int lock_tostring(lua_State *L) {
  const lt_Lock *lock = &check_lock(L)->lock;
  lua_pushfstring(L, "<%s _thread.lock object at %p>", lt_lock_locked(lock) ? "locked" : "unlocked",
                  (void *)lock);
  return 1;
}

static void acquire_again(lua_State *L, lt_RLock *rlock) {
  if (!lt_rlock_again(rlock))
    lt_raise(L, &lt_OverflowError, "internal lock count overflowed");
}

/*
** rlock:acquire([blocking = true [, timeout = -1]]) -> boolean
** As lock:acquire, but the thread that has the lock acquires it once more, at once. Raises
** OverflowError when it has it too often to count. Follows RLock.acquire.
*/
static int rlock_acquire(lua_State *L) {
  lt_RLock *rlock = check_rlock(L);
  plat_Time deadline = PLAT_FOREVER;
  bool blocking = lua_gettop(L) == 1 || lt_check_waiting(L, &deadline);
  uint64_t ident = own_ident(L);
  bool acquired = true;
  if (lt_rlock_owned(rlock, ident))
    acquire_again(L, rlock);
  else if (!lt_rlock_try(rlock, ident))
    acquired = blocking && wait_for_rlock(L, rlock, deadline);
  lua_pushboolean(L, acquired);
  return 1;
}

static lt_RLock *check_owned(lua_State *L) {
  lt_RLock *rlock = check_rlock(L);
  if (!lt_rlock_owned(rlock, own_ident(L)))
    lt_raise(L, &lt_RuntimeError, not_acquired);
  return rlock;
}

/*
** rlock:release()
** Takes one acquire back; the last one unlocks. Raises RuntimeError in a thread that does not have
** the lock. Follows RLock.release.
*/
static int rlock_release(lua_State *L) {
  lt_rlock_release(check_owned(L));
  return 0;
}

/* rlock:locked() -> boolean. Whether any thread has the lock. Follows RLock.locked. */
static int rlock_locked(lua_State *L) {
  lua_pushboolean(L, lt_lock_locked(&check_rlock(L)->lock));
  return 1;
}

/*
** rlock:_is_owned() -> boolean. Whether the calling thread has the lock. Follows RLock._is_owned.
*/
static int rlock_is_owned(lua_State *L) {
  lua_pushboolean(L, lt_rlock_owned(check_rlock(L), own_ident(L)));
  return 1;
}

static lua_Integer count_of(const lt_RLock *rlock) {
  /* Relaxed: of another thread's count the answer may be old before it is seen. */
  return (lua_Integer)atomic_load_explicit(&rlock->count, memory_order_relaxed);
}

/*
** rlock:_recursion_count() -> integer
** How often the calling thread has acquired the lock, 0 if it does not have it. Follows
** RLock._recursion_count.
*/
static int rlock_recursion_count(lua_State *L) {
  lt_RLock *rlock = check_rlock(L);
  lua_pushinteger(L, lt_rlock_owned(rlock, own_ident(L)) ? count_of(rlock) : 0);
  return 1;
}

/*
** rlock:_release_save() -> count, owner
** Unlocks the lock however often it was acquired; the results are for _acquire_restore. Raises
** RuntimeError in a thread that does not have the lock. Follows RLock._release_save.
*/
static int rlock_release_save(lua_State *L) {
  lt_RLock *rlock = check_owned(L);
  lua_pushinteger(L, (lua_Integer)lt_rlock_release_all(rlock));
  lua_pushinteger(L, (lua_Integer)own_ident(L));
  return 2;
}

/*
** rlock:_acquire_restore(count [, owner])
** Acquires the lock, waiting as long as it takes, and counts as before _release_save. An interrupt
** is raised when it has the lock. Raises ValueError if the count is not positive, RuntimeError in a
** thread that has the lock. Follows RLock._acquire_restore.
*/
static int rlock_acquire_restore(lua_State *L) {
  lt_RLock *rlock = check_rlock(L);
  lua_Integer count = lt_check_integer(L, 2);
  if (count < 1)
    return lt_arg_error(L, &lt_ValueError, 2, "count is %I, it must be positive", count);
  if (lt_rlock_owned(rlock, own_ident(L)))
    return lt_raise(L, &lt_RuntimeError, "cannot restore a lock that this thread has");
  lt_Wait wait = lt_lock_wait(&rlock->lock, PLAT_FOREVER);
  wait.deaf = LT_DEAF_TO_SIGNALS;
  lt_wait(L, lt_self(L), &wait);
  lt_rlock_own(rlock, own_ident(L), (uint64_t)count);
  return 0;
}

static int rlock_tostring(lua_State *L) {
  lt_RLock *rlock = check_rlock(L);
  lua_Integer owner =
      (lua_Integer)atomic_load_explicit(&rlock->lock.owner, memory_order_relaxed); /* as count_of */
  lua_pushfstring(L, "<%s _thread.RLock object owner=%I count=%I at %p>",
                  lt_lock_locked(&rlock->lock) ? "locked" : "unlocked", owner, count_of(rlock),
                  (void *)rlock);
  return 1;
}

/*
** What both have. They go by the methods of the lock at hand.
*/

static const lt_Proxy *check_either(lua_State *L) {
  const lt_Proxy *proxy = lt_proxy_at(L, 1);
  bool is_rlock = proxy != NULL && proxy->object->type == &lt_rlock_type;
  bool is_lock = proxy != NULL && proxy->object->type == &lt_lock_type;
  return is_rlock || is_lock ? proxy : lt_check_proxy(L, 1, &lt_lock_type); /* which raises */
}

static void acquire_either(lua_State *L, const lt_Proxy *proxy) {
  if (proxy->object->type == &lt_lock_type) {
    LockObject *lock = lock_of(proxy);
    if (!lt_lock_try(&lock->lock))
      wait_for_plain_lock(L, lock, PLAT_FOREVER);
    note_holder(proxy);
    return;
  }
  lt_RLock *rlock = &((RLockObject *)proxy->object)->rlock;
  if (lt_rlock_owned(rlock, own_ident(L)))
    acquire_again(L, rlock);
  else if (!lt_rlock_try(rlock, own_ident(L)))
    wait_for_rlock(L, rlock, PLAT_FOREVER);
}

int lt_lock_method_release(lua_State *L) {
  return lt_object_of_type(L, 1, &lt_rlock_type) != NULL ? rlock_release(L) : lock_release(L);
}

int lt_lock_method_acquire(lua_State *L) {
  return lt_object_of_type(L, 1, &lt_rlock_type) != NULL ? rlock_acquire(L) : lock_acquire(L);
}

int lt_lock_method_locked(lua_State *L) {
  return lt_object_of_type(L, 1, &lt_rlock_type) != NULL ? rlock_locked(L) : lock_locked(L);
}

static int refuse_close(lua_State *L) {
  return lt_raise(L, &lt_TypeError,
                  "a lock is not acquired by <close>, so it can't be released by it: say "
                  "local _ <close> = lock:hold()");
}

/*
** Holding
*/

static const char *let_go_rlock(lt_RLock *rlock, uint64_t ident) {
  if (!lt_rlock_owned(rlock, ident))
    return not_acquired;
  lt_rlock_release(rlock);
  return NULL;
}

static const char *let_go_lock(LockObject *lock, uint64_t ident) {
  if (!lt_lock_locked(&lock->lock))
    return not_locked;
  if (!is_held_by(lock, ident))
    return "release of a lock that another thread has";
  atomic_store_explicit(&lock->guarded, false, memory_order_relaxed);
  set_holder(lock, 0);
  return lt_lock_release(&lock->lock) ? NULL : not_locked;
}

static const char *let_go_either(lt_Object *lock, uint64_t ident) {
  return lock->type == &lt_rlock_type ? let_go_rlock(&((RLockObject *)lock)->rlock, ident)
                                      : let_go_lock((LockObject *)lock, ident);
}

static void acquire_to_hold(lua_State *L, const lt_Proxy *proxy) {
  if (proxy->mark != &lt_proxy_mark)
    check_either(L);
  acquire_either(L, proxy);
  if (proxy->object->type == &lt_lock_type)
    atomic_store_explicit(&lock_of(proxy)->guarded, true, memory_order_relaxed);
}

static const lt_Holding lock_holding = {acquire_to_hold, let_go_either};

/*
** local _ <close> = lock:hold()
** Acquires the lock, waiting as long as it takes, and returns a guard: at the end of the variable's
** scope the lock is released. A guard that is dropped releases it when it is collected. Follows
** Python's "with lock:".
*/
int lt_lock_method_hold(lua_State *L) {
  return lt_hold(L, check_either(L), &lock_holding);
}

/*
** lock:with(f, ...) -> what f returns
** Calls f(...) with the lock held, and releases it however the call ends. Follows Python's "with
** lock:".
*/
int lt_lock_method_with(lua_State *L) {
  return lt_call_holding(L, check_either(L), &lock_holding);
}

/*
** For conditions
*/

bool lt_is_lock(const lt_Object *object) {
  return object->type == &lt_lock_type || object->type == &lt_rlock_type;
}

bool lt_lock_is_owned(const lt_Object *lock, uint64_t ident) {
  if (lock->type == &lt_rlock_type)
    return lt_rlock_owned(&((const RLockObject *)lock)->rlock, ident);
  const LockObject *plain = (const LockObject *)lock;
  return lt_lock_locked(&plain->lock) && is_held_by(plain, ident);
}

lt_LockHolding lt_lock_suspend(lt_Object *lock) {
  if (lock->type == &lt_rlock_type)
    return (lt_LockHolding){lt_rlock_release_all(&((RLockObject *)lock)->rlock), false};
  LockObject *plain = (LockObject *)lock;
  bool guarded = atomic_exchange_explicit(&plain->guarded, false, memory_order_relaxed);
  set_holder(plain, 0);
  lt_lock_release(&plain->lock);
  return (lt_LockHolding){1, guarded};
}

void lt_lock_resume(lua_State *L, lt_Object *lock, lt_LockHolding as_before) {
  bool is_plain = lock->type == &lt_lock_type;
  LockObject *plain = (LockObject *)lock;
  lt_RLock *rlock = &((RLockObject *)lock)->rlock;
  lt_Wait wait = lt_lock_wait(is_plain ? &plain->lock : &rlock->lock, PLAT_FOREVER);
  wait.deaf = LT_DEAF_TO_SIGNALS;
  lt_wait(L, lt_self(L), &wait);
  if (!is_plain) {
    lt_rlock_own(rlock, own_ident(L), as_before.count);
    return;
  }
  atomic_store_explicit(&plain->guarded, as_before.guarded, memory_order_relaxed);
  set_holder(plain, own_ident(L));
  if (lt_lock_owner_is_wanted())
    lt_lock_note_owner(&plain->lock, own_ident(L));
}

/*
** lock:__enter__() -> true, lock:__exit__(...)
** acquire and release, by the names that Python's with statement has for them.
*/
static int lock_enter(lua_State *L) {
  acquire_either(L, check_either(L));
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg lock_methods[] = {{"acquire", lock_acquire},
                                        {"acquire_lock", lock_acquire},
                                        {"release", lock_release},
                                        {"release_lock", lock_release},
                                        {"locked", lock_locked},
                                        {"locked_lock", lock_locked},
                                        {"hold", lt_lock_method_hold},
                                        {"with", lt_lock_method_with},
                                        {"__enter__", lock_enter},
                                        {"__exit__", lt_lock_method_release},
                                        {NULL, NULL}};

static const luaL_Reg lock_metamethods[] = {
    {"__tostring", lock_tostring}, {"__close", refuse_close}, {NULL, NULL}};

static const lt_Face lock_face = {&lt_LockType, lock_methods, lock_metamethods, NULL, NULL};

const lt_Type lt_lock_type = {"_thread.lock", &lock_face, lock_destroy, NULL};

static const luaL_Reg rlock_methods[] = {{"acquire", rlock_acquire},
                                         {"release", rlock_release},
                                         {"locked", rlock_locked},
                                         {"hold", lt_lock_method_hold},
                                         {"with", lt_lock_method_with},
                                         {"__enter__", lock_enter},
                                         {"__exit__", lt_lock_method_release},
                                         {"_is_owned", rlock_is_owned},
                                         {"_recursion_count", rlock_recursion_count},
                                         {"_release_save", rlock_release_save},
                                         {"_acquire_restore", rlock_acquire_restore},
                                         {NULL, NULL}};

static const luaL_Reg rlock_metamethods[] = {
    {"__tostring", rlock_tostring}, {"__close", refuse_close}, {NULL, NULL}};

static const lt_Face rlock_face = {&lt_RLockType, rlock_methods, rlock_metamethods, NULL, NULL};

const lt_Type lt_rlock_type = {"_thread.RLock", &rlock_face, lock_destroy, NULL};
