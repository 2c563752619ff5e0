/*
** Semaphores, as Lua sees them. A BoundedSemaphore has a limit: what it had at the beginning.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "lib/holding.h"
#include "src/sync/semaphore.h"
#include "src/thread/wait.h"

static const lt_Type semaphore_type, bounded_semaphore_type;

typedef struct SemaphoreObject {
  lt_Object object;
  lt_Semaphore semaphore;
} SemaphoreObject;

static void semaphore_destroy(lt_Object *object) {
  free(object);
}

/*
** Making
*/

static uint64_t opt_units(lua_State *L) {
  static const char *const names[] = {"value", NULL};
  lt_spread_keywords(L, 1, names);
  lua_Integer value = lua_isnoneornil(L, 1) ? 1 : lt_check_integer(L, 1);
  if (value < 0)
    lt_arg_error(L, &lt_ValueError, 1, "value is %I, it must not be negative", value);
  return (uint64_t)value;
}

static int push_semaphore(lua_State *L, const lt_Type *type, uint64_t value, uint64_t limit) {
  SemaphoreObject *semaphore = malloc(sizeof(*semaphore));
  if (semaphore == NULL)
    return lt_raise_memory(L);
  lt_object_init(&semaphore->object, type);
  lt_semaphore_init(&semaphore->semaphore, value, limit);
  lt_object_push_own(L, &semaphore->object);
  return 1;
}

/*
** Semaphore([value = 1]) -> semaphore
** So many units, which threads take and give back. By name: Semaphore{value = 3}. Raises ValueError
** if it is negative. Follows threading.Semaphore.
*/
static int new_semaphore(lua_State *L) {
  return push_semaphore(L, &semaphore_type, opt_units(L), LT_SEMAPHORE_MOST);
}

/*
** BoundedSemaphore([value = 1]) -> semaphore
** As Semaphore, but it never has more units than at the beginning. Follows
** threading.BoundedSemaphore.
*/
static int new_bounded_semaphore(lua_State *L) {
  uint64_t value = opt_units(L);
  return push_semaphore(L, &bounded_semaphore_type, value, value);
}

LT_CLASS(lt_SemaphoreType, "_thread.Semaphore", NULL, new_semaphore);
LT_CLASS(lt_BoundedSemaphoreType, "_thread.BoundedSemaphore", &lt_SemaphoreType,
         new_bounded_semaphore);

/*
** Methods
*/

static lt_Semaphore *semaphore_of(lt_Object *object) {
  return &((SemaphoreObject *)object)->semaphore;
}

static const lt_Proxy *check_semaphore_proxy(lua_State *L) {
  const lt_Proxy *proxy = lt_proxy_at(L, 1);
  if (proxy != NULL && proxy->object->type->destroy == semaphore_destroy)
    return proxy;
  return lt_check_proxy(L, 1, &semaphore_type); /* which raises */
}

static lt_Semaphore *check_semaphore(lua_State *L) {
  return semaphore_of(check_semaphore_proxy(L)->object);
}

static bool wait_for_unit(lua_State *L, lt_Semaphore *semaphore, plat_Time deadline) {
  lt_Wait wait = lt_semaphore_wait(semaphore, deadline);
  return lt_wait(L, lt_self(L), &wait);
}

/*
** semaphore:acquire([blocking = true [, timeout = -1]]) -> boolean
** Takes a unit. If there is none, waits until one is given back; without 'blocking' not at all,
** with a timeout at most so many seconds; a negative one is none. Returns whether it has one. By
** name: semaphore:acquire{timeout = 0.5}. Raises as lock:acquire does. Follows Semaphore.acquire.
*/
static int semaphore_acquire(lua_State *L) {
  lt_Semaphore *semaphore = check_semaphore(L);
  plat_Time deadline = PLAT_FOREVER;
  bool blocking = lua_gettop(L) == 1 || lt_check_waiting(L, &deadline);
  bool acquired =
      lt_semaphore_try(semaphore) || (blocking && wait_for_unit(L, semaphore, deadline));
  lua_pushboolean(L, acquired);
  return 1;
}

static const char too_often[] = "semaphore released too many times";

static uint64_t check_units(lua_State *L) {
  static const char *const names[] = {"n", NULL};
  lt_spread_keywords(L, 2, names);
  lua_Integer count = lua_isnoneornil(L, 2) ? 1 : lt_check_integer(L, 2);
  if (count < 1)
    lt_arg_error(L, &lt_ValueError, 2, "n is %I, it must be positive", count);
  return (uint64_t)count;
}

/*
** semaphore:release([n = 1])
** Gives so many units back, in whichever thread they were taken, and wakes as many that wait. By
** name: semaphore:release{n = 2}. Raises ValueError if n is less than 1, and if a BoundedSemaphore
** would have more units than at the beginning; then it gets none. Follows Semaphore.release.
*/
static int semaphore_release(lua_State *L) {
  lt_Semaphore *semaphore = check_semaphore(L);
  if (lt_semaphore_release(semaphore, lua_gettop(L) == 1 ? 1 : check_units(L)))
    return 0;
  if (semaphore->limit == LT_SEMAPHORE_MOST)
    return lt_raise(L, &lt_OverflowError, "a semaphore can't count so many units");
  return lt_raise(L, &lt_ValueError, "%s: it had %I at the beginning", too_often,
                  (lua_Integer)semaphore->limit);
}

static int semaphore_tostring(lua_State *L) {
  const lt_Proxy *proxy = check_semaphore_proxy(L);
  const lt_Semaphore *semaphore = semaphore_of(proxy->object);
  lua_pushfstring(L, "<%s object at %p: value=%I", proxy->object->type->name,
                  (const void *)semaphore, (lua_Integer)lt_semaphore_count(semaphore));
  if (proxy->object->type == &bounded_semaphore_type)
    lua_pushfstring(L, "/%I>", (lua_Integer)semaphore->limit);
  else
    lua_pushliteral(L, ">");
  lua_concat(L, 2);
  return 1;
}

/*
** Holding
*/

static void acquire_unit(lua_State *L, const lt_Proxy *proxy) {
  if (proxy->mark != &lt_proxy_mark)
    check_semaphore(L);
  lt_Semaphore *semaphore = semaphore_of(proxy->object);
  if (!lt_semaphore_try(semaphore))
    wait_for_unit(L, semaphore, PLAT_FOREVER);
}

static const char *let_go_unit(lt_Object *object, uint64_t ident) {
  (void)ident;
  return lt_semaphore_release(semaphore_of(object), 1) ? NULL : too_often;
}

static const lt_Holding semaphore_holding = {acquire_unit, let_go_unit};

/*
** local _ <close> = semaphore:hold()
** Takes a unit, waiting as long as it takes, and returns a guard that gives it back at the end of
** the variable's scope, or when it is collected. Follows Python's "with semaphore:".
*/
static int semaphore_hold(lua_State *L) {
  return lt_hold(L, check_semaphore_proxy(L), &semaphore_holding);
}

/*
** semaphore:with(f, ...) -> what f returns
** Calls f(...) with a unit taken, and gives it back however the call ends. Follows Python's "with
** semaphore:".
*/
static int semaphore_with(lua_State *L) {
  return lt_call_holding(L, check_semaphore_proxy(L), &semaphore_holding);
}

static int semaphore_refuse_close(lua_State *L) {
  return lt_raise(L, &lt_TypeError,
                  "a semaphore is not acquired by <close>, so it can't be released by it: say "
                  "local _ <close> = semaphore:hold()");
}

static lt_Sight semaphore_sight(lt_Object *object) {
  return lt_semaphore_sight(&((SemaphoreObject *)object)->semaphore);
}

static const luaL_Reg semaphore_methods[] = {{"acquire", semaphore_acquire},
                                             {"release", semaphore_release},
                                             {"hold", semaphore_hold},
                                             {"with", semaphore_with},
                                             {NULL, NULL}};

static const luaL_Reg semaphore_metamethods[] = {
    {"__tostring", semaphore_tostring}, {"__close", semaphore_refuse_close}, {NULL, NULL}};

static const lt_Face semaphore_face = {&lt_SemaphoreType, semaphore_methods, semaphore_metamethods,
                                       NULL, semaphore_sight};
static const lt_Type semaphore_type = {"_thread.Semaphore", &semaphore_face, semaphore_destroy,
                                       NULL};

static const lt_Face bounded_semaphore_face = {&lt_BoundedSemaphoreType, semaphore_methods,
                                               semaphore_metamethods, NULL, semaphore_sight};
static const lt_Type bounded_semaphore_type = {"_thread.BoundedSemaphore", &bounded_semaphore_face,
                                               semaphore_destroy, NULL};
