/*
** What is inherited is packed into a message, which nobody changes any more. A state keeps the one
** that it made last, with the two paths for which it holds: all threads that it starts inherit that
** one while the paths stay the same and nobody has put anything into package.preload.
*/
#include "src/thread/inherited_package.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/message.h"

const lt_OwnModules *lt_own_modules;

static const char kept_key;

typedef struct Package {
  lt_Object object;
  lt_Message *message; /* path, cpath, preload; each may be nil */
} Package;

static void package_destroy(lt_Object *object) {
  lt_message_free(((Package *)object)->message);
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
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushliteral(L, "package");
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushstring(L, field);
    if (lua_rawget(L, -2) == LUA_TSTRING)
      lua_replace(L, place);
  }
  lua_settop(L, place);
}

static int try_pack(lua_State *L) {
  lt_message_free(lt_pack(L, 1, LT_COPY_STRINGS, NULL));
  return 0;
}

/* Such an error says nothing about the value. */
static bool is_want_of_memory(lua_State *L) {
  return lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "not enough memory") == 0;
}

/* Whether the value on the top can be transferred; the thread may never want it. */
static bool can_cross(lua_State *L) {
  lua_pushcfunction(L, try_pack);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return true;
  if (lt_ends_thread(L, -1) || is_want_of_memory(L))
    lt_throw(L);
  lua_pop(L, 1);
  return false;
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

/* The same without what can't cross; nil if there is nothing in it. */
static void push_preload(lua_State *L) {
  push_loaders(L);
  int copy = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, copy)) {
    if (!can_cross(L)) {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, copy);
    }
    lua_pop(L, 1);
  }
  if (is_empty(L, copy)) {
    lua_pushnil(L);
    lua_replace(L, copy);
  }
}

/* The kept one, without a reference of its own, if it is for the paths at these two indices. */
static lt_Object *find_kept(lua_State *L, int path, int cpath) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kept_key);
  lt_Object *kept = lt_object_of_type(L, -1, &package_type);
  if (kept != NULL) {
    lua_getiuservalue(L, -1, 1);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    if (!lua_rawequal(L, -2, path) || !lua_rawequal(L, -1, cpath))
      kept = NULL;
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return kept;
}

/* Makes one of the path, the cpath and the preload on the top, which it pops; pushes its proxy. */
static lt_Object *package_make(lua_State *L) {
  Package *package = malloc(sizeof(*package));
  if (package == NULL)
    lt_raise_memory(L);
  package->message = NULL;
  lt_object_init(&package->object, &package_type);
  lt_object_push_own(L, &package->object);
  lua_insert(L, -4);
  package->message = lt_pack(L, 3, LT_COPY_STRINGS, NULL);
  return &package->object;
}

/* The proxy is on the top, and stays there. */
static void package_keep(lua_State *L, int path, int cpath) {
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, path);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, cpath);
  lua_rawseti(L, -2, 2);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kept_key);
}

lt_Object *lt_inherited_package_get(lua_State *L) {
  lt_check_stack(L, 20);
  int top = lua_gettop(L);
  package_push_field(L, "path");
  package_push_field(L, "cpath");
  push_preload(L);
  bool plain = lua_isnil(L, -1);
  lt_Object *package = plain ? find_kept(L, top + 1, top + 2) : NULL;
  if (package != NULL) {
    lt_object_retain(package);
  } else {
    lua_pushvalue(L, top + 1);
    lua_pushvalue(L, top + 2);
    lua_pushvalue(L, top + 3);
    package = package_make(L);
    if (plain)
      package_keep(L, top + 1, top + 2);
    lt_object_retain(package);
  }
  lua_settop(L, top);
  return package;
}

/*
** Inheriting
*/

/* Of the table package, which a host's states need not have. */
static void package_set_field(lua_State *L, int value, const char *field) {
  if (!lua_isnil(L, value) && lua_istable(L, -1)) {
    lua_pushvalue(L, value);
    lua_setfield(L, -2, field);
  }
}

void lt_inherited_package_apply(lua_State *L, lt_Object *package) {
  int top = lua_gettop(L);
  lt_unpack(L, ((Package *)package)->message, LT_KEEP_GLOBALS);
  int preload = top + 3;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  package_set_field(L, top + 1, "path");
  package_set_field(L, top + 2, "cpath");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushnil(L);
  while (lua_istable(L, preload) && lua_next(L, preload)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_settop(L, top);
}
