/*
** Functions of the module on the shared data space: several steps on a field of a shared table as
** one, and the memory of it all.
*/
#include "lib/libs.h"

#include "src/base/shared_memory.h"
#include "src/shared/from_shared.h"
#include "src/shared/to_shared.h"

/* What all of these begin with: a shared table and a key. */
typedef struct Field {
  lt_BiasUser user;
  lt_SharedTable *shared;
  lt_SharedKey key;
} Field;

enum { TABLE = 1, KEY };

static Field check_field(lua_State *L) {
  Field field;
  field.user = lt_bias_user(lt_self(L));
  field.shared = (lt_SharedTable *)lt_check_object(L, TABLE, &lt_shared_table_type);
  lt_to_shared_key(L, KEY, &field.key);
  return field;
}

/*
** add
*/

typedef enum Addition { ADDITION_DONE, ADDITION_NO_NUMBER, ADDITION_NO_MEMORY } Addition;

static lua_Number as_float(const lt_SharedValue *value) {
  return value->kind == LT_SCALAR_INTEGER ? (lua_Number)value->as.scalar.integer
                                          : value->as.scalar.number;
}

static bool atomic_is_number(const lt_SharedValue *value) {
  return value->kind == LT_SCALAR_INTEGER || value->kind == LT_SCALAR_FLOAT;
}

/* As Lua adds: integers wrap around, and a float makes a float. */
static lt_SharedValue sum_of(const lt_SharedValue *a, const lt_SharedValue *b) {
  lt_SharedValue sum = lt_shared_nil;
  if (a->kind == LT_SCALAR_INTEGER && b->kind == LT_SCALAR_INTEGER) {
    sum.kind = LT_SCALAR_INTEGER;
    sum.as.scalar.integer =
        (lua_Integer)((lua_Unsigned)a->as.scalar.integer + (lua_Unsigned)b->as.scalar.integer);
  } else {
    sum.kind = LT_SCALAR_FLOAT;
    sum.as.scalar.number = as_float(a) + as_float(b);
  }
  return sum;
}

/* With the table locked. A field that is not there is the integer 0. */
static Addition add_locked(const Field *field, const lt_SharedValue *number, lt_SharedValue *sum) {
  static const lt_SharedValue zero = {LT_SCALAR_INTEGER, 0, {{0}}};
  lt_SharedValue old;
  lt_SharedValue old_key;
  lt_SharedValue *current = lt_value_table_find(&field->shared->table, &field->key);
  bool missing = current == NULL || current->kind == LT_SCALAR_NIL;
  if (!missing && !atomic_is_number(current)) {
    *sum = *current;
    return ADDITION_NO_NUMBER;
  }
  *sum = sum_of(missing ? &zero : current, number);
  if (!missing)
    *current = *sum;
  else if (!lt_value_table_set(&field->shared->table, &field->key, sum, &old, &old_key))
    return ADDITION_NO_MEMORY;
  return ADDITION_DONE;
}

static const char *kind_name(unsigned char kind) {
  static const char *const names[] = {"nil",    "boolean",        "boolean", "number",
                                      "number", "light userdata", "string",  "shared object"};
  return names[kind];
}

/*
** add(t, key, n) -> number
** Adds n to the number in a field of a shared table, and returns the sum. A field that is not
** there counts as 0. Integers wrap around, floats make floats, as Lua adds. Raises TypeError if n
** or the field is no number.
*/
static int add(lua_State *L) {
  Field field = check_field(L);
  lt_check_type(L, 3, LUA_TNUMBER);
  lt_SharedValue number = lt_to_shared(L, field.user, 3);
  lt_SharedValue sum;
  lt_BiasSlot *slot = lt_shared_table_begin_write(field.shared, field.user);
  Addition added = add_locked(&field, &number, &sum);
  lt_shared_table_end_write(field.shared, slot);
  if (added == ADDITION_NO_NUMBER)
    return lt_raise(L, &lt_TypeError, "cannot add to field '%s' (a %s value)",
                    luaL_tolstring(L, KEY, NULL), kind_name(sum.kind));
  if (added == ADDITION_NO_MEMORY)
    return lt_raise_memory(L);
  lt_scalar_push(L, sum.kind, &sum.as.scalar);
  return 1;
}

/*
** swap, cas and update. The field is read, looked at in Lua, and set only if it still has the very
** value that was read.
*/

typedef struct Seen {
  bool is_nil;
  lt_SharedKey identity; /* of any other value */
} Seen;

static bool still_has(const Field *field, const Seen *seen) {
  const lt_SharedValue *current = lt_value_table_find(&field->shared->table, &field->key);
  if (current == NULL || current->kind == LT_SCALAR_NIL)
    return seen->is_nil;
  return !seen->is_nil && lt_shared_key_matches(&seen->identity, current);
}

/*
** An object's proxy keeps it, so that no other can come at its address; then what it is in Lua.
*/
static void push_seen_object(lua_State *L, lt_Object *object) {
  lt_object_push_own(L, object);
  if (object->type == &lt_stored_value_type)
    lt_stored_value_push(L, (lt_StoredValue *)object);
  else
    lua_pushvalue(L, -1);
}

static void identify(lua_State *L, const lt_SharedValue *value, Seen *seen) {
  seen->is_nil = value->kind == LT_SCALAR_NIL;
  seen->identity.kind = value->kind;
  switch (value->kind) {
  case LT_SHARED_STRING:
    seen->identity.as.string.bytes = lua_tolstring(L, -1, &seen->identity.as.string.length);
    break;
  case LT_SHARED_OBJECT:
    seen->identity.as.object = value->as.object;
    break;
  default:
    seen->identity.as.scalar = value->as.scalar;
  }
}

/*
** Pushes something that must stay on the stack as long as 'seen' is used, and the field's value.
*/
static void push_seen(lua_State *L, const Field *field, Seen *seen) {
  lt_TakenValue taken;
  lt_BiasSlot *slot = lt_shared_table_begin_read(field->shared, field->user);
  const lt_SharedValue *value = lt_value_table_find(&field->shared->table, &field->key);
  if (value != NULL && value->kind == LT_SHARED_OBJECT) {
    taken.value = *value;
    lt_shared_value_retain(value);
  } else {
    lt_from_shared_take(L, value != NULL ? value : &lt_shared_nil, &taken);
  }
  lt_shared_table_end_read(field->shared, slot);
  if (taken.value.kind == LT_SHARED_OBJECT) {
    push_seen_object(L, taken.value.as.object);
  } else {
    lua_pushnil(L);
    lt_from_shared_push_taken(L, &taken, 1);
  }
  identify(L, &taken.value, seen);
}

/*
** Pushes what lt_to_shared makes a value of at any time, failing only without memory, for the value
** at 'index'. So the conversion is done once, and its errors come before anything is changed.
*/
static void push_prepared(lua_State *L, const Field *field, int index) {
  lt_SharedValue value = lt_from_shared_store(L, field->user, TABLE, KEY, index);
  if (value.kind == LT_SHARED_OBJECT) {
    lt_object_push_own(L, value.as.object);
  } else {
    lt_shared_value_release(&value);
    lua_pushvalue(L, index);
  }
}

/* Sets the field to the prepared value at 'index' if it still has what was seen in it. */
static bool set_if_seen(lua_State *L, const Field *field, const Seen *seen, int index) {
  lt_SharedValue value = lt_to_shared(L, field->user, index);
  lt_SharedValue old = lt_shared_nil;
  lt_SharedValue old_key = lt_shared_nil;
  lt_BiasSlot *slot = lt_shared_table_begin_write(field->shared, field->user);
  bool same = still_has(field, seen);
  bool done =
      same && lt_value_table_set(&field->shared->table, &field->key, &value, &old, &old_key);
  lt_shared_table_end_write(field->shared, slot);
  lt_shared_value_release(&old);
  lt_shared_value_release(&old_key);
  if (!done)
    lt_shared_value_release(&value);
  if (same && !done)
    lt_raise_memory(L);
  return done;
}

/*
** swap(t, key, value) -> old value
** Sets a field of a shared table and returns what it was, as one step. Raises TypeError for
** what can't be shared.
*/
static int swap(lua_State *L) {
  enum { VALUE = 3, PREPARED };
  Seen seen;
  Field field = check_field(L);
  lua_settop(L, VALUE);
  push_prepared(L, &field, VALUE);
  do { /* the old value is there before it is taken out, so it can't be lost */
    lua_settop(L, PREPARED);
    push_seen(L, &field, &seen);
  } while (!set_if_seen(L, &field, &seen, PREPARED));
  return 1;
}

/*
** cas(t, key, old, new) -> boolean
** If a field of a shared table is rawequal to 'old', sets it to 'new', as one step, and returns
** whether it has. nil stands for a field that is not there. Raises TypeError for what can't be
** shared.
*/
static int cas(lua_State *L) {
  enum { OLD = 3, NEW, PREPARED };
  Seen seen;
  Field field = check_field(L);
  lua_settop(L, NEW);
  push_prepared(L, &field, NEW);
  for (;;) {
    lua_settop(L, PREPARED);
    push_seen(L, &field, &seen);
    if (!lua_rawequal(L, -1, OLD)) {
      lua_pushboolean(L, 0);
      return 1;
    }
    if (set_if_seen(L, &field, &seen, PREPARED)) {
      lua_pushboolean(L, 1);
      return 1;
    }
  }
}

/*
** update(t, key, f) -> new value
** Sets a field of a shared table to f(its value). If another thread sets it meanwhile, does it
** again with the new value, so f may be called several times; no lock is held while it runs.
** Raises what f raises, and TypeError for what can't be shared; then nothing has changed.
*/
static int update(lua_State *L) {
  enum { FUNCTION = 3, SEEN, VALUE, RESULT, PREPARED };
  Seen seen;
  Field field = check_field(L);
  lt_check_callable(L, FUNCTION);
  do {
    lua_settop(L, FUNCTION);
    push_seen(L, &field, &seen);
    lua_pushvalue(L, FUNCTION);
    lua_pushvalue(L, VALUE);
    lua_call(L, 1, 1);
    push_prepared(L, &field, RESULT);
  } while (!set_if_seen(L, &field, &seen, PREPARED));
  bool is_shared = lt_object_of_type(L, PREPARED, &lt_shared_table_type) != NULL;
  lua_pushvalue(L, is_shared ? PREPARED : RESULT);
  return 1;
}

/*
** Memory
*/

/* shared_memory() -> integer. How many bytes the shared data space of the process has now. */
static int shared_memory(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lt_memory_bytes());
  return 1;
}

static void set_seconds(lua_State *L, const char *name, plat_Time time) {
  lua_pushnumber(L, (lua_Number)time / (lua_Number)PLAT_SECOND);
  lua_setfield(L, -2, name);
}

/*
** collect() -> {objects=, freed=, seconds=, longest_step=}
** Frees the shared objects that only refer to each other, which happens by itself now and then,
** and tells how many there were, how many of them it freed, how long it took, and the longest
** time for which it kept one table from being changed. Follows gc.collect.
*/
static int collect_cycles(lua_State *L) {
  lt_Collection collection;
  if (!lt_cycles_collect(lt_self(L)->parker, &collection))
    return lt_raise_memory(L);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer)collection.object_count);
  lua_setfield(L, -2, "objects");
  lua_pushinteger(L, (lua_Integer)collection.freed_count);
  lua_setfield(L, -2, "freed");
  set_seconds(L, "seconds", collection.duration);
  set_seconds(L, "longest_step", collection.longest_step);
  return 1;
}

const luaL_Reg lt_shared_functions[] = {{"add", add},
                                        {"swap", swap},
                                        {"cas", cas},
                                        {"update", update},
                                        {"shared_memory", shared_memory},
                                        {"collect", collect_cycles},
                                        {NULL, NULL}};
