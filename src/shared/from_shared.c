#include "src/shared/from_shared.h"

#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/shared/to_shared.h"

/*
** Taking and pushing
*/

static bool from_shared_push_known(lua_State *L, const lt_Object *object) {
  if (object->type == &lt_stored_value_type)
    return lt_stored_value_push_known(L, (const lt_StoredValue *)object);
  return lt_object_push_known(L, object);
}

void lt_from_shared_take(lua_State *L, const lt_SharedValue *value, lt_TakenValue *taken) {
  taken->value = *value;
  taken->has_reference = false;
  taken->place = 0;
  if (value->kind == LT_SHARED_STRING) {
    taken->length = value->as.string->length;
    if (taken->length <= sizeof(taken->bytes)) {
      memcpy(taken->bytes, value->as.string->bytes, taken->length);
      return;
    }
  } else if (value->kind == LT_SHARED_OBJECT) {
    if (from_shared_push_known(L, value->as.object)) {
      taken->place = lua_gettop(L);
      return;
    }
  } else {
    return;
  }
  lt_shared_value_retain(value);
  taken->has_reference = true;
}

void lt_from_shared_take_field(lua_State *L, lt_BiasUser user, lt_SharedTable *shared,
                               const lt_SharedKey *key, lt_TakenValue *taken) {
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, user);
  const lt_SharedValue *value = lt_value_table_find(&shared->table, key);
  lt_from_shared_take(L, value != NULL ? value : &lt_shared_nil, taken);
  lt_shared_table_end_read(shared, slot);
}

void lt_from_shared_push(lua_State *L, const lt_SharedValue *value) {
  if (value->kind == LT_SHARED_STRING)
    lua_pushlstring(L, value->as.string->bytes, value->as.string->length);
  else if (value->kind != LT_SHARED_OBJECT)
    lt_scalar_push(L, value->kind, &value->as.scalar);
  else if (value->as.object->type == &lt_stored_value_type)
    lt_stored_value_push(L, (lt_StoredValue *)value->as.object);
  else
    lt_object_push(L, value->as.object);
}

/* The argument: an lt_SharedValue. */
static int from_shared_push_protected(lua_State *L) {
  lt_from_shared_push(L, lua_touserdata(L, 1));
  return 1;
}

/* Brings those with a reference to a place on the stack. Returns whether that has failed. */
static bool push_references(lua_State *L, lt_TakenValue *taken, int count) {
  int status = LUA_OK;
  for (int i = 0; i < count; i++) {
    if (!taken[i].has_reference)
      continue;
    if (status == LUA_OK) {
      status = lt_protected_call(L, from_shared_push_protected, &taken[i].value, 0, 1);
      taken[i].place = lua_gettop(L);
    }
    lt_shared_value_release(&taken[i].value);
  }
  return status != LUA_OK;
}

static void push_one(lua_State *L, const lt_TakenValue *taken) {
  if (taken->place != 0)
    lua_pushvalue(L, taken->place);
  else if (taken->value.kind == LT_SHARED_STRING)
    lua_pushlstring(L, taken->bytes, taken->length);
  else
    lt_from_shared_push(L, &taken->value);
}

void lt_from_shared_push_taken(lua_State *L, lt_TakenValue *taken, int count) {
  if (push_references(L, taken, count))
    lt_throw(L);
  for (int i = 0; i < count; i++)
    push_one(L, &taken[i]);
}

/*
** Keeping. The user value of a proxy is a list: the kept values by their keys, how many were
** added since they were last looked through, and how many may be before they are again.
*/

enum { RECORD_KEPT = 1, RECORD_ADDED, RECORD_LIMIT };
#define FIRST_LIMIT 16

static void push_record(lua_State *L, int proxy) {
  if (lua_getiuservalue(L, proxy, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 3, 0);
  lua_newtable(L);
  lua_rawseti(L, -2, RECORD_KEPT);
  lua_pushinteger(L, 0);
  lua_rawseti(L, -2, RECORD_ADDED);
  lua_pushinteger(L, FIRST_LIMIT);
  lua_rawseti(L, -2, RECORD_LIMIT);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, proxy, 1);
}

/* Whether the field still has the value on the top; its key is below. */
static bool is_current(lua_State *L, lt_BiasUser user, lt_SharedTable *shared) {
  lt_SharedKey key;
  bool current = false;
  if (!lt_shared_key_at(L, -2, &key))
    return false;
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, user);
  const lt_SharedValue *value = lt_value_table_find(&shared->table, &key);
  lt_StoredValue *stored = value != NULL ? lt_to_shared_known(value) : NULL;
  if (stored != NULL && lt_stored_value_push_known(L, stored)) {
    current = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
  }
  lt_shared_table_end_read(shared, slot);
  return current;
}

/*
** The record is on the top, and above it the kept values: drops those that are no longer there.
*/
static void drop_old(lua_State *L, lt_BiasUser user, lt_SharedTable *shared) {
  lua_Integer left = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (is_current(L, user, shared)) {
      left++;
    } else {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, -5);
    }
    lua_pop(L, 1);
  }
  lua_pushinteger(L, 0);
  lua_rawseti(L, -3, RECORD_ADDED);
  lua_pushinteger(L, left + FIRST_LIMIT);
  lua_rawseti(L, -3, RECORD_LIMIT);
}

static lua_Integer integer_field(lua_State *L, int index, lua_Integer i) {
  lua_rawgeti(L, index, i);
  lua_Integer integer = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return integer;
}

void lt_from_shared_remember(lua_State *L, lt_BiasUser user, int proxy, int key) {
  int value = lua_gettop(L);
  lt_check_stack(L, 16);
  push_record(L, proxy);
  lua_rawgeti(L, -1, RECORD_KEPT);
  lua_pushvalue(L, key);
  lua_rawget(L, -2);
  if (!lua_rawequal(L, -1, value)) {
    lua_pop(L, 1);
    lua_Integer added = integer_field(L, -2, RECORD_ADDED) + 1;
    if (added > integer_field(L, -2, RECORD_LIMIT)) {
      drop_old(L, user, (lt_SharedTable *)lt_object_at(L, proxy));
      added = 1;
    }
    lua_pushvalue(L, key);
    lua_pushvalue(L, value);
    lua_rawset(L, -3);
    lua_pushinteger(L, added);
    lua_rawseti(L, -3, RECORD_ADDED);
  }
  lua_settop(L, value);
}

void lt_from_shared_forget(lua_State *L, int proxy, int key) {
  if (lua_getiuservalue(L, proxy, 1) == LUA_TTABLE) {
    lua_rawgeti(L, -1, RECORD_KEPT);
    lua_pushvalue(L, key);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

lt_SharedValue lt_from_shared_store(lua_State *L, lt_BiasUser user, int proxy, int key, int index) {
  lt_SharedValue value = lt_to_shared(L, user, index);
  lt_StoredValue *kept = lt_to_shared_known(&value);
  if (kept == NULL) {
    lt_from_shared_forget(L, proxy, key);
  } else {
    lt_shared_value_release(
        &value); /* the state has a reference, and lt_from_shared_remember may raise */
    lua_pushvalue(L, index);
    lt_from_shared_remember(L, user, proxy, key);
    lua_pop(L, 1);
    lt_shared_value_retain(&value);
  }
  return value;
}
