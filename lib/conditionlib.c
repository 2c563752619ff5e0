/*
** Conditions, as Lua sees them. One has a lock, whose methods are its own, too.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "lib/lock_methods.h"
#include "src/base/protected_call.h"
#include "src/sync/condition.h"
#include "src/thread/wait.h"

static const lt_Type condition_type;

/* Locks refer to nothing, so the collector of cycles needs not know of this. */
typedef struct ConditionObject {
  lt_Object object;
  lt_Condition condition;
  lt_Object *lock;
} ConditionObject;

static void condition_destroy(lt_Object *object) {
  ConditionObject *condition = (ConditionObject *)object;
  lt_object_release(condition->lock);
  lt_condition_destroy(&condition->condition);
  free(object);
}

static lt_Object *opt_lock(lua_State *L) {
  static const char *const names[] = {"lock", NULL};
  lt_Object *lock = lt_object_at(L, 1);
  if (lock == NULL)
    lt_spread_keywords(L, 1, names);
  if (lua_isnoneornil(L, 1))
    return lt_rlock_new();
  lock = lt_object_at(L, 1);
  if (lock == NULL || !lt_is_lock(lock))
    lt_arg_type_error(L, 1, "_thread.lock or _thread.RLock");
  lt_object_retain(lock);
  return lock;
}

/*
** Condition([lock = RLock()]) -> condition
** A condition with this lock, or one of its own. By name: Condition{lock = lock}. Follows
** threading.Condition.
*/
static int new_condition(lua_State *L) {
  lt_Object *lock = opt_lock(L);
  ConditionObject *condition = lock == NULL ? NULL : malloc(sizeof(*condition));
  if (condition == NULL) {
    if (lock != NULL)
      lt_object_release(lock);
    return lt_raise_memory(L);
  }
  lt_object_init(&condition->object, &condition_type);
  lt_condition_init(&condition->condition);
  condition->lock = lock;
  lt_object_push_own(L, &condition->object);
  return 1;
}

LT_CLASS(lt_ConditionType, "_thread.Condition", NULL, new_condition);

static ConditionObject *check_condition(lua_State *L) {
  return (ConditionObject *)lt_check_object(L, 1, &condition_type);
}

/*
** Waiting
*/

static ConditionObject *check_owned_condition(lua_State *L, const char *refusal) {
  ConditionObject *condition = check_condition(L);
  const lt_Thread *self = lt_self(L);
  /* Relaxed: a thread wrote its own ident itself. */
  if (!lt_lock_is_owned(condition->lock, atomic_load_explicit(&self->ident, memory_order_relaxed)))
    lt_raise(L, &lt_RuntimeError, "%s", refusal);
  return condition;
}

typedef struct Attention {
  lt_Thread *thread;
  lt_Wait *wait;
} Attention;

/* The level is that of the function that has called the method, as seen from here. */
static int attend_condition(lua_State *L) {
  const Attention *attention = lua_touserdata(L, 1);
  lt_wait_attend(L, attention->thread, attention->wait, 2);
  return 0;
}

/* A status of Lua; what was raised is on the top. */
static int wait_for_notification(lua_State *L, lt_Thread *self, lt_Wait *wait) {
  const Attention attention = {self, wait};
  int status = LUA_OK;
  lt_Parked parked = lt_wait_unless_interrupted(L, self, wait);
  while (status == LUA_OK && (parked == LT_INTERRUPTED || parked == LT_SIGNALLED)) {
    status = lt_protected_call(L, attend_condition, (void *)&attention, 0, 0);
    if (status == LUA_OK)
      parked = lt_wait_unless_interrupted(L, self, wait);
  }
  return status;
}

/*
** With the lock held; so it is afterwards, also if this raises. An interrupt that comes with the
** notification, or after it, is raised here, where the notification can be passed on.
*/
static bool wait_for_turn(lua_State *L, ConditionObject *condition, plat_Time deadline) {
  lt_Thread *self = lt_self(L);
  lt_ConditionWaiter waiter;
  lt_check_stack(L, LUA_MINSTACK);
  lt_condition_enter(&condition->condition, &waiter);
  lt_LockHolding holding = lt_lock_suspend(condition->lock);
  lt_Wait wait = lt_condition_wait(&waiter, deadline);
  const Attention attention = {self, &wait};
  int status = wait_for_notification(L, self, &wait);
  bool notified = lt_condition_leave(&waiter);
  if (status != LUA_OK && notified)
    lt_condition_notify(&condition->condition, 1);
  lt_lock_resume(L, condition->lock, holding);
  if (status == LUA_OK && lt_interrupted(self)) {
    status = lt_protected_call(L, attend_condition, (void *)&attention, 0, 0);
    if (status != LUA_OK && notified)
      lt_condition_notify(&condition->condition, 1);
  }
  if (status != LUA_OK)
    lua_error(L);
  return notified;
}

static const char no_wait[] = "cannot wait on a condition whose lock this thread does not have";
static const char no_notify[] = "cannot notify a condition whose lock this thread does not have";

/*
** condition:wait([timeout]) -> boolean
** Releases the lock, however often the thread has acquired it, waits for a notification, and has
** the lock again as before; with a timeout it waits at most so many seconds, a negative one is over
** at once. Returns whether it was notified. An interrupt is raised once it has the lock again. By
** name: condition:wait{timeout = 0.5}. Raises RuntimeError in a thread that does not have the lock,
** ValueError and OverflowError as lock:acquire does. Follows Condition.wait.
*/
static int condition_wait(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  ConditionObject *condition = check_owned_condition(L, no_wait);
  lt_spread_keywords(L, 2, names);
  lua_pushboolean(L, wait_for_turn(L, condition, lt_opt_time_limit(L, 2)));
  return 1;
}

/* Whether it is true; it is left on the top. */
static bool call_predicate(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_call(L, 0, 1);
  return lua_toboolean(L, 3);
}

/*
** condition:wait_for(predicate[, timeout]) -> what the predicate returned
** Calls predicate() with the lock held, in this thread, and waits for notifications until what it
** returns is true, or the time is up. By name: condition:wait_for(f, {timeout = 0.5}). Raises as
** condition:wait does. Follows Condition.wait_for.
*/
static int condition_wait_for(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  ConditionObject *condition = check_owned_condition(L, no_wait);
  lt_check_callable(L, 2);
  lt_spread_keywords(L, 3, names);
  plat_Time deadline = lt_opt_time_limit(L, 3);
  bool over = false;
  while (!call_predicate(L) && !over && plat_now() < deadline) {
    check_owned_condition(L, no_wait);
    over = !wait_for_turn(L, condition, deadline);
  }
  return 1;
}

/*
** condition:notify([n = 1])
** Wakes those that have waited longest, so many of them at most: each goes on when it has the lock.
** By name: condition:notify{n = 2}. Raises RuntimeError in a thread that does not have the lock,
** ValueError if n is negative. Follows Condition.notify.
*/
static int condition_notify(lua_State *L) {
  static const char *const names[] = {"n", NULL};
  ConditionObject *condition = check_owned_condition(L, no_notify);
  lt_spread_keywords(L, 2, names);
  lua_Integer count = lua_isnoneornil(L, 2) ? 1 : lt_check_integer(L, 2);
  if (count < 0)
    return lt_arg_error(L, &lt_ValueError, 2, "n is %I, it must not be negative", count);
  lt_condition_notify(&condition->condition, (uint64_t)count);
  return 0;
}

/*
** condition:notify_all(). Wakes all that wait. Raises RuntimeError as notify does. Follows
** Condition.notify_all.
*/
static int condition_notify_all(lua_State *L) {
  ConditionObject *condition = check_owned_condition(L, no_notify);
  lt_condition_notify(&condition->condition, lt_condition_waiters(&condition->condition));
  return 0;
}

static int condition_tostring(lua_State *L) {
  ConditionObject *condition = check_condition(L);
  lt_object_push(L, condition->lock);
  lua_pushfstring(L, "<_thread.Condition object at %p: %s, %I waiting>",
                  (void *)&condition->condition, luaL_tolstring(L, 2, NULL),
                  (lua_Integer)lt_condition_waiters(&condition->condition));
  return 1;
}

/*
** Methods of its lock
*/

static void put_lock(lua_State *L) {
  lt_object_push(L, check_condition(L)->lock);
  lua_replace(L, 1);
}

/* condition:acquire(...), those of its lock. Follows Condition.acquire. */
static int condition_acquire(lua_State *L) {
  put_lock(L);
  return lt_lock_method_acquire(L);
}

static int condition_release(lua_State *L) {
  put_lock(L);
  return lt_lock_method_release(L);
}

static int condition_locked(lua_State *L) {
  put_lock(L);
  return lt_lock_method_locked(L);
}

static int condition_hold(lua_State *L) {
  put_lock(L);
  return lt_lock_method_hold(L);
}

static int condition_with(lua_State *L) {
  put_lock(L);
  return lt_lock_method_with(L);
}

static int condition_refuse_close(lua_State *L) {
  return lt_raise(L, &lt_TypeError,
                  "a condition is not acquired by <close>, so it can't be released by it: say "
                  "local _ <close> = condition:hold()");
}

static const luaL_Reg condition_methods[] = {{"acquire", condition_acquire},
                                             {"release", condition_release},
                                             {"locked", condition_locked},
                                             {"hold", condition_hold},
                                             {"with", condition_with},
                                             {"wait", condition_wait},
                                             {"wait_for", condition_wait_for},
                                             {"notify", condition_notify},
                                             {"notify_all", condition_notify_all},
                                             {NULL, NULL}};

static const luaL_Reg condition_metamethods[] = {
    {"__tostring", condition_tostring}, {"__close", condition_refuse_close}, {NULL, NULL}};

static const lt_Face condition_face = {&lt_ConditionType, condition_methods, condition_metamethods,
                                       NULL, NULL};
static const lt_Type condition_type = {"_thread.Condition", &condition_face, condition_destroy,
                                       NULL};
