/*
** Shared state: the filter, whose bits are only ever set, and the names of identities, which are
** written once.
*/
#include "src/transfer/class_record.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/stack_room.h"
#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/object/printable.h"

static const char records_key; /* addresses in the registry */
static const char names_key;

atomic_uint_least64_t lt_class_filter[LT_CLASS_FILTER_WORDS];

atomic_bool lt_class_has_variables;

static atomic_uint_least64_t last_number;

uint64_t lt_class_next_number(void) {
  /* Relaxed: only the order of the numbers that one thread gets, or hands on, is of interest. */
  return atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
}

static void enter_in_filter(const void *address) {
  uint64_t hash = (uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15);
  atomic_fetch_or_explicit(&lt_class_filter[hash >> 57], (uint64_t)1 << (hash >> 51 & 63),
                           memory_order_relaxed);
}

static void identity_destroy(lt_Object *object) {
  lt_ClassIdentity *identity = (lt_ClassIdentity *)object;
  free(atomic_load_explicit(&identity->name, memory_order_relaxed));
  free(identity);
}

static const lt_Type identity_type = {"class identity", NULL, identity_destroy, NULL};

/*
** Records
*/

void lt_class_record_push(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 6);
  lt_push_registered(L, &records_key, "k");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

bool lt_class_record_has_ended(lua_State *L) {
  lua_getiuservalue(L, -1, LT_RECORD_IDENTITY);
  bool ended = lt_proxy_has_ended(L, -1);
  lua_pop(L, 1);
  return ended;
}

lt_ClassRecord *lt_class_record_find(lua_State *L, int index) {
  if (!lt_class_may_be(lua_topointer(L, index)))
    return NULL;
  lt_class_record_push(L, index);
  lt_ClassRecord *record = lua_touserdata(L, -1);
  if (record != NULL && lt_class_record_has_ended(L))
    record = NULL;
  lua_pop(L, 1);
  return record;
}

/* The proxy of its identity is on the top, which this pops. */
static lt_ClassRecord *record_make(lua_State *L, int index, lt_ClassIdentity *identity) {
  lt_ClassRecord *record = lua_newuserdatauv(L, sizeof(*record), LT_RECORD_USER_VALUES);
  memset(record, 0, sizeof(*record));
  record->identity = identity;
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, LT_RECORD_CLASS);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, LT_RECORD_IDENTITY);
  lt_push_registered(L, &records_key, "k");
  lua_pushvalue(L, index);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  enter_in_filter(lua_topointer(L, index));
  lua_pop(L, 2);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
  lua_pop(L, 1);
  return record;
}

lt_ClassRecord *lt_class_record_ensure(lua_State *L, int index) {
  lt_ClassRecord *record = lt_class_record_find(L, index);
  if (record != NULL)
    return record;
  index = lua_absindex(L, index);
  lt_check_stack(L, 10);
  lt_ClassIdentity *identity = malloc(sizeof(*identity));
  if (identity == NULL)
    lt_raise_memory(L);
  lt_object_init(&identity->object, &identity_type);
  atomic_init(&identity->name, NULL);
  lt_object_push_own(L, &identity->object);
  record = record_make(L, index, identity);
  record->is_home = true;
  record->version = 1;
  return record;
}

static int record_count_fields(lua_State *L, int index) {
  int count = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    count++;
  }
  return count;
}

/* The keys and values of the table at 'index', in a new list. */
static void record_push_fields(lua_State *L, int index) {
  lua_Integer position = 0;
  lua_createtable(L, 2 * record_count_fields(L, index), 0);
  int list = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, list, ++position);
    lua_rawseti(L, list, ++position);
  }
}

void lt_class_record_set_received(lua_State *L, int fields) {
  record_push_fields(L, fields);
  lua_setiuservalue(L, -2, LT_RECORD_RECEIVED);
}

static void name_received(lua_State *L, int index, lt_ClassIdentity *identity) {
  /* Acquire: the name is read. */
  const char *name = atomic_load_explicit(&identity->name, memory_order_acquire);
  if (name == NULL)
    return;
  lt_push_registered(L, &names_key, NULL);
  lua_pushvalue(L, index);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void lt_class_record_receive(lua_State *L, int index, lt_ClassIdentity *identity,
                             uint64_t version) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 10);
  record_push_fields(L, index);
  lt_object_push(L, &identity->object);
  lt_ClassRecord *record = record_make(L, index, identity);
  record->version = version;
  lt_class_record_push(L, index);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, LT_RECORD_RECEIVED);
  if (lua_getmetatable(L, index))
    lua_setiuservalue(L, -2, LT_RECORD_RECEIVED_METATABLE);
  lua_pop(L, 1);
  name_received(L, index, identity);
}

static void note_variable(lt_ClassRecord *record) {
  record->is_variable = true;
  /* Relaxed: the state that has the variable asks. */
  atomic_store_explicit(&lt_class_has_variables, true, memory_order_relaxed);
}

void lt_class_record_make_variable(lua_State *L, int index) {
  note_variable(lt_class_record_ensure(L, index));
}

void lt_class_record_receive_variable(lua_State *L, int index, lt_ClassIdentity *identity) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 10);
  lt_object_push(L, &identity->object);
  note_variable(record_make(L, index, identity));
}

/*
** What is a class
*/

static int raw_type(lua_State *L, int index, const char *field) {
  index = lua_absindex(L, index);
  lua_pushstring(L, field);
  int type = lua_rawget(L, index);
  lua_pop(L, 1);
  return type;
}

bool lt_class_leads_to_instances(lua_State *L, int index) {
  bool leads = false;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1))
      leads = strncmp(lua_tostring(L, -2), "__", 2) == 0 && raw_type(L, -1, "__index") != LUA_TNIL;
    if (leads) {
      lua_pop(L, 2);
      return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

bool lt_class_is_like_one(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 8);
  bool has_index = raw_type(L, index, "__index") != LUA_TNIL;
  if (!lua_getmetatable(L, index))
    return has_index;
  bool is_its_own = lua_rawequal(L, -1, index);
  bool callable = raw_type(L, -1, "__call") != LUA_TNIL;
  lua_pop(L, 1);
  return (has_index && !is_its_own) || (callable && lt_class_leads_to_instances(L, index));
}

/*
** Names
*/

/* The class at 'index' is also what this state has of the identity. */
static void add_alias(lua_State *L, int index, lt_ClassIdentity *identity) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 10);
  lt_class_record_push(L, index);
  if (lua_getiuservalue(L, -1, LT_RECORD_ALIASES) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, LT_RECORD_ALIASES);
  }
  lt_object_push(L, &identity->object);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, 1);
  lua_pop(L, 3);
}

/* The class that the state has registered under the name of the identity. */
static bool record_push_named(lua_State *L, lt_ClassIdentity *identity) {
  /* Acquire: the name is read. */
  const char *name = atomic_load_explicit(&identity->name, memory_order_acquire);
  if (name == NULL)
    return false;
  lt_push_registered(L, &names_key, NULL);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_istable(L, -1)) {
    add_alias(L, -1, identity);
    return true;
  }
  lua_pop(L, 1);
  return false;
}

bool lt_class_push_known(lua_State *L, lt_ClassIdentity *identity) {
  lt_check_stack(L, 10);
  if (lt_object_push_known(L, &identity->object)) {
    if (lua_getiuservalue(L, -1, 1) == LUA_TTABLE) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 2);
  }
  return record_push_named(L, identity);
}

/* The name, which lives as long as the identity; another one if it has that already. */
static const char *identity_set_name(lua_State *L, lt_ClassIdentity *identity, const char *name) {
  size_t size = strlen(name) + 1;
  char *copy = malloc(size);
  if (copy == NULL)
    lt_raise_memory(L);
  memcpy(copy, name, size);
  char *known = NULL;
  /* Release: who reads the pointer reads the name. Acquire: that of another thread is read. */
  if (atomic_compare_exchange_strong_explicit(&identity->name, &known, copy, memory_order_acq_rel,
                                              memory_order_acquire))
    return copy;
  free(copy);
  return known;
}

/* Whether the class on the top has the name by right, and is not only a copy that came with it. */
static bool keeps_name(lua_State *L) {
  const lt_ClassRecord *other = lt_class_record_find(L, -1);
  return other != NULL && (other->is_registered || other->is_home);
}

void lt_class_register(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 14);
  lt_ClassRecord *record = lt_class_record_ensure(L, index);
  lt_push_registered(L, &names_key, NULL);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  bool replaces = lua_istable(L, -1) && !lua_rawequal(L, -1, index);
  lt_printable_push(L, name, strlen(name));
  const char *shown = lua_tostring(L, -1);
  lua_insert(L, -2);
  if (replaces && keeps_name(L))
    lt_arg_error(L, &lt_ValueError, 1, "'%s' is the name of another class in this thread", shown);
  const char *known = identity_set_name(L, record->identity, name);
  if (strcmp(known, name) != 0) {
    lt_printable_push(L, known, strlen(known));
    lt_arg_error(L, &lt_ValueError, 2, "the class is registered as '%s', it can't be '%s', too",
                 lua_tostring(L, -1), shown);
  }
  lua_pushvalue(L, index);
  lua_setfield(L, -4, name);
  if (replaces)
    add_alias(L, index, lt_class_record_find(L, -1)->identity);
  record->is_registered = true;
  lua_pop(L, 3);
}
