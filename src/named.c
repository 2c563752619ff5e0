/*
** The index of a state maps the address of a value to its path. It is made anew when the modules in
** package.loaded have changed. A path it finds is walked before it is believed: an address
** may belong to another value by now, a module may have another name.
*/
#include "src/named.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "src/exception.h"

static const char index_key;

#define DEEPEST_FIELD (LT_PATH_LONGEST - 3) /* a module's name before it, metatables after it */

typedef struct Entry {
  const void *address;
  size_t parent; /* 0: the step is the name of a module */
  size_t step;   /* offset into the texts; NO_TEXT: the metatable */
} Entry;

#define NO_TEXT SIZE_MAX

struct lt_Names {
  uint64_t modules; /* the fingerprint of package.loaded */
  size_t count;     /* entry 0 is unused */
  size_t capacity;
  Entry *entries;
  size_t slot_mask;
  size_t *slots; /* hashed by address: the number of an entry, 0 for none */
  size_t text_size;
  size_t text_capacity;
  char *texts;
};

/*
** The standard library. User code adds functions to its tables; only what is written in C,
** or lies in 'package', is sure to be in every state.
*/

static bool is_in(const char *name, const char *const *list) {
  while (*list != NULL && strcmp(name, *list) != 0)
    list++;
  return *list != NULL;
}

static bool is_standard_module(const char *name) {
  static const char *const modules[] = {"_G",      "coroutine", "debug", "io",   "math", "os",
                                        "package", "string",    "table", "utf8", NULL};
  return is_in(name, modules);
}

static bool is_base_function(const char *name) {
  static const char *const functions[] = {
      "assert",   "collectgarbage", "dofile",  "error",  "getmetatable", "ipairs",   "load",
      "loadfile", "next",           "pairs",   "pcall",  "print",        "rawequal", "rawget",
      "rawlen",   "rawset",         "require", "select", "setmetatable", "tonumber", "tostring",
      "type",     "warn",           "xpcall",  NULL};
  return is_in(name, functions);
}

/* Whether the member on the top of the stack is the same in all states. */
static bool is_everywhere(lua_State *L, const char *module, const char *field) {
  if (strcmp(module, "_G") == 0)
    return is_base_function(field) && lua_iscfunction(L, -1);
  if (strcmp(module, "package") == 0)
    return true;
  if (is_standard_module(module))
    return lua_iscfunction(L, -1) || lua_isuserdata(L, -1);
  return true;
}

bool lt_named_is_standard_global(const lt_Path *path, const char *name) {
  if (path->length == 1)
    return is_standard_module(name) && strcmp(path->steps[0], name) == 0;
  return path->length == 2 && path->steps[1] != NULL && strcmp(path->steps[0], "_G") == 0 &&
         strcmp(path->steps[1], name) == 0;
}

/*
** Building
*/

static size_t hash(const lt_Names *names, const void *address) {
  return (size_t)((uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15) >> 20) &
         names->slot_mask;
}

static size_t find_entry(const lt_Names *names, const void *address) {
  if (names->slots == NULL)
    return 0;
  size_t slot = hash(names, address);
  while (names->slots[slot] != 0 && names->entries[names->slots[slot]].address != address)
    slot = (slot + 1) & names->slot_mask;
  return names->slots[slot];
}

static void insert_slot(lt_Names *names, size_t entry) {
  size_t slot = hash(names, names->entries[entry].address);
  while (names->slots[slot] != 0)
    slot = (slot + 1) & names->slot_mask;
  names->slots[slot] = entry;
}

static void grow(lua_State *L, lt_Names *names) {
  size_t capacity = names->capacity == 0 ? 256 : names->capacity * 2;
  Entry *entries = realloc(names->entries, capacity * sizeof(Entry));
  if (entries == NULL)
    lt_raise_memory(L);
  names->entries = entries;
  size_t *slots = calloc(capacity * 2, sizeof(size_t));
  if (slots == NULL)
    lt_raise_memory(L);
  free(names->slots);
  names->slots = slots;
  names->slot_mask = capacity * 2 - 1;
  names->capacity = capacity;
  for (size_t entry = 1; entry < names->count; entry++)
    insert_slot(names, entry);
}

static size_t add_text(lua_State *L, lt_Names *names, const char *text) {
  size_t size = strlen(text) + 1;
  if (size > names->text_capacity - names->text_size) {
    size_t capacity = (names->text_capacity + size) * 2;
    char *texts = realloc(names->texts, capacity);
    if (texts == NULL)
      lt_raise_memory(L);
    names->texts = texts;
    names->text_capacity = capacity;
  }
  memcpy(names->texts + names->text_size, text, size);
  names->text_size += size;
  return names->text_size - size;
}

/* Adds the value on the top; returns 0 if it is already there. */
static size_t add_entry(lua_State *L, lt_Names *names, size_t parent, const char *step) {
  const void *address = lua_topointer(L, -1);
  if (find_entry(names, address) != 0)
    return 0;
  if (names->count >= names->capacity)
    grow(L, names);
  size_t text = step == NULL ? NO_TEXT : add_text(L, names, step);
  size_t entry = names->count++;
  names->entries[entry] = (Entry){address, parent, text};
  insert_slot(names, entry);
  return entry;
}

static bool has_identity(lua_State *L, int index) {
  int type = lua_type(L, index);
  return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA;
}

static void add_metatable(lua_State *L, lt_Names *names, size_t parent) {
  if (lua_getmetatable(L, -1)) {
    add_entry(L, names, parent, NULL);
    lua_pop(L, 1);
  }
}

/* Adds the members of the table on the top, and theirs. */
static void add_members(lua_State *L, lt_Names *names, const char *module, size_t parent,
                        int depth) {
  luaL_checkstack(L, 6, "too many values");
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -2) == LUA_TSTRING && has_identity(L, -1) &&
        strlen(lua_tostring(L, -2)) == lua_rawlen(L, -2) &&
        is_everywhere(L, module, lua_tostring(L, -2))) {
      size_t entry = add_entry(L, names, parent, lua_tostring(L, -2));
      if (entry != 0 && !is_standard_module(module)) {
        add_metatable(L, names, entry);
        if (lua_type(L, -1) == LUA_TTABLE && depth < DEEPEST_FIELD)
          add_members(L, names, module, entry, depth + 1);
      }
    }
    lua_pop(L, 1);
  }
}

/* package.loaded is on the top. Modules come first, so that none is found as a field of another. */
static void add_modules(lua_State *L, lt_Names *names) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -2) == LUA_TSTRING && has_identity(L, -1))
      add_entry(L, names, 0, lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TTABLE) {
      size_t entry = find_entry(names, lua_topointer(L, -1));
      const char *module = lua_tostring(L, -2);
      if (strcmp(module, names->texts + names->entries[entry].step) == 0)
        add_members(L, names, module, entry, 1);
    }
    lua_pop(L, 1);
  }
}

/*
** The index of a state
*/

static void clear(lt_Names *names) {
  free(names->entries);
  free(names->slots);
  free(names->texts);
  memset(names, 0, sizeof(*names));
  names->count = 1;
}

static int collect_index(lua_State *L) {
  clear(lua_touserdata(L, 1));
  return 0;
}

static lt_Names *get_index(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &index_key) != LUA_TUSERDATA) {
    lua_pop(L, 1);
    lt_Names *names = lua_newuserdatauv(L, sizeof(*names), 0);
    memset(names, 0, sizeof(*names));
    names->count = 1;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect_index);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &index_key);
  }
  lt_Names *names = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return names;
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

/* package.loaded is on the top. */
static void make_index(lua_State *L, lt_Names *names, uint64_t modules) {
  clear(names);
  add_modules(L, names);
  names->modules = modules;
}

lt_Names *lt_names_of(lua_State *L) {
  luaL_checkstack(L, 8, "too many values");
  lt_Names *names = get_index(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  uint64_t modules = fingerprint(L);
  if (names->modules != modules)
    make_index(L, names, modules);
  lua_pop(L, 1);
  return names;
}

/*
** Paths
*/

static void entry_path(const lt_Names *names, size_t entry, lt_Path *path) {
  path->length = 0;
  for (size_t e = entry; e != 0; e = names->entries[e].parent)
    path->length++;
  int step = path->length;
  for (size_t e = entry; e != 0; e = names->entries[e].parent) {
    size_t text = names->entries[e].step;
    path->steps[--step] = text == NO_TEXT ? NULL : names->texts + text;
  }
}

/* Replaces the value on the top by its member; false leaves it in place. */
static bool take_step(lua_State *L, const char *step) {
  if (step == NULL) {
    if (!lua_getmetatable(L, -1))
      return false;
  } else {
    if (lua_type(L, -1) != LUA_TTABLE)
      return false;
    lua_pushstring(L, step);
    lua_rawget(L, -2);
  }
  lua_remove(L, -2);
  return true;
}

static bool leads_to(lua_State *L, const lt_Path *path, const void *address) {
  bool walked = true;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (int i = 0; i < path->length && walked; i++)
    walked = take_step(L, path->steps[i]);
  bool found = walked && lua_topointer(L, -1) == address;
  lua_pop(L, 1);
  return found;
}

static bool find_path(lua_State *L, const lt_Names *names, const void *address, lt_Path *path) {
  size_t entry = find_entry(names, address);
  if (entry != 0)
    entry_path(names, entry, path);
  return entry != 0 && leads_to(L, path, address);
}

bool lt_named_find(lua_State *L, lt_Names *names, const void *address, lt_Path *path) {
  if (find_entry(names, address) == 0)
    return false;
  if (find_path(L, names, address, path))
    return true;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  make_index(L, names, names->modules);
  lua_pop(L, 1);
  return find_path(L, names, address, path);
}

/* "module.field.field", on the top. */
static const char *push_path(lua_State *L, const lt_Path *path) {
  lua_pushstring(L, path->steps[0]);
  for (int i = 1; i < path->length; i++) {
    if (path->steps[i] == NULL)
      lua_pushliteral(L, "'s metatable");
    else
      lua_pushfstring(L, ".%s", path->steps[i]);
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

static void push_module(lua_State *L, const lt_Path *path) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, path->steps[0]);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushstring(L, path->steps[0]);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    if (lt_ends_thread(L, -1))
      lt_throw(L);
    const char *reason = luaL_tolstring(L, -1, NULL);
    lt_raise(L, &lt_RuntimeError, "cannot receive %s: %s", push_path(L, path), reason);
  }
}

void lt_named_push(lua_State *L, const lt_Path *path) {
  luaL_checkstack(L, 10, "too many values");
  push_module(L, path);
  for (int i = 1; i < path->length; i++)
    if (!take_step(L, path->steps[i]) || lua_isnil(L, -1))
      lt_raise(L, &lt_RuntimeError,
               "cannot receive %s: module '%s' has no such member in this thread",
               push_path(L, path), path->steps[0]);
}
