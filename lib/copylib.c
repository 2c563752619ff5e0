/*
** Functions of the module that bring a shared table, or a range of it, into a plain table as one
** step, and back.
*/
#include "lib/libs.h"

#include <limits.h>
#include <stdlib.h>

#include "lib/shared_object.h"
#include "src/base/protected_call.h"
#include "src/shared/from_shared.h"
#include "src/shared/to_shared.h"
#include "src/shared/value_range.h"

/*
** Fields that have been taken, before they are made values of Lua
*/

typedef struct Fields {
  lt_SharedValue *values; /* keys and values in turn, with references */
  size_t count;           /* of both */
  size_t capacity;
} Fields;

/* What is copied of the first table: all, or what is from 'first' to 'last'. */
typedef struct CopiedRange {
  bool is_all;
  bool to_the_end; /* 'last' is the length of the table */
  lua_Integer first;
  lua_Integer last;
} CopiedRange;

static const CopiedRange all_fields = {.is_all = true};

static void retain_field(Fields *fields, const lt_SharedValue *key, const lt_SharedValue *value) {
  lt_shared_value_retain(key);
  lt_shared_value_retain(value);
  fields->values[fields->count++] = *key;
  fields->values[fields->count++] = *value;
}

static void take_all(const lt_ValueTable *table, Fields *fields) {
  lt_ValueCursor cursor;
  lt_SharedValue key;
  lt_SharedValue value;
  lt_value_table_begin(table, &cursor);
  while (lt_value_table_next(table, &cursor, &key, &value))
    retain_field(fields, &key, &value);
}

static void take_one(void *context, lua_Integer key, const lt_SharedValue *value) {
  lt_SharedValue number = lt_shared_nil;
  number.kind = LT_SCALAR_INTEGER;
  number.as.scalar.integer = key;
  retain_field(context, &number, value);
}

/* Takes them as they are at one moment, when the end of the range is found. False: no memory. */
static bool take_fields(lt_BiasUser user, lt_SharedTable *shared, CopiedRange *range,
                        Fields *fields) {
  const lt_ValueTable *table = &shared->table;
  fields->count = 0;
  for (;;) {
    lt_shared_table_begin_long_read(shared, user);
    if (range->to_the_end)
      range->last = lt_value_table_length(table);
    size_t needed = 2 * (range->is_all ? table->array_used + table->live_count
                                       : lt_value_range_bound(table, range->first, range->last));
    bool has_room = needed <= fields->capacity;
    if (has_room && range->is_all)
      take_all(table, fields);
    else if (has_room)
      lt_value_range_visit(table, range->first, range->last, take_one, fields);
    lt_shared_table_end_long_read(shared);
    if (has_room)
      return true;
    free(fields->values);
    fields->capacity = needed;
    fields->values = malloc(needed * sizeof(lt_SharedValue));
    if (fields->values == NULL)
      return false;
  }
}

static void release_fields(Fields *fields) {
  for (size_t i = 0; i < fields->count; i++)
    lt_shared_value_release(&fields->values[i]);
  fields->count = 0;
}

/*
** copy
*/

/* Where things lie on the stack of copy_protected; proxies are the keys of COPIES. */
enum { COPYING = 1, COPY_ROOT, COPIES, PROXIES, COPY };

typedef struct Copying {
  lt_BiasUser user;
  CopiedRange range; /* of the first table */
  Fields fields;
  lua_Integer count; /* of tables that were met */
} Copying;

/*
** Puts the copy of the shared table whose proxy is on the top in its place; a new one is empty.
*/
static void replace_by_copy(lua_State *L, Copying *copying) {
  lua_pushvalue(L, -1);
  if (lua_rawget(L, COPIES) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lt_shared_object_begin_copy(L, (lt_SharedTable *)lt_object_at(L, -2));
    lua_pushvalue(L, -2);
    lua_rawseti(L, PROXIES, ++copying->count);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, COPIES);
  }
  lua_remove(L, -2);
}

/* Into the table at COPY; keys that are integers become smaller by 'shift'. */
static void push_copied(lua_State *L, Copying *copying, lua_Integer shift) {
  const Fields *fields = &copying->fields;
  for (size_t i = 0; i < fields->count; i += 2) {
    const lt_SharedValue *key = &fields->values[i];
    if (key->kind != LT_SCALAR_INTEGER)
      lt_from_shared_push(L, key);
    lt_from_shared_push(L, &fields->values[i + 1]);
    if (fields->values[i + 1].kind == LT_SHARED_OBJECT &&
        lt_object_of_type(L, -1, &lt_shared_table_type) != NULL)
      replace_by_copy(L, copying);
    if (key->kind == LT_SCALAR_INTEGER)
      lua_rawseti(L, COPY,
                  (lua_Integer)((lua_Unsigned)key->as.scalar.integer - (lua_Unsigned)shift));
    else
      lua_rawset(L, COPY);
  }
}

/* The proxy is on the top. */
static void copy_table(lua_State *L, Copying *copying) {
  CopiedRange all = all_fields;
  lt_SharedTable *shared = (lt_SharedTable *)lt_object_at(L, -1);
  replace_by_copy(L, copying);
  if (!take_fields(copying->user, shared, &all, &copying->fields))
    lt_raise_memory(L);
  push_copied(L, copying, 0);
  release_fields(&copying->fields);
  lua_settop(L, PROXIES);
}

/* The new table is at COPY. */
static void copy_range(lua_State *L, Copying *copying) {
  lt_SharedTable *shared = (lt_SharedTable *)lt_object_at(L, COPY_ROOT);
  if (!take_fields(copying->user, shared, &copying->range, &copying->fields))
    lt_raise_memory(L);
  size_t count = copying->fields.count / 2;
  lua_createtable(L, count < INT_MAX ? (int)count : INT_MAX, 0);
  push_copied(L, copying, (lua_Integer)((lua_Unsigned)copying->range.first - 1));
  release_fields(&copying->fields);
}

static int copy_protected(lua_State *L) {
  Copying *copying = lua_touserdata(L, COPYING);
  lua_newtable(L);
  lua_newtable(L);
  if (copying->range.is_all) {
    lua_pushvalue(L, COPY_ROOT);
    replace_by_copy(L, copying);
  } else {
    copy_range(L, copying);
  }
  lua_replace(L, COPY_ROOT); /* from here on the result */
  for (lua_Integer i = 1; i <= copying->count; i++) {
    lua_rawgeti(L, PROXIES, i);
    copy_table(L, copying);
  }
  lua_settop(L, COPY_ROOT);
  return 1;
}

/* Raises ValueError if there are more places than integers to count them. */
static void check_span(lua_State *L, const CopiedRange *range) {
  lua_Integer last = range->to_the_end ? LUA_MAXINTEGER / 2 : range->last;
  if (range->first <= last &&
      (lua_Unsigned)last - (lua_Unsigned)range->first >= (lua_Unsigned)LUA_MAXINTEGER)
    lt_arg_error(L, &lt_ValueError, 2, "%I is too small: there are too many places from there on",
                 range->first);
}

static lua_Integer opt_place(lua_State *L, int arg, lua_Integer otherwise) {
  return lua_isnoneornil(L, arg) ? otherwise : lt_check_integer(L, arg);
}

/*
** copy(t [, i [, j]]) -> plain table
** A plain table with the fields of a shared one, and plain copies of the shared tables in it,
** once each; of a shared object, an object of its class. What it has of one table are its fields at
** one moment. With a number, a list of the fields t[i] to t[j], which are 1 and #t by default; what
** is nil there is nil in it. Raises ValueError if there are more places than integers. Follows
** copy.deepcopy.
*/
static int copy(lua_State *L) {
  Copying copying = {lt_bias_user(lt_self(L)), all_fields, {NULL, 0, 0}, 0};
  lt_check_object(L, 1, &lt_shared_table_type);
  if (!lua_isnoneornil(L, 2) || !lua_isnoneornil(L, 3)) {
    copying.range = (CopiedRange){.to_the_end = lua_isnoneornil(L, 3),
                                  .first = opt_place(L, 2, 1),
                                  .last = opt_place(L, 3, 0)};
    check_span(L, &copying.range);
  }
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  int status = lt_protected_call(L, copy_protected, &copying, 1, 1);
  release_fields(&copying.fields);
  free(copying.fields.values);
  if (status != LUA_OK)
    lt_throw(L);
  return 1;
}

/*
** assign
*/

typedef struct Assignment {
  lt_BiasUser user;
  lua_Integer first;
  size_t count;
  size_t made;            /* of the values; they have references */
  lt_SharedValue *values; /* new ones, and behind them the old ones */
} Assignment;

/* Where things lie on the stack of make_values. */
enum { ASSIGNMENT = 1, ASSIGNED, LIST, ASSIGNED_VALUE, ASSIGNED_KEY };

static lua_Integer assigned_key(const Assignment *assignment, size_t number) {
  return (lua_Integer)((lua_Unsigned)assignment->first + number);
}

/* Numbers are the fast way: what the state keeps for a field is looked at when one has been set. */
static int make_values(lua_State *L) {
  Assignment *assignment = lua_touserdata(L, ASSIGNMENT);
  for (; assignment->made < assignment->count; assignment->made++) {
    lt_SharedValue *value = &assignment->values[assignment->made];
    lua_rawgeti(L, LIST, (lua_Integer)assignment->made + 1);
    int type = lua_type(L, ASSIGNED_VALUE);
    if (type != LUA_TNUMBER ||
        !lt_scalar_at(L, ASSIGNED_VALUE, type, &value->kind, &value->as.scalar)) {
      lua_pushinteger(L, assigned_key(assignment, assignment->made));
      *value = lt_from_shared_store(L, assignment->user, ASSIGNED, ASSIGNED_KEY, ASSIGNED_VALUE);
    }
    lua_settop(L, LIST);
  }
  return 0;
}

static void release_all(const lt_SharedValue *values, size_t count) {
  for (size_t i = 0; i < count; i++)
    lt_shared_value_release(&values[i]);
}

/*
** A state does not keep what it had made of a value that a number has replaced; others were told
** when the new value was made. The table is at 1.
*/
static void forget_old(lua_State *L, const Assignment *assignment) {
  const lt_SharedValue *old = assignment->values + assignment->count;
  for (size_t i = 0; i < assignment->count; i++) {
    if (old[i].kind == LT_SHARED_OBJECT && lt_shared_value_is_scalar(&assignment->values[i])) {
      lua_pushinteger(L, assigned_key(assignment, i));
      lt_from_shared_forget(L, 1, lua_gettop(L));
      lua_pop(L, 1);
    }
  }
}

/* All or nothing. The values are the table's then, and the old ones still the caller's. */
static bool set_values(lt_SharedTable *shared, const Assignment *assignment) {
  lt_BiasSlot *slot = lt_shared_table_begin_write(shared, assignment->user);
  bool done = lt_value_range_set(&shared->table, assignment->first, assignment->values,
                                 assignment->count, assignment->values + assignment->count);
  lt_shared_table_end_write(shared, slot);
  return done;
}

static bool allocate_values(Assignment *assignment) {
  const size_t most = SIZE_MAX / (2 * sizeof(lt_SharedValue));
  if (assignment->count < most)
    assignment->values = calloc(2 * assignment->count + 1, sizeof(lt_SharedValue));
  return assignment->values != NULL;
}

/* Raises, or makes the values. Those of a list are made before any of them is set. */
static void prepare_values(lua_State *L, Assignment *assignment) {
  if (!allocate_values(assignment))
    lt_raise_memory(L);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  if (lt_protected_call(L, make_values, assignment, 2, 0) != LUA_OK) {
    release_all(assignment->values, assignment->made);
    free(assignment->values);
    lt_throw(L);
  }
}

/*
** assign(t, i, list)
** Sets t[i], t[i + 1] and so on to the values of the list, as one step: to all other threads, and
** where something goes wrong. How long the list is says its field n or, without that, #list. Raises
** TypeError for what can't be shared, ValueError where the range ends beyond the greatest integer.
*/
static int assign(lua_State *L) {
  Assignment assignment = {.user = lt_bias_user(lt_self(L))};
  lt_SharedTable *shared = (lt_SharedTable *)lt_check_object(L, 1, &lt_shared_table_type);
  assignment.first = lt_check_integer(L, 2);
  lua_Integer length = lt_check_list(L, 3);
  if (length > 0 &&
      (lua_Unsigned)length - 1 > (lua_Unsigned)LUA_MAXINTEGER - (lua_Unsigned)assignment.first)
    return lt_arg_error(L, &lt_ValueError, 2, "%I is too large for a list of %I values",
                        assignment.first, length);
  assignment.count = (lua_Unsigned)length < SIZE_MAX ? (size_t)length : SIZE_MAX;
  lua_settop(L, 3);
  prepare_values(L, &assignment);
  bool done = set_values(shared, &assignment);
  if (done)
    forget_old(L, &assignment);
  release_all(assignment.values + (done ? assignment.count : 0), assignment.count);
  free(assignment.values);
  if (!done)
    return lt_raise_memory(L);
  lt_cycles_collect_if_due();
  return 0;
}

const luaL_Reg lt_copy_functions[] = {{"copy", copy}, {"assign", assign}, {NULL, NULL}};
