/*
** Values are entered level by level: modules, their members, the members of these. If several
** paths lead to a value, a shortest one is kept, and of those the first by the order of names: it
** does not depend on the order in which Lua walks tables.
**
** The arrays are userdata, user values of the index as the list of anchors is, which has the
** strings of the steps and the objects that are kept: Lua's collector frees them, whatever error
** comes or however the state ends.
*/
#include "src/transfer/module_index.h"

#include <stdint.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/address_map.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/nameable.h"

static const char index_key;

#define DEEPEST_FIELD                                                                              \
  (LT_MODULE_PATH_LONGEST - 3) /* a module's name before it, metatables after it */

typedef struct Entry {
  const void *address;
  size_t parent;     /* 0: the step is the name of a module */
  const char *step;  /* NULL: to the metatable */
  bool in_library;   /* the module is one of Lua's */
  lt_Object *object; /* module: what is kept for it, or NULL */
  size_t watch;      /* the same: its number among the anchors, or 0 */
} Entry;

/* They hold Lua's own libraries and a few modules. */
enum { FIRST_ENTRIES = 256 };

enum { INDEX_ENTRIES = 1, INDEX_PLACES, INDEX_ANCHORS, INDEX_USER_VALUES = INDEX_ANCHORS };

struct lt_ModuleIndex {
  uint64_t modules; /* the fingerprint of package.loaded */
  size_t count;     /* entry 0 is unused */
  size_t capacity;
  Entry *entries;
  lt_AddressMap map; /* of the entries */
  size_t anchor_count;
};

typedef struct Maker {
  lt_ModuleIndex *index;
  int place;    /* where on the stack the userdata is; its anchors lie above it */
  size_t first; /* the first entry whose path has as many steps as those that are entered now */
} Maker;

/*
** The standard library. User code adds functions to its tables; only what is written in C,
** or lies in 'package', is sure to be in every state.
*/

static bool is_base_function(const char *name) {
  static const char *const functions[] = {
      "assert",   "collectgarbage", "dofile",  "error",  "getmetatable", "ipairs",   "load",
      "loadfile", "next",           "pairs",   "pcall",  "print",        "rawequal", "rawget",
      "rawlen",   "rawset",         "require", "select", "setmetatable", "tonumber", "tostring",
      "type",     "warn",           "xpcall",  NULL};
  const char *const *function = functions;
  while (*function != NULL && strcmp(name, *function) != 0)
    function++;
  return *function != NULL;
}

/* Whether the member on the top of the stack is the same in all states. */
static bool is_everywhere(lua_State *L, const char *module, const char *field) {
  if (strcmp(module, "_G") == 0)
    return is_base_function(field) && lua_iscfunction(L, -1);
  if (strcmp(module, "package") == 0)
    return true;
  if (lt_nameable_is_library(module))
    return lua_iscfunction(L, -1) || lua_isuserdata(L, -1);
  return true;
}

/*
** Entries
*/

static uint32_t *place_of(const lt_ModuleIndex *index, const void *address) {
  return lt_address_map_place(&index->map, index->entries, sizeof(Entry), address);
}

/* A larger array, with what the old one holds, and then nothing in particular. */
static void *module_index_enlarge(lua_State *L, const Maker *maker, int which, const void *old,
                                  size_t size, size_t larger) {
  void *array = lua_newuserdatauv(L, larger, 0);
  if (size > 0)
    memcpy(array, old, size);
  lua_setiuservalue(L, maker->place, which);
  return array;
}

static void grow(lua_State *L, const Maker *maker) {
  lt_ModuleIndex *index = maker->index;
  size_t capacity = index->capacity == 0 ? FIRST_ENTRIES : index->capacity * 2;
  if (capacity > UINT32_MAX / 2)
    lt_raise_memory(L);
  index->entries = module_index_enlarge(L, maker, INDEX_ENTRIES, index->entries,
                                        index->capacity * sizeof(Entry), capacity * sizeof(Entry));
  size_t size = 2 * capacity * sizeof(uint32_t);
  uint32_t *places = memset(module_index_enlarge(L, maker, INDEX_PLACES, NULL, 0, size), 0, size);
  index->capacity = capacity;
  lt_address_map_fill(&index->map, places, 2 * capacity, index->entries, sizeof(Entry),
                      index->count);
}

/* Keeps the value on the top, which it pops, in the list of anchors. */
static void add_anchor(lua_State *L, lt_ModuleIndex *index, int anchors) {
  lua_rawseti(L, anchors, (lua_Integer)++index->anchor_count);
}

/*
** Paths of the same length, in the order of their steps. Libraries of Lua's come before other names
** for them.
*/

static bool is_name_before(const char *name, const char *other) {
  bool is_library = lt_nameable_is_library(name);
  return is_library == lt_nameable_is_library(other) ? strcmp(name, other) < 0 : is_library;
}

/* Of two steps from the same place, neither to a metatable. */
static bool is_step_before(size_t parent, const char *step, const char *other) {
  return parent == 0 ? is_name_before(step, other) : strcmp(step, other) < 0;
}

/* Both have a step that is not to a metatable. */
static bool is_entry_before(const lt_ModuleIndex *index, size_t entry, size_t other) {
  size_t parent = index->entries[entry].parent;
  if (parent != index->entries[other].parent)
    return is_entry_before(index, parent, index->entries[other].parent);
  return is_step_before(parent, index->entries[entry].step, index->entries[other].step);
}

/* Whether the path that leads from 'parent' by 'step' is before that to the entry. */
static bool is_path_before(const lt_ModuleIndex *index, size_t parent, const char *step,
                           size_t entry) {
  size_t other = index->entries[entry].parent;
  if (parent != other)
    return is_entry_before(index, parent, other);
  return step != NULL && is_step_before(parent, step, index->entries[entry].step);
}

/*
** Making. The value that is entered is on the top.
*/

static size_t new_entry(lua_State *L, const Maker *maker, const void *address) {
  lt_ModuleIndex *index = maker->index;
  if (index->count >= index->capacity)
    grow(L, maker);
  size_t entry = index->count++;
  index->entries[entry] = (Entry){.address = address};
  *place_of(index, address) = (uint32_t)entry;
  return entry;
}

/* A path to the value, whose step lies below it. Returns whether it is the first. */
static bool enter_path(lua_State *L, const Maker *maker, size_t parent, const char *step) {
  lt_ModuleIndex *index = maker->index;
  const void *address = lua_topointer(L, -1);
  size_t entry = *place_of(index, address);
  bool is_new = entry == 0;
  if (!is_new && (entry < maker->first || !is_path_before(index, parent, step, entry)))
    return false;
  if (step != NULL) {
    lua_pushvalue(L, -2);
    add_anchor(L, index, maker->place + 1);
  }
  if (is_new)
    entry = new_entry(L, maker, address);
  index->entries[entry].parent = parent;
  index->entries[entry].step = step;
  index->entries[entry].in_library =
      parent == 0 ? lt_nameable_is_library(step) : index->entries[parent].in_library;
  return is_new;
}

/* The same, and puts a new value into the list at 'list', if its members are entered next. */
static void enter_member(lua_State *L, const Maker *maker, int list, size_t parent,
                         const char *step) {
  if (enter_path(L, maker, parent, step) &&
      (parent == 0 || !maker->index->entries[parent].in_library)) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, list, (lua_Integer)(maker->index->count - maker->first));
  }
}

static bool has_identity(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA;
}

/* The key below the value on the top, if it is a string without zero bytes; or NULL. */
static const char *name_of(lua_State *L) {
  size_t length;
  if (lua_type(L, -2) != LUA_TSTRING)
    return NULL;
  const char *name = lua_tolstring(L, -2, &length);
  return strlen(name) == length ? name : NULL;
}

static const char *module_of(const lt_ModuleIndex *index, size_t entry) {
  while (index->entries[entry].parent != 0)
    entry = index->entries[entry].parent;
  return index->entries[entry].step;
}

/* Those of package.loaded, which is on the top. */
static void enter_modules(lua_State *L, const Maker *maker, int list) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    const char *name = name_of(L);
    if (name != NULL && has_identity(L, -1) && lt_nameable_has(L, name))
      enter_member(L, maker, list, 0, name);
    lua_pop(L, 1);
  }
}

/* Those of the table on the top. */
static void enter_members(lua_State *L, const Maker *maker, int list, size_t parent) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    const char *name = name_of(L);
    if (name != NULL && has_identity(L, -1) &&
        (!maker->index->entries[parent].in_library ||
         is_everywhere(L, module_of(maker->index, parent), name)))
      enter_member(L, maker, list, parent, name);
    lua_pop(L, 1);
  }
}

/*
** The members of the entries from 'first' to 'end', which are modules, or not of Lua's libraries.
*/
static void enter_level(lua_State *L, const Maker *maker, int parents, int list, size_t first,
                        size_t end) {
  for (size_t parent = first; parent < end; parent++) {
    const Entry *entry = &maker->index->entries[parent];
    if (entry->parent != 0 && entry->in_library)
      continue;
    lua_rawgeti(L, parents, (lua_Integer)parent - (lua_Integer)first + 1);
    if (lua_type(L, -1) == LUA_TTABLE)
      enter_members(L, maker, list, parent);
    lua_pop(L, 1);
  }
}

/* The metatables of the entries from 'first' to 'end'. */
static void enter_metatables(lua_State *L, const Maker *maker, int list, size_t first, size_t end) {
  for (size_t parent = first; parent < end; parent++) {
    if (maker->index->entries[parent].in_library)
      continue;
    lua_rawgeti(L, list, (lua_Integer)parent - (lua_Integer)first + 1);
    if (lua_getmetatable(L, -1)) {
      enter_path(L, maker, parent, NULL);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

/* package.loaded is on the top. The entries from 'first' to 'end' are those of the level above. */
static void enter_all(lua_State *L, Maker *maker) {
  lt_ModuleIndex *index = maker->index;
  int loaded = lua_gettop(L);
  size_t first = maker->first = index->count;
  lua_newtable(L);
  int parents = lua_gettop(L);
  lua_pushvalue(L, loaded);
  enter_modules(L, maker, parents);
  lua_pop(L, 1);
  size_t end = index->count;
  for (int depth = 1; depth <= DEEPEST_FIELD && first < end; depth++) {
    lua_newtable(L);
    maker->first = index->count;
    enter_level(L, maker, parents, parents + 1, first, end);
    first = maker->first;
    end = maker->first = index->count;
    enter_metatables(L, maker, parents + 1, first, end);
    lua_replace(L, parents);
  }
  lua_settop(L, loaded);
}

/* package.loaded is on the top; the index takes its place. */
static void make_index(lua_State *L, uint64_t modules) {
  Maker maker;
  lt_check_stack(L, 16);
  lt_ModuleIndex *index = lua_newuserdatauv(L, sizeof(*index), INDEX_USER_VALUES);
  memset(index, 0, sizeof(*index));
  index->count = 1;
  index->modules = modules;
  maker.index = index;
  lua_createtable(L, FIRST_ENTRIES, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, INDEX_ANCHORS);
  lua_rotate(L, -3, 2);
  maker.place = lua_gettop(L) - 2;
  grow(L, &maker);
  enter_all(L, &maker);
  lua_pop(L, 2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &index_key);
}

/*
** Of the modules' addresses; package.loaded is on the top. It depends neither on their order nor on
** their names: all messages wait for this, so it only does what it must.
*/
static uint64_t fingerprint(lua_State *L) {
  uint64_t sum = 1;
  int loaded = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, loaded)) {
    sum += (uint64_t)(uintptr_t)lua_topointer(L, -1) * UINT64_C(0x9E3779B97F4A7C15) + 1;
    lua_pop(L, 1);
  }
  return sum;
}

void lt_module_index_push(lua_State *L, bool anew, lt_QuietCall *quiet) {
  lt_check_stack(L, 8);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  uint64_t modules = fingerprint(L);
  if (!anew && lua_rawgetp(L, LUA_REGISTRYINDEX, &index_key) == LUA_TUSERDATA &&
      ((const lt_ModuleIndex *)lua_touserdata(L, -1))->modules == modules) {
    lua_remove(L, -2);
    return;
  }
  if (!anew)
    lua_pop(L, 1);
  if (quiet != NULL)
    lt_quiet_hold(L, quiet);
  make_index(L, modules);
}

/*
** Finding
*/

bool lt_module_index_find(lua_State *L, int place, const void *address, lt_ModulePath *path) {
  const lt_ModuleIndex *index = lua_touserdata(L, place);
  size_t entry = *place_of(index, address);
  path->length = 0;
  for (size_t e = entry; e != 0; e = index->entries[e].parent) {
    path->module = e;
    path->length++;
  }
  int step = path->length;
  for (size_t e = entry; e != 0; e = index->entries[e].parent)
    path->steps[--step] = index->entries[e].step;
  return entry != 0;
}

void lt_module_index_keep(lua_State *L, int place, const lt_ModulePath *path, lt_Object *object) {
  lt_ModuleIndex *index = lua_touserdata(L, place);
  lt_check_stack(L, 8);
  lua_getiuservalue(L, place, INDEX_ANCHORS);
  if (object != NULL) {
    lt_object_push(L, object);
    add_anchor(L, index, lua_gettop(L) - 1);
  }
  lua_pushvalue(L, -2);
  add_anchor(L, index, lua_gettop(L) - 1);
  lua_pop(L, 1);
  index->entries[path->module].object = object;
  index->entries[path->module].watch = index->anchor_count;
}

void *lt_module_index_push_kept(lua_State *L, int place, const lt_ModulePath *path,
                                lt_Object **object) {
  const lt_ModuleIndex *index = lua_touserdata(L, place);
  *object = index->entries[path->module].object;
  lua_getiuservalue(L, place, INDEX_ANCHORS);
  lua_rawgeti(L, -1, (lua_Integer)index->entries[path->module].watch);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}
