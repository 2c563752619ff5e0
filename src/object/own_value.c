/*
** A proxy goes in a finalizer, where nothing may fail: there is room for all stranded values
** beforehand. A table leads from the addresses of lives to stranded values; for an object that has a
** proxy and a value, to false.
**
** Shared state: 'dead', atomic.
*/
#include "src/object/own_value.h"

#include <stdlib.h>

#include "src/base/growing_array.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

struct lt_Life {
  atomic_uint references;
  atomic_bool dead; /* no state has the object any more */
};

lt_Life *lt_life_new(void) {
  lt_Life *life = malloc(sizeof(*life));
  if (life != NULL) {
    atomic_init(&life->references, 1);
    atomic_init(&life->dead, false);
  }
  return life;
}

static lt_Life *retain_life(lt_Life *life) {
  /* Relaxed: who retains already has a reference to go by. */
  atomic_fetch_add_explicit(&life->references, 1, memory_order_relaxed);
  return life;
}

static void release_life(lt_Life *life) {
  /* Acquire and release: as lt_object_release. */
  if (atomic_fetch_sub_explicit(&life->references, 1, memory_order_acq_rel) == 1)
    free(life);
}

void lt_life_end(lt_Life *life) {
  /* Relaxed: who sees it late looks again. */
  atomic_store_explicit(&life->dead, true, memory_order_relaxed);
  release_life(life);
}

bool lt_life_is_over(const lt_Life *life) {
  /* Relaxed: who sees it late looks again. */
  return atomic_load_explicit(&life->dead, memory_order_relaxed);
}

static const char stranded_key;
static const char own_values_key; /* of the table from the addresses of lives to values */

typedef struct Stranded {
  lt_Life **lives;
  size_t count;
  size_t capacity;
  size_t needed; /* objects with values, stranded or not */
  size_t limit;  /* at how many to look which are dead */
  lt_Life **held;
  size_t held_count;
  size_t held_capacity;
} Stranded;

#define SMALLEST_LIMIT 64

static void finish_stranded(void *block) {
  Stranded *stranded = block;
  for (size_t i = 0; i < stranded->count; i++)
    release_life(stranded->lives[i]);
  for (size_t i = 0; i < stranded->held_count; i++)
    release_life(stranded->held[i]);
  free(stranded->lives);
  free(stranded->held);
}

/* Pushes the table as well. */
static Stranded *push_stranded(lua_State *L) {
  Stranded *stranded = lt_context_memory(L, &stranded_key, sizeof(*stranded), finish_stranded);
  lt_push_registered(L, &own_values_key, NULL);
  return stranded;
}

void lt_own_value_hold_life(lua_State *L, lt_Life *life) {
  Stranded *stranded = push_stranded(L);
  if (stranded->held_count == stranded->held_capacity &&
      !lt_array_grow(&stranded->held, NULL, &stranded->held_capacity, 16, sizeof(lt_Life *)))
    lt_raise_memory(L);
  stranded->held[stranded->held_count++] = retain_life(life);
  lua_pop(L, 1);
}

/* From the end: values are closed in the opposite order. */
void lt_own_value_let_life_go(lua_State *L, lt_Life *life) {
  Stranded *stranded = push_stranded(L);
  size_t i = stranded->held_count;
  while (i > 0 && stranded->held[i - 1] != life)
    i--;
  if (i > 0) {
    release_life(life);
    stranded->held[i - 1] = stranded->held[--stranded->held_count];
  }
  lua_pop(L, 1);
}

static void remove_life(Stranded *stranded, size_t i) {
  release_life(stranded->lives[i]);
  stranded->lives[i] = stranded->lives[--stranded->count];
}

/* A script that has put a value in the place of another, with the library debug, breaks the count. */
static void need_less(Stranded *stranded) {
  if (stranded->needed > 0)
    stranded->needed--;
}

/* The table is on the top. */
static void drop_dead(lua_State *L, Stranded *stranded) {
  size_t i = 0;
  while (i < stranded->count) {
    if (lt_life_is_over(stranded->lives[i])) {
      lua_pushnil(L);
      lua_rawsetp(L, -2, stranded->lives[i]);
      remove_life(stranded, i);
      need_less(stranded);
    } else {
      i++;
    }
  }
  stranded->limit = i < SMALLEST_LIMIT ? i : i * 2;
}

/* The table is on the top. */
static void make_room_for_value(lua_State *L, Stranded *stranded, const lt_Life *life) {
  if (stranded->count > 0 && stranded->count >= stranded->limit)
    drop_dead(L, stranded);
  if (stranded->needed >= stranded->capacity &&
      !lt_array_grow(&stranded->lives, NULL, &stranded->capacity, 16, sizeof(lt_Life *)))
    lt_raise_memory(L);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -2, life);
  stranded->needed++;
}

bool lt_own_value_is_last(lt_Object *object) {
  /* Acquire: the only reference is this one, once the others are gone. */
  return LT_REFERENCE_COUNT(atomic_load_explicit(&object->references, memory_order_acquire)) == 1;
}

void lt_own_value_strand(lua_State *L, lt_Life *life) {
  const lt_Proxy *proxy = lt_proxy_at(L, 1);
  if (proxy == NULL || !lt_proxy_is_garbage(L, 1))
    return;
  lua_getiuservalue(L, 1, 1);
  if (lua_toboolean(L, -1)) {
    int value = lua_gettop(L);
    Stranded *stranded = push_stranded(L);
    if (lt_own_value_is_last(proxy->object) || stranded->count == stranded->capacity) {
      need_less(stranded);
      lua_pushnil(L);
    } else {
      stranded->lives[stranded->count++] = retain_life(life);
      lua_pushvalue(L, value);
    }
    lua_rawsetp(L, -2, life);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* The value, which is on the top above the table, has a proxy again. */
static void come_back(lua_State *L, Stranded *stranded, const lt_Life *life) {
  size_t i = 0;
  while (i < stranded->count && stranded->lives[i] != life)
    i++;
  if (i < stranded->count)
    remove_life(stranded, i);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, -3, life);
}

/*
** Looks in the table on the top and pushes what it has. An object may come back when its proxy has
** been found to be garbage but has not gone yet: then that is to be done first.
*/
static bool find_stranded(lua_State *L, int type, const lt_Life *life) {
  int found = lua_rawgetp(L, -1, life);
  if (found == LUA_TBOOLEAN) {
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT);
    found = lua_rawgetp(L, -1, life);
  }
  return found == type;
}

bool lt_own_value_push(lua_State *L, int index, int type, lt_Life *life) {
  lt_check_stack(L, 8);
  if (lua_getiuservalue(L, index, 1) == type)
    return true;
  lua_pop(L, 1);
  Stranded *stranded = push_stranded(L);
  bool found = find_stranded(L, type, life);
  if (found) {
    come_back(L, stranded, life);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, 1);
    lua_remove(L, -2);
  } else {
    lua_pop(L, 2);
  }
  return found;
}

bool lt_own_value_set(lua_State *L, int index, lt_Life *life) {
  Stranded *stranded = push_stranded(L);
  make_room_for_value(L, stranded, life);
  lua_pop(L, 1);
  bool is_first = lua_getiuservalue(L, index, 1) != lua_type(L, -2);
  if (is_first) {
    lua_pop(L, 1);
    lua_setiuservalue(L, index, 1);
  } else {
    need_less(stranded);
    lua_remove(L, -2);
  }
  return is_first;
}

void lt_own_value_drop(lua_State *L, int index, lt_Life *life) {
  lua_pushnil(L);
  lua_setiuservalue(L, index, 1);
  Stranded *stranded = push_stranded(L);
  need_less(stranded);
  lua_pushnil(L);
  lua_rawsetp(L, -2, life);
  lua_pop(L, 1);
}
