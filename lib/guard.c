/*
** A state uses the guards of a lock again that have nothing at the moment, so that not every scope
** leaves a finalizer to be called. They are a list: the first user value of the lock's proxy is the
** first guard, the second user value of each guard is the next one; its first is the proxy. A guard
** that has the lock is in no list: only its scope refers to it.
*/
#include "lib/guard.h"

#include "src/base/stack_room.h"
#include "src/object/exception.h"

struct lt_Guard {
  const void *mark;     /* only guards begin with the address of this variable */
  const lt_Proxy *lock; /* its user value keeps that alive */
  lt_GuardRelease release;
  bool holds;
  uint64_t ident;
};

static const char guard_mark; /* in the registry: the metatable */

enum { PROXY = 1, NEXT, FIRST = 1 };

/* The one at index 1; NULL: there is none. */
static lt_Guard *guard_at_first(lua_State *L) {
  lt_Guard *guard = lua_touserdata(L, 1);
  bool is_guard = guard != NULL && lua_rawlen(L, 1) == sizeof(*guard) && guard->mark == &guard_mark;
  return is_guard ? guard : NULL;
}

/* NULL, or why it has not released it. */
static const char *guard_let_go(lt_Guard *guard) {
  bool holds = guard->holds;
  guard->holds = false;
  if (!holds || guard->lock->mark != &lt_proxy_mark)
    return "release of a guard that has no lock";
  return guard->release(guard->lock->object, guard->ident);
}

/* The one at index 1. */
static void put_into_list(lua_State *L) {
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, PROXY);
  if (lua_getiuservalue(L, 2, FIRST) != LUA_TNIL)
    lua_setiuservalue(L, 1, NEXT);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, FIRST);
}

static int close_guard(lua_State *L) {
  lt_Guard *guard = guard_at_first(L);
  if (guard == NULL)
    return 0;
  bool held = guard->holds;
  const char *failure = guard_let_go(guard);
  if (held)
    put_into_list(L);
  return failure == NULL ? 0 : lt_raise(L, &lt_RuntimeError, "%s", failure);
}

static int collect_guard(lua_State *L) {
  lt_Guard *guard = guard_at_first(L);
  if (guard != NULL)
    guard_let_go(guard);
  return 0;
}

static void guard_push_metatable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_mark) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, close_guard);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, collect_guard);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "_thread.guard");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_mark);
}

static lt_Guard *push_new(lua_State *L, lt_GuardRelease release) {
  lt_Guard *guard = lua_newuserdatauv(L, sizeof(*guard), 2);
  *guard = (lt_Guard){.mark = &guard_mark, .lock = lua_touserdata(L, 1), .release = release};
  guard_push_metatable(L);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, PROXY);
  return guard;
}

static void take_from_list(lua_State *L) {
  if (lua_getiuservalue(L, -1, NEXT) != LUA_TNIL) {
    lua_pushnil(L);
    lua_setiuservalue(L, -3, NEXT);
  }
  lua_setiuservalue(L, 1, FIRST);
}

lt_Guard *lt_guard_push(lua_State *L, lt_GuardRelease release) {
  lt_check_stack(L, 4);
  if (lua_getiuservalue(L, 1, FIRST) == LUA_TNIL) {
    lua_pop(L, 1);
    return push_new(L, release);
  }
  take_from_list(L);
  return lua_touserdata(L, -1);
}

void lt_guard_entrust(lt_Guard *guard, uint64_t ident) {
  guard->ident = ident;
  guard->holds = true;
}
