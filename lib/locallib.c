/*
** _local, as Lua sees it: an object that crosses by reference, with fields that each state has for
** itself.
**
** A state keeps the fields with its proxy of the object. When that proxy goes while somebody else
** still has the object, its fields are stranded: the object may come back, so they stay in the
** state until it does, or is found dead. That is told by the object's life, a second object, which
** is there as long as a state has stranded fields.
**
** Shared state: 'dead', atomic.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "src/base/growing_array.h"
#include "src/base/stack_room.h"

typedef struct Life {
  atomic_uint references;
  atomic_bool dead; /* no state has the object any more */
} Life;

typedef struct LocalObject {
  lt_Object object;
  Life *life;
} LocalObject;

static void release_life(Life *life) {
  /* Acquire and release: as lt_object_release. */
  if (atomic_fetch_sub_explicit(&life->references, 1, memory_order_acq_rel) == 1)
    free(life);
}

static void local_destroy(lt_Object *object) {
  LocalObject *local = (LocalObject *)object;
  /* Relaxed: who sees it late looks again. */
  atomic_store_explicit(&local->life->dead, true, memory_order_relaxed);
  release_life(local->life);
  free(local);
}

/*
** _local() -> object
** A new object whose fields are each thread's own. Follows _thread._local.
*/
static int new_local(lua_State *L) {
  lt_check_most(L, 0, 0);
  LocalObject *local = malloc(sizeof(*local));
  Life *life = malloc(sizeof(*life));
  if (local == NULL || life == NULL) {
    free(local);
    free(life);
    return lt_raise_memory(L);
  }
  atomic_init(&life->references, 1);
  atomic_init(&life->dead, false);
  lt_object_init(&local->object, &lt_local_type);
  local->life = life;
  lt_object_push_own(L, &local->object);
  return 1;
}

LT_CLASS(lt_LocalType, "_thread._local", NULL, new_local);

/*
** Stranded fields. A proxy goes in a finalizer, where nothing may fail: there is room for all
** beforehand. A table leads from the addresses of lives to fields; for an object that has a proxy
** and fields, to false.
*/

static const char stranded_key;
static const char fields_key; /* of the table from the addresses of lives to fields */

typedef struct Stranded {
  Life **lives;
  size_t count;
  size_t capacity;
  size_t needed; /* objects with fields, stranded or not */
  size_t limit;  /* at how many to look which are dead */
} Stranded;

#define SMALLEST_LIMIT 64

static void finish_stranded(void *block) {
  Stranded *stranded = block;
  for (size_t i = 0; i < stranded->count; i++)
    release_life(stranded->lives[i]);
  free(stranded->lives);
}

/* Pushes the table as well. */
static Stranded *push_stranded(lua_State *L) {
  Stranded *stranded = lt_context_memory(L, &stranded_key, sizeof(*stranded), finish_stranded);
  lt_push_registered(L, &fields_key, NULL);
  return stranded;
}

static void remove_life(Stranded *stranded, size_t i) {
  release_life(stranded->lives[i]);
  stranded->lives[i] = stranded->lives[--stranded->count];
}

/* The table is on the top. */
static void drop_dead(lua_State *L, Stranded *stranded) {
  size_t i = 0;
  while (i < stranded->count) {
    /* Relaxed: see destroy. */
    if (atomic_load_explicit(&stranded->lives[i]->dead, memory_order_relaxed)) {
      lua_pushnil(L);
      lua_rawsetp(L, -2, stranded->lives[i]);
      remove_life(stranded, i);
      stranded->needed--;
    } else {
      i++;
    }
  }
  stranded->limit = i * 2 > SMALLEST_LIMIT ? i * 2 : SMALLEST_LIMIT;
}

/* The table is on the top. */
static void local_make_room(lua_State *L, Stranded *stranded, const Life *life) {
  if (stranded->count >= stranded->limit)
    drop_dead(L, stranded);
  if (stranded->needed == stranded->capacity &&
      !lt_array_grow(&stranded->lives, NULL, &stranded->capacity, 16, sizeof(Life *)))
    lt_raise_memory(L);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -2, life);
  stranded->needed++;
}

static int local_gc(lua_State *L) {
  LocalObject *local = (LocalObject *)lt_object_of_type(L, 1, &lt_local_type);
  if (local != NULL && lt_proxy_is_garbage(L, 1) && lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    Stranded *stranded = push_stranded(L);
    /* Acquire: the only reference is this one, once the others are gone. */
    uint64_t references = atomic_load_explicit(&local->object.references, memory_order_acquire);
    if (LT_REFERENCE_COUNT(references) == 1) {
      stranded->needed--;
      lua_pushnil(L);
    } else {
      /* Relaxed: who retains already has a reference to go by. */
      atomic_fetch_add_explicit(&local->life->references, 1, memory_order_relaxed);
      stranded->lives[stranded->count++] = local->life;
      lua_pushvalue(L, 2);
    }
    lua_rawsetp(L, -2, local->life);
  }
  return lt_object_collect(L);
}

/* The fields, which are on the top above the table, have a proxy again. */
static void come_back(lua_State *L, Stranded *stranded, const Life *life) {
  size_t i = 0;
  while (stranded->lives[i] != life)
    i++;
  remove_life(stranded, i);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -3, life);
}

/*
** Looks in the table on the top and pushes what it has. An object may come back when its proxy has
** been found to be garbage but has not gone yet: then that is to be done first.
*/
static bool find_stranded(lua_State *L, const Life *life) {
  int type = lua_rawgetp(L, -1, life);
  if (type == LUA_TBOOLEAN) {
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT);
    type = lua_rawgetp(L, -1, life);
  }
  return type == LUA_TTABLE;
}

/* Pushes the fields that the object at index 1 has in this state. */
static void push_fields(lua_State *L) {
  LocalObject *local = (LocalObject *)lt_check_object(L, 1, &lt_local_type);
  lt_check_stack(L, 8);
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  Stranded *stranded = push_stranded(L);
  if (find_stranded(L, local->life)) {
    come_back(L, stranded, local->life);
  } else {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_insert(L, -2);
    local_make_room(L, stranded, local->life);
    lua_insert(L, -2);
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

static const luaL_Reg local_metamethods[] = {
    {"__gc", local_gc},       {"__index", local_index},       {"__newindex", local_newindex},
    {"__pairs", local_pairs}, {"__tostring", local_tostring}, {NULL, NULL}};

static const lt_Face local_face = {&lt_LocalType, NULL, local_metamethods, NULL};

const lt_Type lt_local_type = {"_thread._local", &local_face, local_destroy, NULL};
