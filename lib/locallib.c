/*
** _local, as Lua sees it: an object that crosses states by reference, with fields that each state
** has for itself.
**
** A state keeps the fields in a table of its own, by the address of the object. The object has a
** number too: an address may come again, a number does not.
*/
#include "lib/libs.h"

#include <stdlib.h>

typedef struct LocalObject {
  lt_Object object;
  lua_Integer number;
} LocalObject;

static const char fields_key;

static void destroy(lt_Object *object) {
  free(object);
}

/*
** _local() -> object
** A new object whose fields are each thread's own. Follows _thread._local.
*/
static int new_local(lua_State *L) {
  static atomic_llong last_number;
  LocalObject *local = malloc(sizeof(*local));
  if (local == NULL)
    return lt_raise_memory(L);
  lt_object_init(&local->object, &lt_local_type);
  /* Relaxed: a counter. */
  local->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
  lt_object_push_own(L, &local->object);
  return 1;
}

LT_CLASS(lt_LocalType, "_thread._local", NULL, new_local);

/* Pushes the fields that the object at index 1 has in this state. */
static void push_fields(lua_State *L) {
  LocalObject *local = (LocalObject *)lt_check_object(L, 1, &lt_local_type);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &fields_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &fields_key);
  }
  if (lua_rawgeti(L, -1, local->number) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, local->number);
  }
  lua_remove(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
}

static int local_index(lua_State *L) {
  push_fields(L);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

static int local_newindex(lua_State *L) {
  push_fields(L);
  lua_insert(L, 2);
  lua_settable(L, 2);
  return 0;
}

static int local_next(lua_State *L) {
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

static int local_pairs(lua_State *L) {
  lua_pushcfunction(L, local_next);
  push_fields(L);
  return 2;
}

static int local_tostring(lua_State *L) {
  lua_pushfstring(L, "<_thread._local object at %p>",
                  (void *)lt_check_object(L, 1, &lt_local_type));
  return 1;
}

static const luaL_Reg metamethods[] = {{"__index", local_index},
                                       {"__newindex", local_newindex},
                                       {"__pairs", local_pairs},
                                       {"__tostring", local_tostring},
                                       {NULL, NULL}};

const lt_Type lt_local_type = {"_thread._local", &lt_LocalType, NULL, metamethods, destroy, NULL};
