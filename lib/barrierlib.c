/*
** Barriers, as Lua sees them.
*/
#include "lib/libs.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "src/sync/barrier.h"
#include "src/thread/wait.h"

static const lt_Type barrier_type;

typedef struct BarrierObject {
  lt_Traced traced;
  lt_Barrier barrier;
  lt_Message *action;  /* NULL: none */
  lua_Number patience; /* seconds, how long to wait if nothing is said; negative: without end */
} BarrierObject;

static void barrier_destroy(lt_Object *object) {
  BarrierObject *barrier = (BarrierObject *)object;
  lt_traced_finish(&barrier->traced);
  lt_message_free(barrier->action);
  lt_barrier_destroy(&barrier->barrier);
  free(barrier);
}

static uint64_t barrier_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                 void *context) {
  const lt_Message *action = ((const BarrierObject *)object)->action;
  if (action != NULL)
    lt_message_traverse(action, position, visit, context);
  else
    *position = LT_TRAVERSE_END;
  return 0;
}

static void barrier_clear(lt_Object *object) {
  lt_Message *action = ((BarrierObject *)object)->action;
  if (action != NULL)
    lt_message_drop_references(action);
}

static const lt_Tracing barrier_tracing = {barrier_traverse, barrier_clear};

LT_CLASS(lt_BrokenBarrierError, "BrokenBarrierError", &lt_RuntimeError, NULL);

static void describe_action(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "action");
}

/*
** Barrier(parties [, action [, timeout]]) -> barrier
** A barrier for so many threads. The last one to come calls a copy of action, which is made now,
** before any goes on. The timeout is for each wait that has none of its own. By name:
** Barrier{parties = 2, timeout = 5}. Raises ValueError if parties is less than 1, TypeError for an
** action that is no function or can't be transferred. Follows threading.Barrier.
*/
static int new_barrier(lua_State *L) {
  static const char *const names[] = {"parties", "action", "timeout", NULL};
  enum { PARTIES = 1, ACTION, TIMEOUT };
  lt_spread_keywords(L, PARTIES, names);
  lua_Integer parties = lt_check_integer(L, PARTIES);
  if (parties < 1)
    return lt_arg_error(L, &lt_ValueError, PARTIES, "parties is %I, it must be positive", parties);
  if (!lua_isnoneornil(L, ACTION))
    lt_check_callable(L, ACTION);
  (void)lt_opt_time_limit(L, TIMEOUT);
  lua_Number patience = lua_isnoneornil(L, TIMEOUT) ? -1 : lua_tonumber(L, TIMEOUT);
  if (!lua_isnoneornil(L, TIMEOUT) && patience < 0)
    patience = 0;
  lua_settop(L, ACTION);
  lt_cycles_collect_if_due();
  lt_Message *action =
      lua_isnil(L, ACTION) ? NULL : lt_pack(L, 1, LT_COPY_STRINGS, describe_action);
  BarrierObject *barrier = malloc(sizeof(*barrier));
  if (barrier == NULL) {
    lt_message_free(action);
    return lt_raise_memory(L);
  }
  lt_barrier_init(&barrier->barrier, (uint64_t)parties);
  barrier->action = action;
  barrier->patience = patience;
  lt_traced_init(&barrier->traced, &barrier_type);
  lt_object_push_own(L, &barrier->traced.object);
  return 1;
}

LT_CLASS(lt_BarrierType, "_thread.Barrier", NULL, new_barrier);

static BarrierObject *check_barrier(lua_State *L) {
  return (BarrierObject *)lt_check_object(L, 1, &barrier_type);
}

/*
** Waiting
*/

static int raise_broken(lua_State *L) {
  return lt_raise(L, &lt_BrokenBarrierError, "the barrier is broken");
}

static int call_action(lua_State *L) {
  const BarrierObject *barrier = lua_touserdata(L, 1);
  lt_unpack(L, barrier->action, LT_KEEP_GLOBALS);
  lua_call(L, 0, 0);
  return 0;
}

static void be_last(lua_State *L, BarrierObject *barrier) {
  int status = LUA_OK;
  if (barrier->action != NULL)
    status = lt_protected_call(L, call_action, barrier, 0, 0);
  bool passed = lt_barrier_finish(&barrier->barrier, status == LUA_OK);
  if (status != LUA_OK)
    lua_error(L);
  if (!passed)
    raise_broken(L);
}

typedef struct BarrierAttention {
  lt_Thread *thread;
  lt_Wait *wait;
} BarrierAttention;

static int attend_barrier(lua_State *L) {
  const BarrierAttention *attention = lua_touserdata(L, 1);
  lt_wait_attend(L, attention->thread, attention->wait, 2);
  return 0;
}

/* An interrupt breaks the barrier for all; so does the end of the time, if no last one acts. */
static lt_BarrierOutcome wait_at_barrier(lua_State *L, lt_BarrierWaiter *waiter,
                                         plat_Time deadline) {
  lt_Wait wait = lt_barrier_wait(waiter, deadline);
  BarrierAttention attention = {lt_self(L), &wait};
  for (;;) {
    lt_Parked parked = lt_wait_unless_interrupted(L, attention.thread, &wait);
    if (parked == LT_INTERRUPTED || parked == LT_SIGNALLED) {
      if (lt_protected_call(L, attend_barrier, &attention, 0, 0) != LUA_OK) {
        lt_barrier_leave(waiter, true);
        lua_error(L);
      }
      continue;
    }
    lt_BarrierOutcome outcome = lt_barrier_leave(waiter, false);
    if (outcome != LT_BARRIER_WAITS)
      return outcome;
    wait.deadline = PLAT_FOREVER;
  }
}

static lt_Arrival arrive_in_time(lua_State *L, lt_Barrier *barrier, lt_BarrierWaiter *waiter,
                                 plat_Time deadline) {
  lt_Arrival arrival = lt_barrier_arrive(barrier, waiter);
  while (arrival == LT_NOT_YET) {
    lt_Wait wait = lt_barrier_wait_to_arrive(barrier, deadline);
    if (!lt_wait(L, lt_self(L), &wait)) {
      lt_barrier_abort(barrier);
      raise_broken(L);
    }
    arrival = lt_barrier_arrive(barrier, waiter);
  }
  return arrival;
}

static plat_Time opt_barrier_deadline(lua_State *L, const BarrierObject *barrier) {
  static const char *const names[] = {"timeout", NULL};
  lt_spread_keywords(L, 2, names);
  if (lua_isnoneornil(L, 2) && barrier->patience >= 0) {
    lua_settop(L, 1);
    lua_pushnumber(L, barrier->patience);
  }
  return lt_opt_time_limit(L, 2);
}

/*
** barrier:wait([timeout]) -> integer
** Waits until so many threads do; the last one calls the action first. Returns how many came before
** this one, 0 to parties - 1. If one is interrupted or its time is up, the barrier is broken: all
** others get BrokenBarrierError. By name: barrier:wait{timeout = 0.5}. Follows Barrier.wait.
*/
static int barrier_wait(lua_State *L) {
  BarrierObject *barrier = check_barrier(L);
  plat_Time deadline = opt_barrier_deadline(L, barrier);
  lt_BarrierWaiter waiter;
  lt_check_stack(L, LUA_MINSTACK);
  lt_Arrival arrival = arrive_in_time(L, &barrier->barrier, &waiter, deadline);
  if (arrival == LT_ARRIVED_LAST)
    be_last(L, barrier);
  else if (arrival == LT_ARRIVED_AT_BROKEN ||
           wait_at_barrier(L, &waiter, deadline) == LT_BARRIER_BROKEN)
    return raise_broken(L);
  lua_pushinteger(L, (lua_Integer)waiter.place);
  return 1;
}

/*
** barrier:reset(). Begins anew: those who wait get BrokenBarrierError. Follows Barrier.reset.
*/
static int barrier_reset(lua_State *L) {
  lt_barrier_reset(&check_barrier(L)->barrier);
  return 0;
}

/*
** barrier:abort(). Breaks the barrier, until it is reset. Follows Barrier.abort.
*/
static int barrier_abort(lua_State *L) {
  lt_barrier_abort(&check_barrier(L)->barrier);
  return 0;
}

static int barrier_index(lua_State *L) {
  lt_Barrier *barrier = &check_barrier(L)->barrier;
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "parties") == 0)
    lua_pushinteger(L, (lua_Integer)barrier->parties);
  else if (strcmp(key, "n_waiting") == 0)
    lua_pushinteger(L, (lua_Integer)lt_barrier_count(barrier));
  else if (strcmp(key, "broken") == 0)
    lua_pushboolean(L, lt_barrier_is_broken(barrier));
  else
    lt_object_push_method(L);
  return 1;
}

static int barrier_tostring(lua_State *L) {
  lt_Barrier *barrier = &check_barrier(L)->barrier;
  lua_pushfstring(L, "<_thread.Barrier object at %p: %s, %I of %I>", (void *)barrier,
                  lt_barrier_is_broken(barrier) ? "broken" : "whole",
                  (lua_Integer)lt_barrier_count(barrier), (lua_Integer)barrier->parties);
  return 1;
}

static const luaL_Reg barrier_methods[] = {
    {"wait", barrier_wait}, {"reset", barrier_reset}, {"abort", barrier_abort}, {NULL, NULL}};

static const luaL_Reg barrier_metamethods[] = {
    {"__index", barrier_index}, {"__tostring", barrier_tostring}, {NULL, NULL}};

static const lt_Face barrier_face = {&lt_BarrierType, barrier_methods, barrier_metamethods, NULL,
                                     NULL};
static const lt_Type barrier_type = {"_thread.Barrier", &barrier_face, barrier_destroy,
                                     &barrier_tracing};
