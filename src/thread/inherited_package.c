/*
** What is inherited is written down, and not changed any more. A state keeps the one
** that it made last: all threads that it starts inherit that one while the fields of package stay
** the same, nobody has put anything into package.preload, and all modules can be required.
*/
#include "src/thread/inherited_package.h"

#include <stdlib.h>
#include <string.h>

#include <lualib.h>

#include "src/base/stack_room.h"
#include "src/base/table_digest.h"
#include "src/object/exception.h"
#include "src/thread/inheritable.h"
#include "src/thread/inherited_modules.h"
#include "src/thread/stock_libraries.h"
#include "src/transfer/message.h"
#include "src/transfer/nameable.h"

const lt_OwnModules *lt_own_modules;

static const char kept_key;

static const char *const path_fields[] = {"path", "cpath"};

enum { PATH_COUNT = sizeof(path_fields) / sizeof(path_fields[0]) };

typedef struct Package {
  lt_Object object;
  lt_Message *preload; /* a table; NULL: there is nothing in it */
  uint64_t preload_digest;
  uint64_t modules; /* the digest of package.loaded */
  bool has[PATH_COUNT];
  size_t lengths[PATH_COUNT];
  char paths[]; /* one behind the other */
} Package;

static void package_destroy(lt_Object *object) {
  lt_message_free(((Package *)object)->preload);
  free(object);
}

static const lt_Type package_type = {"package", NULL, package_destroy, NULL};

/*
** Giving
*/

/* The string that package has in this field, or nil: a script may have put anything there. */
static void package_push_field(lua_State *L, const char *field) {
  int place = lua_gettop(L) + 1;
  lua_pushnil(L);
  lt_stock_push(L, LT_STOCK_LIBRARIES);
  if (lua_istable(L, -1) && lt_stock_push_field(L, -1, field) == LUA_TSTRING)
    lua_replace(L, place);
  lua_settop(L, place);
}

static bool is_empty(lua_State *L, int table) {
  lua_pushnil(L);
  if (!lua_next(L, table))
    return true;
  lua_pop(L, 2);
  return false;
}

/*
** A copy of package.preload, without the library's own loaders. Nothing runs while its fields are
** gone through.
*/
static void push_loaders(lua_State *L) {
  lua_newtable(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (!lt_own_modules->is_loader(lua_tocfunction(L, -1))) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, -5);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* The loader on the top can't cross: its module is not called by its name any more. */
static void exclude_loader(lua_State *L) {
  if (lt_nameable_exclude(L)) {
    lt_module_index_push(L, true, NULL);
    lua_pop(L, 1);
  }
}

/* The same without what can't cross; nil if there is nothing in it. Returns whether all crosses. */
static bool push_preload(lua_State *L) {
  bool is_complete = true;
  push_loaders(L);
  int copy = lua_gettop(L);
  lt_inherited_modules_replace(L);
  lua_pushnil(L);
  while (lua_next(L, copy)) {
    if (!lt_inheritable(L)) {
      is_complete = false;
      exclude_loader(L);
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, copy);
    }
    lua_pop(L, 1);
  }
  lt_inherited_modules_add(L);
  if (is_empty(L, copy)) {
    lua_pushnil(L);
    lua_replace(L, copy);
  }
  return is_complete;
}

static uint64_t digest_preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  uint64_t digest = lt_table_digest(L, -1);
  lua_pop(L, 1);
  return digest;
}

/* Pushes the kept one; NULL: there is none, or it does not hold. */
static lt_Object *find_kept(lua_State *L, uint64_t modules) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  lt_Object *kept = lt_object_of_type(L, -1, &package_type);
  bool holds = kept != NULL && ((Package *)kept)->modules == modules &&
               ((Package *)kept)->preload_digest == digest_preload(L);
  return holds ? kept : NULL;
}

/* Makes one of the paths on the top, strings or nil, which it pops; pushes its proxy. */
static Package *package_make(lua_State *L) {
  size_t size = 0;
  for (int i = 0; i < PATH_COUNT; i++)
    size += (size_t)lua_rawlen(L, i - PATH_COUNT);
  Package *package = calloc(1, sizeof(*package) + size);
  if (package == NULL)
    lt_raise_memory(L);
  char *end = package->paths;
  for (int i = 0; i < PATH_COUNT; i++) {
    package->has[i] = lua_isstring(L, i - PATH_COUNT);
    package->lengths[i] = (size_t)lua_rawlen(L, i - PATH_COUNT);
    if (package->has[i])
      memcpy(end, lua_tostring(L, i - PATH_COUNT), package->lengths[i]);
    end += package->lengths[i];
  }
  lua_pop(L, PATH_COUNT);
  lt_object_init(&package->object, &package_type);
  lt_object_push_own(L, &package->object);
  return package;
}

/* One with nothing in its preload, and nothing left out of that, is kept. Pushes its proxy. */
static lt_Object *make_anew(lua_State *L, uint64_t modules) {
  uint64_t preload_digest = digest_preload(L);
  for (int i = 0; i < PATH_COUNT; i++)
    package_push_field(L, path_fields[i]);
  Package *package = package_make(L);
  package->preload_digest = preload_digest;
  package->modules = modules;
  bool is_complete = push_preload(L);
  if (!lua_isnil(L, -1))
    package->preload = lt_pack(L, 1, LT_COPY_STRINGS, NULL);
  if (package->preload == NULL && is_complete)
    lua_pushvalue(L, -2);
  else
    lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
  return &package->object;
}

/* The new one is held by its proxy on the stack. */
lt_Object *lt_inherited_package_get(lua_State *L, bool unchanged, uint64_t modules) {
  lt_check_stack(L, 20);
  int top = lua_gettop(L);
  lt_Object *package = unchanged ? find_kept(L, modules) : NULL;
  if (package == NULL)
    package = make_anew(L, modules);
  lt_object_retain(package);
  lua_settop(L, top);
  return package;
}

/*
** Inheriting
*/

void lt_inherited_package_apply_paths(lua_State *L, lt_Object *object) {
  const Package *package = (const Package *)object;
  int top = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushliteral(L, LUA_LOADLIBNAME);
  const char *path = package->paths;
  bool has_package = lua_rawget(L, -2) == LUA_TTABLE; /* a host's states need not have it */
  for (int i = 0; i < PATH_COUNT && has_package; i++) {
    if (package->has[i]) {
      lua_pushstring(L, path_fields[i]);
      lua_pushlstring(L, path, package->lengths[i]);
      lua_rawset(L, -3);
    }
    path += package->lengths[i];
  }
  lua_settop(L, top);
}

void lt_inherited_package_apply_preload(lua_State *L, lt_Object *package) {
  const lt_Message *message = ((Package *)package)->preload;
  if (message == NULL)
    return;
  int top = lua_gettop(L);
  lt_unpack(L, message, LT_KEEP_GLOBALS);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushnil(L);
  while (lua_next(L, top + 1)) {
    lt_inherited_modules_push_loader(L);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_settop(L, top);
}
