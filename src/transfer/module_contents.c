/*
** A module that others extend (app by app.model) has members that its own file does not make. It is
** written nowhere who has added one, but there are signs: a function tells which file it is from, a
** member may be a module itself, and parts of a module are named after it. The receiver loads the
** modules that the sender has loaded, as long as its own lacks a member; the surest ones first.
**
** The contents are written before they are shared, and not changed any more.
*/
#include "src/transfer/module_contents.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/nameable.h"

/* A weak table: the last contents of each module. */
static const char contents_key;

static void module_destroy(lt_Object *object) {
  lt_ModuleContents *module = (lt_ModuleContents *)object;
  lt_module_shape_free(atomic_load(&module->shape));
  if (module->offer != NULL)
    lt_object_release(&module->offer->object);
  free(module);
}

static const lt_Type module_type = {"module", NULL, module_destroy, NULL};

/*
** Looking for what belongs to a module. No code of the state runs meanwhile, so the strings that
** are found in tables stay.
*/

/* Where a function of the module is from. */
typedef struct Origin {
  const char *source;
  int line;
} Origin;

/* Where things lie on the stack of a search. */
typedef struct Search {
  int loaded;
  int preload;
  int module;
  const char *name; /* by which it is sent */
  Origin *origins;
  size_t origin_count;
} Search;

typedef struct List {
  const char **strings;
  size_t count;
} List;

/* The key below the value on the top, if it is a string that a list can hold; or NULL. */
static const char *key_of(lua_State *L) {
  if (lua_type(L, -2) != LUA_TSTRING)
    return NULL;
  const char *key = lua_tostring(L, -2);
  return *key != '\0' && strlen(key) == lua_rawlen(L, -2) ? key : NULL;
}

static bool is_any(lua_State *L, const Search *search, const char *key) {
  (void)L;
  (void)search;
  (void)key;
  return true;
}

static bool is_other_name(lua_State *L, const Search *search, const char *key) {
  return lua_rawequal(L, -1, search->module) && strcmp(key, search->name) != 0;
}

/* "app.model" of "app" */
static bool is_part(const Search *search, const char *key) {
  size_t length = strlen(search->name);
  return strncmp(key, search->name, length) == 0 && key[length] == '.';
}

static bool is_member(lua_State *L, const Search *search) {
  bool found = false;
  if (lua_type(L, -1) != LUA_TTABLE)
    return false;
  lua_pushnil(L);
  while (!found && lua_next(L, search->module)) {
    found = lua_rawequal(L, -1, -3);
    lua_pop(L, found ? 2 : 1);
  }
  return found;
}

/*
** Whether a chunk is from the file of the module: "@./app/model.lua" or ".../app/model/init.lua".
*/
static bool is_file_of(const char *source, const char *key) {
  static const char *const endings[] = {"/init.lua", ".lua"};
  size_t length = strlen(source);
  size_t key_length = strlen(key);
  for (int i = 0; i < 2; i++) {
    size_t ending = strlen(endings[i]);
    if (length <= ending + key_length || strcmp(source + length - ending, endings[i]) != 0)
      continue;
    const char *path = source + length - ending - key_length;
    size_t same = 0;
    while (same < key_length &&
           (path[same] == key[same] || (path[same] == '/' && key[same] == '.')))
      same++;
    if (same == key_length && strchr("@/\\", path[-1]) != NULL)
      return true;
  }
  return false;
}

/* Fills in what is known of the Lua function on the top; false if it is in C. */
static bool get_function(lua_State *L, lua_Debug *function) {
  if (lua_type(L, -1) != LUA_TFUNCTION || lua_iscfunction(L, -1))
    return false;
  lua_pushvalue(L, -1);
  return lua_getinfo(L, ">S", function) != 0;
}

static bool is_maker(lua_State *L, const Search *search, const char *key) {
  lua_Debug loader;
  lua_pushstring(L, key);
  lua_rawget(L, search->preload);
  bool is_preloaded = get_function(L, &loader);
  lua_pop(L, 1);
  for (size_t i = 0; i < search->origin_count; i++) {
    const Origin *origin = &search->origins[i];
    if (is_preloaded
            ? strcmp(origin->source, loader.source) == 0 && origin->line >= loader.linedefined &&
                  origin->line <= loader.lastlinedefined
            : is_file_of(origin->source, key))
      return true;
  }
  return false;
}

static bool is_other_module(lua_State *L, const Search *search, const char *key) {
  return !lt_nameable_is_standard(key) && !lua_rawequal(L, -1, search->module);
}

static bool has_made_members(lua_State *L, const Search *search, const char *key) {
  return is_other_module(L, search, key) && is_maker(L, search, key);
}

static bool may_have_made_members(lua_State *L, const Search *search, const char *key) {
  return is_other_module(L, search, key) && (is_part(search, key) || is_member(L, search)) &&
         !is_maker(L, search, key);
}

static size_t count_fields(lua_State *L, int table) {
  size_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    count++;
    lua_pop(L, 1);
  }
  return count;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of the table that fit, in order. Leaves the list's memory on the stack. */
static List list_keys(lua_State *L, const Search *search, int table,
                      bool (*fits)(lua_State *L, const Search *search, const char *key)) {
  List list = {lua_newuserdatauv(L, count_fields(L, table) * sizeof(char *), 0), 0};
  lua_pushnil(L);
  while (lua_next(L, table)) {
    const char *key = key_of(L);
    if (key != NULL && fits(L, search, key))
      list.strings[list.count++] = key;
    lua_pop(L, 1);
  }
  if (list.count > 1)
    qsort(list.strings, list.count, sizeof(char *), compare);
  return list;
}

/*
** Adds the Lua functions among the fields of the table to the origins, or, without these, counts.
*/
static size_t add_origins(lua_State *L, int table, Origin *origins, size_t count) {
  lua_Debug function;
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (get_function(L, &function)) {
      if (origins != NULL)
        origins[count] = (Origin){function.source, function.linedefined};
      count++;
    }
    lua_pop(L, 1);
  }
  return count;
}

static size_t add_all_origins(lua_State *L, int module, Origin *origins) {
  size_t count = add_origins(L, module, origins, 0);
  lua_pushnil(L);
  while (lua_next(L, module)) {
    if (lua_type(L, -1) == LUA_TTABLE)
      count = add_origins(L, lua_gettop(L), origins, count);
    lua_pop(L, 1);
  }
  return count;
}

/* Of its functions, and of those of the classes and the like in it. */
static void find_origins(lua_State *L, Search *search) {
  search->origin_count = add_all_origins(L, search->module, NULL);
  search->origins = lua_newuserdatauv(L, search->origin_count * sizeof(Origin), 0);
  add_all_origins(L, search->module, search->origins);
}

/*
** Making
*/

static size_t bytes_of_list(const List *list) {
  size_t size = 1;
  for (size_t i = 0; i < list->count; i++)
    size += strlen(list->strings[i]) + 1;
  return size;
}

/* FNV-1a, with the zero at the end. */
static uint64_t add_to_hash(uint64_t hash, const char *string) {
  do
    hash = (hash ^ (unsigned char)*string) * UINT64_C(0x100000001B3);
  while (*string++ != '\0');
  return hash;
}

/* Returns what comes behind it. */
static char *write_list(char *text, const List *list, uint64_t *id) {
  for (size_t i = 0; i < list->count; i++) {
    size_t size = strlen(list->strings[i]) + 1;
    memcpy(text, list->strings[i], size);
    *id = add_to_hash(*id, text);
    text += size;
  }
  *text = '\0';
  *id = add_to_hash(*id, text);
  return text + 1;
}

static lt_ModuleContents *module_make(lua_State *L, const char *name, const List lists[4],
                                      lt_ModuleOffer *offer) {
  uint64_t id = add_to_hash(UINT64_C(0xCBF29CE484222325) ^ (uint64_t)(uintptr_t)offer, name);
  size_t size = 0;
  for (int i = 0; i < 4; i++)
    size += bytes_of_list(&lists[i]);
  lt_ModuleContents *module = malloc(sizeof(*module) + size);
  if (module == NULL)
    lt_raise_memory(L);
  lt_object_init(&module->object, &module_type);
  char *members = write_list(module->names, &lists[0], &id);
  char *makers = write_list(members, &lists[1], &id);
  char *others = write_list(makers, &lists[2], &id);
  write_list(others, &lists[3], &id);
  module->members = members;
  module->makers = makers;
  module->others = others;
  module->id = (lua_Integer)id;
  atomic_init(&module->shape, NULL);
  module->offer = offer;
  if (offer != NULL)
    lt_object_retain(&offer->object);
  return module;
}

/*
** Shapes
*/

const lt_ModuleShape *lt_module_contents_shape(const lt_ModuleContents *module) {
  return atomic_load(&module->shape);
}

void lt_module_contents_tell(lua_State *L, lt_ModuleContents *module) {
  lt_ModuleShape *unknown = NULL;
  if (lt_module_contents_shape(module) != NULL)
    return;
  lt_ModuleShape *shape = lt_module_shape_new(L);
  if (shape != NULL && !atomic_compare_exchange_strong(&module->shape, &unknown, shape))
    lt_module_shape_free(shape);
}

static int tell(lua_State *L) {
  lt_module_contents_tell(L, lua_touserdata(L, 1));
  return 0;
}

/* The last ones of the module on the top, if they are the same as these. */
static lt_ModuleContents *find_same(lua_State *L, const lt_ModuleContents *module) {
  lt_push_registered(L, &contents_key, "k");
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  lt_ModuleContents *known = (lt_ModuleContents *)lt_object_of_type(L, -1, &module_type);
  if (known != NULL && known->id == module->id)
    lt_object_retain(&known->object);
  else
    known = NULL;
  lua_pop(L, 2);
  return known;
}

/* The same for those of the module on the top that were just made, which become its last ones. */
static lt_ModuleContents *unify(lua_State *L, lt_ModuleContents *module) {
  lt_ModuleContents *known = find_same(L, module);
  if (known != NULL) {
    lt_object_release(&module->object);
    return known;
  }
  lt_object_push_own(L, &module->object);
  lt_push_registered(L, &contents_key, "k");
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 2);
  lt_object_retain(&module->object);
  return module;
}

lt_ModuleContents *lt_module_contents_new(lua_State *L, const char *name) {
  static const List none = {NULL, 0};
  List lists[4] = {none, none, none, none};
  int top = lua_gettop(L);
  Search search = {top + 1, top + 2, top + 3, name, NULL, 0};
  if (lt_nameable_is_standard(name))
    return NULL;
  lt_check_stack(L, 20);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushstring(L, name);
  lua_rawget(L, search.loaded);
  lists[0] = list_keys(L, &search, search.loaded, is_other_name);
  if (lua_type(L, search.module) == LUA_TTABLE) {
    find_origins(L, &search);
    lists[2] = list_keys(L, &search, search.loaded, has_made_members);
    lists[3] = list_keys(L, &search, search.loaded, may_have_made_members);
    if (lists[2].count + lists[3].count > 0)
      lists[1] = list_keys(L, &search, search.module, is_any);
  }
  lua_pushvalue(L, search.module);
  lt_ModuleOffer *offer = (lt_ModuleOffer *)lt_nameable_offered(L);
  lt_ModuleContents *module = module_make(L, name, lists, offer);
  lua_settop(L, search.module);
  module = unify(L, module);
  if (lt_protected_call(L, tell, module, 1, 0) != LUA_OK) {
    lt_object_release(&module->object);
    lt_throw(L);
  }
  lua_settop(L, top);
  return module;
}
