/*
** A hash table of pairs of numbers, without names. A table of the module has one more, by which it
** is told from other tables in its fields, and one for each other path that leads to it.
*/
#include "src/transfer/module_shape.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/growing_array.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/fresh_module.h"
#include "src/state/module_tables.h"

typedef struct Pair {
  uint64_t key; /* never 0 */
  uint64_t number;
} Pair;

struct lt_ModuleShape {
  size_t mask;
  Pair pairs[];
};

static uint64_t key_of_table(uint64_t path) {
  return lt_module_mix(path, 1) | 1;
}

static uint64_t key_of_alias(uint64_t path) {
  return lt_module_mix(path, 2) | 1;
}

static uint64_t shape_find(const lt_ModuleShape *shape, uint64_t key) {
  size_t place = (size_t)(key >> 8) & shape->mask;
  while (shape->pairs[place].key != 0 && shape->pairs[place].key != key)
    place = (place + 1) & shape->mask;
  return shape->pairs[place].number;
}

uint64_t lt_module_shape_content(const lt_ModuleShape *shape, uint64_t path) {
  return shape_find(shape, path);
}

bool lt_module_shape_has_table(const void *shape, uint64_t path) {
  return shape_find(shape, key_of_table(path)) != 0;
}

bool lt_module_shape_has(const lt_ModuleShape *shape, const lt_ModulePath *path, uint64_t content) {
  uint64_t place = LT_MODULE_ROOT_PATH;
  for (int i = 1; i < path->length; i++) {
    uint64_t alias = shape_find(shape, key_of_alias(place));
    place = lt_module_step_path(alias != 0 ? alias : place, path->steps[i]);
  }
  return lt_module_shape_content(shape, place) == content;
}

/*
** Making
*/

typedef struct ShapeMaker {
  Pair *pairs; /* a userdata at 'place' */
  size_t count;
  size_t capacity;
  int place;
} ShapeMaker;

static void shape_add(lua_State *L, ShapeMaker *maker, uint64_t key, uint64_t number) {
  if (maker->count == maker->capacity) {
    size_t size = maker->capacity * sizeof(Pair);
    Pair *larger = lua_newuserdatauv(L, 2 * size, 0);
    memcpy(larger, maker->pairs, size);
    lua_replace(L, maker->place);
    maker->pairs = larger;
    maker->capacity *= 2;
  }
  maker->pairs[maker->count++] = (Pair){key, number};
}

/* The metatable of the value on the top, which the path leads to. */
static void add_metatable(lua_State *L, ShapeMaker *maker, uint64_t path) {
  int type = lua_type(L, -1);
  if ((type != LUA_TTABLE && type != LUA_TUSERDATA) || !lua_getmetatable(L, -1))
    return;
  shape_add(L, maker, lt_module_step_path(path, NULL), lt_module_field_content(L, -1));
  lua_pop(L, 1);
}

/* The key and the value are on the top. */
static void shape_add_field(lua_State *L, ShapeMaker *maker, const lt_ModuleTables *found,
                            size_t table) {
  uint64_t path = lt_module_field_path(L, found->at[table].path, -2);
  if (path == 0)
    return;
  shape_add(L, maker, path, lt_module_field_content(L, -1));
  add_metatable(L, maker, path);
  if (lua_type(L, -1) != LUA_TTABLE)
    return;
  lua_pushvalue(L, -1);
  lua_rawget(L, found->numbers);
  size_t number = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (number != 0 && found->at[number].path != path)
    shape_add(L, maker, key_of_alias(path), found->at[number].path);
}

static void shape_add_fields(lua_State *L, ShapeMaker *maker, const lt_ModuleTables *found,
                             int views, size_t table) {
  shape_add(L, maker, key_of_table(found->at[table].path), 1);
  lua_rawgeti(L, found->tables, (lua_Integer)table);
  lua_rawget(L, views);
  lua_pushnil(L);
  while (lua_istable(L, -2) && lua_next(L, -2)) {
    shape_add_field(L, maker, found, table);
    lua_pop(L, 1);
  }
  lua_settop(L, lua_istable(L, -1) ? -2 : -3);
}

static lt_ModuleShape *shape_make(const ShapeMaker *maker) {
  size_t capacity = 8;
  while (capacity < 2 * maker->count)
    capacity *= 2;
  lt_ModuleShape *shape = calloc(1, sizeof(*shape) + capacity * sizeof(Pair));
  if (shape == NULL)
    return NULL;
  shape->mask = capacity - 1;
  for (size_t i = 0; i < maker->count; i++) {
    size_t place = (size_t)(maker->pairs[i].key >> 8) & shape->mask;
    while (shape->pairs[place].key != 0)
      place = (place + 1) & shape->mask;
    shape->pairs[place] = maker->pairs[i];
  }
  return shape;
}

lt_ModuleShape *lt_module_shape_new(lua_State *L) {
  enum { FIRST_PAIRS = 64 };
  lt_ModuleTables found;
  ShapeMaker maker = {NULL, 0, FIRST_PAIRS, 0};
  int module = lua_gettop(L);
  if (!lua_istable(L, module) || !lt_fresh_module_is_known(L, module))
    return NULL;
  lt_check_stack(L, 30);
  lt_fresh_module_push_all(L);
  maker.pairs = lua_newuserdatauv(L, FIRST_PAIRS * sizeof(Pair), 0);
  maker.place = lua_gettop(L);
  lt_module_tables_find(L, module, module + 1, NULL, NULL, &found);
  for (size_t i = 1; i <= found.count; i++)
    shape_add_fields(L, &maker, &found, module + 1, i);
  lua_settop(L, module);
  lt_ModuleShape *shape = shape_make(&maker);
  if (shape == NULL)
    lt_raise_memory(L);
  return shape;
}

void lt_module_shape_free(lt_ModuleShape *shape) {
  free(shape);
}
