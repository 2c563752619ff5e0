#include "lib/holding.h"

#include "src/base/stack_room.h"
#include "src/state/context.h"
#include "src/thread/interrupt.h"

bool lt_check_waiting(lua_State *L, plat_Time *deadline) {
  static const char *const names[] = {"blocking/waitflag", "timeout", NULL};
  lt_spread_keywords(L, 2, names);
  bool blocking = lt_opt_waits(L, 2);
  *deadline = lt_opt_deadline(L, 3);
  if (!blocking && !lua_isnoneornil(L, 3) && lua_tonumber(L, 3) >= 0)
    lt_raise(L, &lt_ValueError, "can't specify a timeout for a non-blocking call");
  return blocking;
}

uint64_t lt_holder_ident(const lt_Proxy *proxy) {
  const lt_Thread *self = ((const lt_Context *)proxy->context)->thread;
  /* Relaxed: a thread wrote its own ident itself. */
  return self == NULL ? 0 : atomic_load_explicit(&self->ident, memory_order_relaxed);
}

/*
** The guard is there before: nothing can come between the lock and its being entrusted. That may
** have called finalizers, which can do anything, so the lock is checked again.
*/
static void acquire_for(lua_State *L, const lt_Proxy *proxy, const lt_Holding *holding,
                        lt_Guard *guard) {
  holding->acquire(L, proxy);
  lt_guard_entrust(guard, lt_holder_ident(proxy));
}

int lt_hold(lua_State *L, const lt_Proxy *proxy, const lt_Holding *holding) {
  lt_check_most(L, 1, 0);
  acquire_for(L, proxy, holding, lt_guard_push(L, holding->release));
  lt_interrupt_spare_next(lt_calling_thread(L));
  return 1;
}

/* The results may leave no room for the release, which would be lost. */
static int finish_with(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  int count = lua_gettop(L) - 2;
  if (!lt_stack_room(L, 2 * LUA_MINSTACK)) {
    lua_settop(L, 2);
    lt_raise(L, &lt_ValueError, "too many results (%d) for Lua's stack; return them in one table",
             count);
  }
  return count;
}

int lt_call_holding(lua_State *L, const lt_Proxy *proxy, const lt_Holding *holding) {
  lt_check_callable(L, 2);
  int argument_count = lua_gettop(L) - 2;
  lt_Guard *guard = lt_guard_push(L, holding->release);
  lua_insert(L, 2);
  acquire_for(L, proxy, holding, guard);
  lua_toclose(L, 2);
  lua_callk(L, argument_count, LUA_MULTRET, 0, finish_with);
  return finish_with(L, LUA_OK, 0);
}
