/*
** The fields of shared tables.
*/
#include "lib/shared_fields.h"

#include "src/object/arguments.h"
#include "src/shared/from_shared.h"
#include "src/shared/to_shared.h"
#include "src/thread/thread.h"

static lt_SharedTable *check_shared(lua_State *L, int arg) {
  return (lt_SharedTable *)lt_check_object(L, arg, &lt_shared_table_type);
}

/* The first argument, and in 'user' the calling thread. */
static lt_SharedTable *check_shared_and_user(lua_State *L, lt_BiasUser *user) {
  const lt_Proxy *proxy = lt_check_proxy(L, 1, &lt_shared_table_type);
  const lt_Thread *thread = ((const lt_Context *)proxy->context)->thread;
  *user = lt_bias_user(thread != NULL ? thread : lt_self(L)); /* which raises the error */
  return (lt_SharedTable *)proxy->object;
}

/* Pushes what the state's own globals have under the key at 'index'. */
static void push_own_global(lua_State *L, int index) {
  lua_pushglobaltable(L);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
}

/* Of the table at 1, under the key at 2. */
static void push_taken_field(lua_State *L, lt_BiasUser user, lt_TakenValue *taken) {
  bool kept = lt_to_shared_known(&taken->value) != NULL;
  lt_from_shared_push_taken(L, taken, 1);
  if (kept)
    lt_from_shared_remember(L, user, 1, 2);
}

/* The same, when nothing of it is taken yet. */
static void shared_push_field(lua_State *L, lt_BiasUser user, lt_SharedTable *shared,
                              const lt_SharedKey *key) {
  lt_TakenValue taken;
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, user);
  const lt_SharedValue *value = lt_value_table_find(&shared->table, key);
  if (value == NULL || lt_shared_value_is_scalar(value)) { /* the fast way */
    lt_SharedValue scalar = value != NULL ? *value : lt_shared_nil;
    lt_shared_table_end_read(shared, slot);
    lt_scalar_push(L, scalar.kind, &scalar.as.scalar);
    return;
  }
  lt_from_shared_take(L, value, &taken);
  lt_shared_table_end_read(shared, slot);
  push_taken_field(L, user, &taken);
}

int lt_shared_index(lua_State *L) {
  lt_BiasUser user;
  lt_SharedTable *shared = check_shared_and_user(L, &user);
  lt_SharedKey key;
  if (lt_shared_key_at(L, 2, &key))
    shared_push_field(L, user, shared, &key);
  else
    lua_pushnil(L);
  if (shared->is_globals && lua_isnil(L, -1))
    push_own_global(L, 2);
  return 1;
}

int lt_shared_get(lua_State *L) {
  lt_BiasUser user;
  lt_SharedTable *shared = check_shared_and_user(L, &user);
  lt_SharedKey key;
  lt_TakenValue taken;
  if (!shared->is_globals)
    return lt_shared_index(L);
  if (!lt_shared_key_at(L, 2, &key)) {
    lua_pushnil(L);
    return 1;
  }
  lt_from_shared_take_field(L, user, shared, &key, &taken);
  push_taken_field(L, user, &taken);
  return 1;
}

bool lt_shared_has(lua_State *L) {
  lt_BiasUser user;
  lt_SharedTable *shared = check_shared_and_user(L, &user);
  lt_SharedKey key;
  if (!lt_shared_key_at(L, 2, &key))
    return false;
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, user);
  const lt_SharedValue *value = lt_value_table_find(&shared->table, &key);
  bool has = value != NULL && value->kind != LT_SCALAR_NIL;
  lt_shared_table_end_read(shared, slot);
  return has;
}

int lt_shared_newindex(lua_State *L) {
  lt_BiasUser user;
  lt_SharedTable *shared = check_shared_and_user(L, &user);
  lt_SharedKey key;
  lt_to_shared_key(L, 2, &key);
  lt_SharedValue value = lt_shared_nil;
  bool kept = false;
  if (lua_isinteger(L, 3)) { /* the fast way */
    value.kind = LT_SCALAR_INTEGER;
    value.as.scalar.integer = lua_tointeger(L, 3);
  } else {
    value = lt_from_shared_store(L, user, 1, 2, 3);
    kept = lt_to_shared_known(&value) != NULL;
  }
  lt_SetOutcome set = lt_shared_table_set(shared, user, &key, &value);
  if (set == LT_NOT_SET)
    return lt_raise_memory(L);
  if (set == LT_SET_OVER_OBJECT && !kept)
    lt_from_shared_forget(L, 1, 2);
  if (value.kind == LT_SHARED_OBJECT)
    lt_cycles_collect_if_due();
  return 0;
}

int lt_shared_len(lua_State *L) {
  lt_SharedTable *shared = check_shared(L, 1);
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, lt_bias_user(lt_self(L)));
  lua_Integer length = lt_value_table_length(&shared->table);
  lt_shared_table_end_read(shared, slot);
  lua_pushinteger(L, length);
  return 1;
}

/*
** Walking. The iterator's upvalues are the context, the table's proxy and a cursor.
*/

static int shared_next_field(lua_State *L) {
  lt_SharedTable *shared = (lt_SharedTable *)lt_object_at(L, lua_upvalueindex(2));
  lt_ValueCursor *cursor = lua_touserdata(L, lua_upvalueindex(3));
  lt_BiasUser user = lt_bias_user(lt_self(L));
  lt_TakenValue taken[2];
  lt_SharedValue key;
  lt_SharedValue value;
  lua_settop(L, 0);
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, user);
  bool found = lt_value_table_next(&shared->table, cursor, &key, &value);
  if (found) {
    lt_from_shared_take(L, &key, &taken[0]);
    lt_from_shared_take(L, &value, &taken[1]);
  }
  lt_shared_table_end_read(shared, slot);
  if (!found) {
    lua_pushnil(L);
    return 1;
  }
  bool kept = lt_to_shared_known(&taken[1].value) != NULL;
  lt_from_shared_push_taken(L, taken, 2);
  if (kept)
    lt_from_shared_remember(L, user, lua_upvalueindex(2), lua_gettop(L) - 1);
  return 2;
}

int lt_shared_pairs(lua_State *L) {
  lt_SharedTable *shared = check_shared(L, 1);
  lt_BiasUser user = lt_bias_user(lt_self(L));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lt_ValueCursor *cursor = lua_newuserdatauv(L, sizeof(*cursor), 0);
  lt_BiasSlot *slot = lt_shared_table_begin_read(shared, user);
  lt_value_table_begin(&shared->table, cursor);
  lt_shared_table_end_read(shared, slot);
  lua_pushcclosure(L, shared_next_field, 3);
  lua_pushvalue(L, 1);
  return 2;
}
