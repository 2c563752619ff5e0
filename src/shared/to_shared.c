/*
** A conversion takes the plain tables one after the other, in the order in which it meets them.
** Nobody sees the new ones before all of them are complete.
*/
#include "src/shared/to_shared.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/growing_array.h"
#include "src/base/stack_room.h"
#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/object/printable.h"
#include "src/state/quiet_call.h"
#include "src/transfer/class_record.h"
#include "src/transfer/module_names.h"
#include "src/transfer/transfer_rules.h"

/* In the registry, during a conversion: the list of the tables, for the path in an error. */
static const char sources_key;

/* Where things lie on the stack of convert_protected. */
enum { CONVERSION = 1, ROOT, WITHOUT, SOURCES, NUMBERS, SOURCE, SOURCE_KEY, SOURCE_VALUE };

typedef struct Conversion {
  lt_QuietCall *quiet;
  lt_BiasUser user;
  bool plain;               /* nothing is done if the root is not a plain table */
  bool without;             /* there is a table of fields to leave out */
  lt_SharedTable **targets; /* of source i + 1; a reference to each */
  size_t count;
  size_t capacity;
} Conversion;

void lt_to_shared_key(lua_State *L, int index, lt_SharedKey *key) {
  if (!lt_shared_key_at(L, index, key)) {
    if (lua_isnoneornil(L, index))
      lt_raise(L, &lt_TypeError, "index is nil");
    lt_raise(L, &lt_TypeError, "a %s cannot be a key of a shared table",
             lt_push_type_name(L, index));
  }
  if (key->kind == LT_SCALAR_FLOAT && isnan(key->as.scalar.number))
    lt_raise(L, &lt_ValueError, "index is NaN");
}

lt_StoredValue *lt_to_shared_known(const lt_SharedValue *value) {
  if (value->kind != LT_SHARED_OBJECT || value->as.object->type != &lt_stored_value_type)
    return NULL;
  lt_StoredValue *stored = (lt_StoredValue *)value->as.object;
  return stored->has_identity ? stored : NULL;
}

/* One without a metatable. */
static bool is_bare_table(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE)
    return false;
  if (!lua_getmetatable(L, index))
    return true;
  lua_pop(L, 1);
  return false;
}

/* One that crosses by name: a module has it, or it is a registered class. */
static bool is_named(lua_State *L, int index) {
  lt_ModulePath path;
  const lt_ClassRecord *record = lt_class_record_find(L, index);
  /* Acquire: as whoever reads the name. */
  if (record != NULL && atomic_load_explicit(&record->identity->name, memory_order_acquire) != NULL)
    return true;
  lt_module_index_push(L, false, NULL);
  bool named = lt_module_names_find(L, -1, lua_topointer(L, index), &path);
  lua_pop(L, 1);
  return named;
}

/* One that is copied as a shared table, and not by name. */
static bool is_plain_table(lua_State *L, int index) {
  return is_bare_table(L, index) && lt_class_of_metatable(L, index) == NULL && !is_named(L, index);
}

/* What owns something is refused by packing, which tells another way out. */
static bool owns_something(lua_State *L, int metatable) {
  int top = lua_gettop(L);
  lua_pushliteral(L, "__gc");
  lua_rawget(L, metatable);
  lua_pushliteral(L, "__close");
  lua_rawget(L, metatable);
  bool owns = lua_toboolean(L, -1) || lua_toboolean(L, -2);
  lua_settop(L, top);
  return owns;
}

/*
** Every read of a stored table makes another one. That is well for what nobody changes, or what
** says itself how it crosses; what is written to any other one would be lost.
*/
static bool is_lost_when_stored(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lt_check_stack(L, LUA_MINSTACK);
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
    return false;
  int metatable = lua_gettop(L);
  bool is_lost = lt_class_of_metatable(L, metatable) == NULL && !is_named(L, index) &&
                 !owns_something(L, metatable) && lt_transfer_rule_push(L, metatable) == LT_NO_RULE;
  lua_settop(L, metatable - 1);
  return is_lost;
}

static _Noreturn void refuse_table(lua_State *L, int index, lt_DescribeValue describe) {
  bool is_class = lt_class_is_like_one(L, index);
  lt_check_stack(L, 4);
  if (describe != NULL)
    describe(L, 0);
  else
    lua_pushliteral(L, "value");
  lt_raise(L, &lt_TypeError,
           "cannot store a %s with a metatable in a shared table (%s): what is written to it would "
           "be lost; %s",
           is_class ? "class" : "table", lua_tostring(L, -1),
           is_class ? "_thread.register_class(name, class) makes it cross by its name"
                    : "make an object that all threads share, _thread.shared(object), or store its "
                      "fields");
}

/*
** Values other than plain tables
*/

static bool share_scalar(lua_State *L, int index, lt_SharedValue *value) {
  size_t length;
  *value = lt_shared_nil;
  int type = lua_type(L, index);
  if (type != LUA_TSTRING)
    return type == LUA_TNONE || lt_scalar_at(L, index, type, &value->kind, &value->as.scalar);
  const char *bytes = lua_tolstring(L, index, &length);
  value->kind = LT_SHARED_STRING;
  value->as.string = lt_shared_string_new(bytes, length);
  if (value->as.string == NULL)
    lt_raise_memory(L);
  return true;
}

static lt_SharedValue object_value(lt_Object *object) {
  lt_SharedValue value = lt_shared_nil;
  value.kind = LT_SHARED_OBJECT;
  value.as.object = object;
  return value;
}

static lt_SharedValue share_whole(lua_State *L, int index, lt_DescribeValue describe) {
  lt_Object *object = lt_object_at(L, index);
  if (object == NULL) {
    lt_StoredValue *stored = lt_stored_value_of(L, index);
    if (stored == NULL && is_lost_when_stored(L, index))
      refuse_table(L, index, describe);
    if (stored == NULL)
      return object_value(&lt_stored_value_new(L, index, describe)->traced.object);
    object = &stored->traced.object;
  }
  lt_object_retain(object);
  return object_value(object);
}

/*
** Paths: value.name[1]. In the list of sources, 0 is the number of the current one, -i is the
** number of the table in which table i was met.
*/

#define SHOWN_STEPS 12

static size_t number_at(lua_State *L, int sources, lua_Integer i) {
  lua_rawgeti(L, sources, i);
  size_t number = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return number;
}

/* Puts the step that leads from table 'parent' to the value on the top in that one's place. */
static void replace_by_step(lua_State *L, int sources, size_t parent) {
  lua_rawgeti(L, sources, (lua_Integer)parent);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_rawequal(L, -1, -4)) {
      lt_printable_push_key(L, lua_gettop(L) - 1);
      lua_replace(L, -5);
      lua_pop(L, 3);
      return;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  lua_pushliteral(L, "[?]");
}

/* The path to table 'number', before the string on the top. */
static void prepend_path(lua_State *L, int sources, size_t number) {
  for (int steps = 0; number > 1; steps++) {
    size_t parent = number_at(L, sources, -(lua_Integer)number);
    if (steps == SHOWN_STEPS) {
      lua_pushliteral(L, "...");
      lua_insert(L, -2);
      lua_concat(L, 2);
      break;
    }
    lua_rawgeti(L, sources, (lua_Integer)number);
    replace_by_step(L, sources, parent);
    lua_insert(L, -2);
    lua_concat(L, 2);
    number = parent;
  }
  lua_pushliteral(L, "value");
  lua_insert(L, -2);
  lua_concat(L, 2);
}

static void describe_value(lua_State *L, int value) {
  (void)value;
  lt_check_stack(L, 12);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sources_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_pushliteral(L, "value");
    return;
  }
  int sources = lua_gettop(L);
  lua_pushliteral(L, "key");
  lua_rawget(L, sources);
  lt_printable_push_key(L, sources + 1);
  prepend_path(L, sources, number_at(L, sources, 0));
  lua_replace(L, sources);
  lua_settop(L, sources);
}

static _Noreturn void refuse_key(lua_State *L, size_t number) {
  lua_pushliteral(L, "");
  prepend_path(L, SOURCES, number);
  const char *path = lua_tostring(L, -1);
  lt_raise(L, &lt_TypeError, "a %s cannot be a key of a shared table (in %s)",
           lt_push_type_name(L, SOURCE_KEY), path);
}

/*
** Plain tables
*/

static lt_SharedTable *add_target(lua_State *L, Conversion *conversion) {
  if (conversion->count == conversion->capacity &&
      !lt_array_grow(&conversion->targets, NULL, &conversion->capacity, 4,
                     sizeof(lt_SharedTable *)))
    lt_raise_memory(L);
  lt_SharedTable *target = lt_shared_table_new(false);
  if (target == NULL)
    lt_raise_memory(L);
  conversion->targets[conversion->count++] = target;
  return target;
}

/*
** The shared table for the source on the top, which was met in table 'parent', without a
** reference.
*/
static lt_SharedTable *target_of(lua_State *L, Conversion *conversion, size_t parent) {
  lua_pushvalue(L, -1);
  lua_rawget(L, NUMBERS);
  size_t number = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (number != 0)
    return conversion->targets[number - 1];
  lt_SharedTable *target = add_target(L, conversion);
  lua_Integer last = (lua_Integer)conversion->count;
  lua_pushvalue(L, -1);
  lua_pushinteger(L, last);
  lua_rawset(L, NUMBERS);
  lua_pushvalue(L, -1);
  lua_rawseti(L, SOURCES, last);
  if (parent != 0) {
    lua_pushinteger(L, (lua_Integer)parent);
    lua_rawseti(L, SOURCES, -last);
  }
  return target;
}

/* An error in packing tells the path to this key of this table. */
static void set_place(lua_State *L, size_t number) {
  lua_pushinteger(L, (lua_Integer)number);
  lua_rawseti(L, SOURCES, 0);
  lua_pushliteral(L, "key");
  lua_pushvalue(L, SOURCE_KEY);
  lua_rawset(L, SOURCES);
}

static lt_SharedValue share_field(lua_State *L, Conversion *conversion, size_t number) {
  lt_SharedValue value;
  if (share_scalar(L, SOURCE_VALUE, &value))
    return value;
  if (is_plain_table(L, SOURCE_VALUE) || lua_rawequal(L, SOURCE_VALUE, ROOT)) {
    lt_SharedTable *target = target_of(L, conversion, number);
    lt_object_retain(&target->traced.object);
    return object_value(&target->traced.object);
  }
  set_place(L, number);
  return share_whole(L, SOURCE_VALUE, describe_value);
}

/* Whether the root's field, whose key and value are on the top, is not to be converted. */
static bool is_left_out(lua_State *L, const Conversion *conversion, size_t number) {
  if (!conversion->without || number != 1)
    return false;
  lua_pushvalue(L, SOURCE_KEY);
  bool left_out = lua_rawget(L, WITHOUT) != LUA_TNIL;
  lua_pop(L, 1);
  return left_out;
}

static void convert_field(lua_State *L, Conversion *conversion, size_t number) {
  lt_SharedKey key;
  lt_SharedValue value = share_field(L, conversion, number);
  if (!lt_shared_key_at(L, SOURCE_KEY, &key)) {
    lt_shared_value_release(&value);
    refuse_key(L, number);
  }
  if (lt_shared_table_set(conversion->targets[number - 1], conversion->user, &key, &value) ==
      LT_NOT_SET)
    lt_raise_memory(L);
}

static void convert_table(lua_State *L, Conversion *conversion, size_t number) {
  lua_rawgeti(L, SOURCES, (lua_Integer)number);
  lua_pushnil(L);
  while (lua_next(L, SOURCE)) {
    if (!is_left_out(L, conversion, number))
      convert_field(L, conversion, number);
    lua_pop(L, 1);
  }
  lua_settop(L, SOURCE - 1);
}

/* No code of the state changes a table while it is walked: see quiet_call.h. */
static int convert_protected(lua_State *L) {
  Conversion *conversion = lua_touserdata(L, CONVERSION);
  lt_check_stack(L, 24);
  if (conversion->plain && !is_plain_table(L, ROOT))
    return 0;
  lua_settop(L, WITHOUT);
  lt_quiet_hold(L, conversion->quiet);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushvalue(L, SOURCES);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sources_key);
  lua_pushvalue(L, ROOT);
  target_of(L, conversion, 0);
  lua_pop(L, 1);
  for (size_t number = 1; number <= conversion->count; number++)
    convert_table(L, conversion, number);
  return 0;
}

/* Of all but the first, which is the caller's; of that too when it has failed. */
static void release_targets(Conversion *conversion, bool failed) {
  for (size_t i = 0; failed && i < conversion->count; i++)
    lt_shared_table_type.tracing->clear(&conversion->targets[i]->traced.object);
  for (size_t i = failed ? 0 : 1; i < conversion->count; i++)
    lt_object_release(&conversion->targets[i]->traced.object);
  free(conversion->targets);
}

/* NULL if it must be a plain table and is none. */
static lt_SharedTable *convert_whole(lua_State *L, lt_BiasUser user, int index, int without,
                                     bool plain) {
  lt_QuietCall quiet;
  Conversion conversion = {&quiet, user, plain, without != 0, NULL, 0, 0};
  lt_check_stack(L, 5);
  index = lua_absindex(L, index);
  lua_pushvalue(L, index);
  if (without != 0)
    lua_pushvalue(L, without);
  int status = lt_quiet_call(L, &quiet, convert_protected, &conversion, without != 0 ? 2 : 1, 0);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sources_key); /* no memory is needed for a nil */
  lt_SharedTable *root = conversion.count > 0 ? conversion.targets[0] : NULL;
  release_targets(&conversion, status != LUA_OK);
  if (status != LUA_OK)
    lt_throw_again(L);
  return root;
}

lt_SharedTable *lt_to_shared_table(lua_State *L, lt_BiasUser user, int index, int without) {
  return convert_whole(L, user, index, without, false);
}

lt_SharedValue lt_to_shared(lua_State *L, lt_BiasUser user, int index) {
  lt_SharedValue value;
  if (share_scalar(L, index, &value))
    return value;
  lt_SharedTable *shared = is_bare_table(L, index) ? convert_whole(L, user, index, 0, true) : NULL;
  return shared != NULL ? object_value(&shared->traced.object) : share_whole(L, index, NULL);
}
