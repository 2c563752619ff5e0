/*
** _local, as Lua sees it: an object that crosses by reference, with fields that each state has for
** itself.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "src/object/own_value.h"

typedef struct LocalObject {
  lt_Object object;
  lt_Life *life;
} LocalObject;

static void local_destroy(lt_Object *object) {
  LocalObject *local = (LocalObject *)object;
  lt_life_end(local->life);
  free(local);
}

/*
** _local() -> object
** A new object whose fields are each thread's own. Follows _thread._local.
*/
static int new_local(lua_State *L) {
  lt_check_most(L, 0, 0);
  LocalObject *local = malloc(sizeof(*local));
  lt_Life *life = lt_life_new();
  if (local == NULL || life == NULL) {
    free(local);
    if (life != NULL)
      lt_life_end(life);
    return lt_raise_memory(L);
  }
  lt_object_init(&local->object, &lt_local_type);
  local->life = life;
  lt_object_push_own(L, &local->object);
  return 1;
}

LT_CLASS(lt_LocalType, "_thread._local", NULL, new_local);

static int local_gc(lua_State *L) {
  const LocalObject *local = (const LocalObject *)lt_object_of_type(L, 1, &lt_local_type);
  if (local != NULL)
    lt_own_value_strand(L, local->life);
  return lt_object_collect(L);
}

/* Pushes the fields that the object at index 1 has in this state. */
static void push_fields(lua_State *L) {
  const LocalObject *local = (const LocalObject *)lt_check_object(L, 1, &lt_local_type);
  if (lt_own_value_push(L, 1, LUA_TTABLE, local->life))
    return;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  if (!lt_own_value_set(L, 1, local->life))
    lua_remove(L, -2);
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

static const luaL_Reg local_metamethods[] = {
    {"__gc", local_gc},       {"__index", local_index},       {"__newindex", local_newindex},
    {"__pairs", local_pairs}, {"__tostring", local_tostring}, {NULL, NULL}};

static const lt_Face local_face = {&lt_LocalType, NULL, local_metamethods, NULL, NULL};

const lt_Type lt_local_type = {"_thread._local", &local_face, local_destroy, NULL};
