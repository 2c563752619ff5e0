#include "src/transfer/module_differences.h"

#include <string.h>

#include "src/base/scalar.h"
#include "src/base/stack_room.h"

/* The last has the keys of fields that differ. */
enum {
  WATCH_TABLES = 1,
  WATCH_KEYS,
  WATCH_ARRAY,
  WATCH_ANCHORS,
  WATCH_FIELD_ARRAY,
  WATCH_FIELD_KEYS,
  WATCH_VALUES = WATCH_FIELD_KEYS
};

lt_ModuleWatch *lt_module_watch_push(lua_State *L) {
  lt_ModuleWatch *watch = lua_newuserdatauv(L, sizeof(*watch), WATCH_VALUES);
  memset(watch, 0, sizeof(*watch));
  return watch;
}

/*
** Fingerprints
*/

static uint64_t bits_of_scalar(lua_State *L, int index) {
  unsigned char kind;
  lt_Scalar scalar = {0};
  if (!lt_scalar_at(L, index, lua_type(L, index), &kind, &scalar))
    return 0;
  uint64_t bits = 0;
  memcpy(&bits, &scalar, sizeof(scalar) < sizeof(bits) ? sizeof(scalar) : sizeof(bits));
  return lt_module_mix(kind, kind < LT_SCALAR_INTEGER ? 0 : bits);
}

static uint64_t bits_of(lua_State *L, int index) {
  const void *address = lua_topointer(L, index);
  return address != NULL ? (uint64_t)(uintptr_t)address : bits_of_scalar(L, index);
}

/*
** Of what the tables hold, whatever the order of their fields is. All that it has seen is kept
** until the next one is made, so an address stays that of its value.
*/
static uint64_t fingerprint_of(lua_State *L, int tables, size_t count) {
  uint64_t sum = 1;
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, tables, (lua_Integer)i);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      uint64_t field = lt_module_mix(bits_of(L, -2) + i, bits_of(L, -1));
      sum += field * UINT64_C(0x9E3779B97F4A7C15);
      lua_pop(L, 1);
    }
    if (lua_getmetatable(L, -1)) {
      sum += bits_of(L, -1) * UINT64_C(0xC2B2AE3D27D4EB4F);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return sum | 1;
}

static void watch_anchor(lua_State *L, int anchors) {
  if (lua_type(L, -1) > LUA_TNUMBER)
    lua_rawseti(L, anchors, (lua_Integer)lua_rawlen(L, anchors) + 1);
  else
    lua_pop(L, 1);
}

/* Pushes a table that keeps all that the tables hold. */
static void push_anchors(lua_State *L, int tables, size_t count) {
  lua_newtable(L);
  int anchors = lua_gettop(L);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, tables, (lua_Integer)i);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      watch_anchor(L, anchors);
      lua_pushvalue(L, -1);
      watch_anchor(L, anchors);
    }
    lua_pop(L, 1);
  }
}

/*
** The past of a module: what its fields have had when messages named it, by their paths. A receiver
** may still have that. Of a known shape only what a fresh module has differently is kept, so this
** does not grow with what comes and goes in the module's tables.
*/

/* In the registry, a weak table: those of the modules. */
static const char past_key;

enum { SEVERAL_CONTENTS = 0 };

/* Pushes that of the module on the top. */
static void push_past(lua_State *L) {
  lt_push_registered(L, &past_key, "k");
  lua_pushvalue(L, -2);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

static void forget_needless(lua_State *L, int past, const lt_ModuleShape *shape) {
  lua_pushnil(L);
  while (lua_next(L, past)) {
    uint64_t known = lt_module_shape_content(shape, (uint64_t)lua_tointeger(L, -2));
    if (known == 0 || (uint64_t)lua_tointeger(L, -1) == known) {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, past);
    }
    lua_pop(L, 1);
  }
}

static bool has_past(lua_State *L, int past, uint64_t path) {
  bool found = lua_rawgeti(L, past, (lua_Integer)path) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

static void remember(lua_State *L, int past, uint64_t path, uint64_t content) {
  if (lua_rawgeti(L, past, (lua_Integer)path) != LUA_TNIL &&
      (uint64_t)lua_tointeger(L, -1) != content)
    content = SEVERAL_CONTENTS;
  lua_pushinteger(L, (lua_Integer)content);
  lua_rawseti(L, past, (lua_Integer)path);
  lua_pop(L, 1);
}

/*
** Comparing
*/

typedef struct FieldList {
  lt_ModuleField *fields; /* a userdata at 'place' */
  size_t count;
  size_t capacity;
  int place;
  int keys;
  int past;
} FieldList;

/* The key is on the top, and is popped. */
static void add_to_list(lua_State *L, FieldList *list, lt_ModuleField field) {
  if (list->count == list->capacity) {
    size_t size = list->capacity * sizeof(lt_ModuleField);
    lt_ModuleField *larger = lua_newuserdatauv(L, 2 * size, 0);
    memcpy(larger, list->fields, size);
    lua_replace(L, list->place);
    list->fields = larger;
    list->capacity *= 2;
  }
  list->fields[list->count++] = field;
  lua_rawseti(L, list->keys, (lua_Integer)list->count);
}

/* One with a long key would be no name of anything. */
static bool has_usual_key(lua_State *L, int key) {
  enum { LONGEST_KEY = 1024 };
  return lua_type(L, key) != LUA_TSTRING || lua_rawlen(L, key) <= LONGEST_KEY;
}

/* The key and the value are on the top. */
static void watch_compare(lua_State *L, FieldList *list, const lt_ModuleShape *shape,
                          uint64_t table_path, size_t table) {
  uint64_t path = lt_module_field_path(L, table_path, -2);
  if (path == 0 || !has_usual_key(L, -2))
    return;
  uint64_t content = lt_module_field_content(L, -1);
  uint64_t known = shape == NULL ? 0 : lt_module_shape_content(shape, path);
  if (known == content && !has_past(L, list->past, path))
    return;
  if (known != content && (known != 0 || shape == NULL))
    remember(L, list->past, path, content);
  bool replaces = lt_module_content_type(known) == LUA_TFUNCTION &&
                  lt_module_content_type(content) == LUA_TFUNCTION;
  lua_pushvalue(L, -2);
  add_to_list(L, list, (lt_ModuleField){table, content, replaces});
}

/* Pushes the array of those that differ, or have differed, and their keys. */
static FieldList push_differences(lua_State *L, const lt_ModuleTables *found,
                                  const lt_ModuleShape *shape, int past) {
  enum { FIRST_FIELDS = 4 };
  FieldList list = {lua_newuserdatauv(L, FIRST_FIELDS * sizeof(lt_ModuleField), 0),
                    0,
                    FIRST_FIELDS,
                    lua_gettop(L),
                    lua_gettop(L) + 1,
                    past};
  lua_newtable(L);
  for (size_t i = 1; i <= found->count; i++) {
    lua_rawgeti(L, found->tables, (lua_Integer)i);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      watch_compare(L, &list, shape, found->at[i].path, i);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return list;
}

/* Of the table on the top, which a fresh module lacks: a number for all that is in it. */
static uint64_t sum_of_table(lua_State *L) {
  lt_ModuleTables found;
  uint64_t sum = 0;
  int top = lua_gettop(L);
  lt_module_tables_find(L, -1, 0, NULL, NULL, &found);
  for (size_t i = 1; i <= found.count; i++) {
    lua_rawgeti(L, found.tables, (lua_Integer)i);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      uint64_t path = lt_module_field_path(L, found.at[i].path, -2);
      sum += lt_module_mix(path, lt_module_field_content(L, -1));
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return sum;
}

/*
** A table that a fresh module lacks is told by what is in it, which nobody watches.
*/
lt_ModuleField lt_module_watch_push_field(lua_State *L, int place, size_t number) {
  const lt_ModuleWatch *watch = lua_touserdata(L, place);
  lt_ModuleField field = watch->fields[number];
  place = lua_absindex(L, place);
  lt_check_stack(L, 20);
  lua_getiuservalue(L, place, WATCH_FIELD_KEYS);
  lua_rawgeti(L, -1, (lua_Integer)number + 1);
  lua_getiuservalue(L, place, WATCH_TABLES);
  lua_rawgeti(L, -1, (lua_Integer)field.table);
  lua_pushvalue(L, -3);
  lua_rawget(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
  lua_remove(L, -3);
  if (watch->shape != NULL && lua_type(L, -1) == LUA_TTABLE)
    field.content = lt_module_content(field.content + (sum_of_table(L) << 4), LUA_TTABLE);
  return field;
}

int lt_module_watch_push_keys(lua_State *L, int place, size_t table) {
  const lt_ModuleWatch *watch = lua_touserdata(L, place);
  int count = 0;
  lua_getiuservalue(L, place, WATCH_KEYS);
  int keys = lua_gettop(L);
  for (; table != 1; table = watch->tables[table].parent) {
    lua_rawgeti(L, keys, (lua_Integer)table);
    lua_insert(L, keys + 1);
    count++;
  }
  lua_remove(L, keys);
  return count;
}

/*
** Watching
*/

static bool is_as_before(lua_State *L, int place, const lt_ModuleShape *shape) {
  const lt_ModuleWatch *watch = lua_touserdata(L, place);
  if (watch->fingerprint == 0 || watch->shape != shape)
    return false;
  lua_getiuservalue(L, place, WATCH_TABLES);
  bool same = fingerprint_of(L, lua_gettop(L), watch->table_count) == watch->fingerprint;
  lua_pop(L, 1);
  return same;
}

/* The module is on the top. */
static void watch_look(lua_State *L, int place, const lt_ModuleShape *shape) {
  lt_ModuleTables found;
  lt_ModuleWatch *watch = lua_touserdata(L, place);
  int top = lua_gettop(L);
  watch->fingerprint = 0;
  push_past(L);
  if (shape != NULL)
    forget_needless(L, top + 1, shape);
  lt_module_tables_find(L, top, 0, shape != NULL ? lt_module_shape_has_table : NULL, shape, &found);
  uint64_t fingerprint = fingerprint_of(L, found.tables, found.count);
  FieldList list = push_differences(L, &found, shape, top + 1);
  lua_setiuservalue(L, place, WATCH_FIELD_KEYS);
  lua_setiuservalue(L, place, WATCH_FIELD_ARRAY);
  push_anchors(L, found.tables, found.count);
  lua_setiuservalue(L, place, WATCH_ANCHORS);
  lua_pop(L, 1);
  lua_setiuservalue(L, place, WATCH_ARRAY);
  lua_setiuservalue(L, place, WATCH_KEYS);
  lua_setiuservalue(L, place, WATCH_TABLES);
  lua_settop(L, top);
  watch->tables = found.at;
  watch->table_count = found.count;
  watch->fields = list.fields;
  watch->field_count = list.count;
  watch->shape = shape;
  watch->fingerprint = fingerprint;
}

bool lt_module_watch_differs(lua_State *L, int place, const lt_ModuleShape *shape,
                             uint64_t message) {
  lt_ModuleWatch *watch = lua_touserdata(L, place);
  place = lua_absindex(L, place);
  if (lua_type(L, -1) != LUA_TTABLE)
    return false;
  if (watch->message != message && !is_as_before(L, place, shape))
    watch_look(L, place, shape);
  watch->message = message;
  return shape == NULL || watch->field_count > 0;
}
