#include "src/transfer/unpack_end.h"

#include "platform/platform.h"

static const char waiting_key; /* in the registry: the list of functions that wait */

static PLAT_THREAD_LOCAL lt_UnpackEnd *innermost_end;

void lt_unpack_end_begin(lua_State *L, lt_UnpackEnd *end) {
  end->L = L;
  end->outer = innermost_end;
  end->object = NULL;
  end->is_awaited = false;
  innermost_end = end;
}

static bool is_same_state(lua_State *L, lua_State *other) {
  return L == other ||
         lua_topointer(L, LUA_REGISTRYINDEX) == lua_topointer(other, LUA_REGISTRYINDEX);
}

static lt_UnpackEnd *outermost_end(lua_State *L) {
  lt_UnpackEnd *outermost = NULL;
  for (lt_UnpackEnd *end = innermost_end; end != NULL; end = end->outer)
    if (is_same_state(L, end->L))
      outermost = end;
  return outermost;
}

/* Calls those in the list on the top. The first error is kept at 'error'. */
static int call_all(lua_State *L, int status, int error) {
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    int failed = lua_pcall(L, 0, 0, 0);
    if (failed == LUA_OK)
      continue;
    if (status == LUA_OK)
      lua_replace(L, error);
    else
      lua_pop(L, 1);
    status = status == LUA_OK ? failed : status;
  }
  lua_pop(L, 1);
  return status;
}

/*
** Calls all that waits, and what waits because of that. An error takes the place of what is above
** 'base'.
*/
static int call_waiting(lua_State *L, int status, int base) {
  int before = status;
  if (!lua_checkstack(L, LUA_MINSTACK)) {
    lua_settop(L, base);
    lua_pushliteral(L, "stack overflow (too many values)");
    return LUA_ERRRUN;
  }
  lua_pushnil(L);
  int error = lua_gettop(L);
  while (lua_rawgetp(L, LUA_REGISTRYINDEX, &waiting_key) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &waiting_key); /* no memory is needed for a nil */
    status = call_all(L, status, error);
    lua_pop(L, 1);
  }
  lua_settop(L, error);
  if (status == before) {
    lua_pop(L, 1);
  } else {
    lua_insert(L, base + 1);
    lua_settop(L, base + 1);
  }
  return status;
}

int lt_unpack_end_run(lua_State *L, lt_UnpackEnd *end, int status, int base) {
  if (end->is_awaited)
    status = call_waiting(L, status, base);
  innermost_end = end->outer;
  return status;
}

void lt_unpack_end_run_now(lua_State *L) {
  lt_UnpackEnd *end = outermost_end(L);
  if (end == NULL || !end->is_awaited)
    return;
  end->is_awaited = false;
  if (call_waiting(L, LUA_OK, lua_gettop(L)) != LUA_OK)
    lua_error(L);
}

bool lt_unpack_end_await(lua_State *L, const lt_Object *object) {
  lt_UnpackEnd *outermost = outermost_end(L);
  if (outermost == NULL || innermost_end->object != object)
    return false;
  lt_push_registered(L, &waiting_key, NULL);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  outermost->is_awaited = true;
  return true;
}
