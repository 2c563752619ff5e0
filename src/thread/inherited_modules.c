/*
** What is inherited of a module is its name, with what has changed in it since it was offered: a
** message, that of the module itself.
*/
#include "src/thread/inherited_modules.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/message.h"
#include "src/transfer/module_offer.h"

typedef struct Module {
  lt_Object object;
  lt_Message *message;
} Module;

static void inherited_destroy(lt_Object *object) {
  lt_message_free(((Module *)object)->message);
  free(object);
}

static const lt_Type inherited_type = {"inherited module", NULL, inherited_destroy, NULL};

/*
** In the thread
*/

/* Sets package.preload[name] to the value on the top, which it pops. */
static void set_preload(lua_State *L, int name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushvalue(L, name);
  lua_rotate(L, -3, -1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/*
** A loader: its upvalue is the object. The message names the module, for which the thread requires
** it: then there must be no loader any more. After an error there is one again.
*/
static int load_inherited(lua_State *L) {
  const Module *module = (const Module *)lt_object_of_type(L, lua_upvalueindex(1), &inherited_type);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, load_inherited, 1);
  lua_pushnil(L);
  set_preload(L, 1);
  if (module == NULL || lt_try_unpack(L, module->message, LT_KEEP_GLOBALS) == LUA_OK)
    return module != NULL;
  lua_pushvalue(L, 2);
  set_preload(L, 1);
  lt_throw(L);
}

void lt_inherited_modules_push_loader(lua_State *L) {
  if (lt_object_of_type(L, -1, &inherited_type) != NULL)
    lua_pushcclosure(L, load_inherited, 1);
}

/*
** In its starter
*/

void lt_inherited_modules_replace(lua_State *L) {
  int loaders = lua_gettop(L);
  lt_check_stack(L, 6);
  lua_pushnil(L);
  while (lua_next(L, loaders)) {
    if (lua_tocfunction(L, -1) == load_inherited) {
      lua_pushvalue(L, -2);
      lua_getupvalue(L, -2, 1);
      lua_rawset(L, loaders);
    }
    lua_pop(L, 1);
  }
}

/* The arguments: where the message goes, the module. */
static int pack_inherited(lua_State *L) {
  lt_Message **message = lua_touserdata(L, 1);
  *message = lt_pack(L, 1, LT_COPY_STRINGS, NULL);
  return 0;
}

/* Replaces the module on the top by its object; nil if it can't cross as it is now. */
static void make_inherited_module(lua_State *L) {
  Module *module = malloc(sizeof(*module));
  if (module == NULL)
    lt_raise_memory(L);
  module->message = NULL;
  lt_object_init(&module->object, &inherited_type);
  lt_object_push_own(L, &module->object);
  lua_insert(L, -2);
  if (lt_protected_call(L, pack_inherited, &module->message, 1, 0) == LUA_OK)
    return;
  if (lt_ends_thread(L, -1) || lt_is_want_of_memory(L, -1))
    lt_throw(L);
  lua_pop(L, 2);
  lua_pushnil(L);
}

static bool has_loader(lua_State *L, int loaders, int name) {
  lua_pushvalue(L, name);
  bool found = lua_rawget(L, loaders) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

void lt_inherited_modules_add(lua_State *L) {
  int loaders = lua_gettop(L);
  lt_check_stack(L, 10);
  lt_module_offer_push_all(L);
  lua_pushnil(L);
  while (lua_istable(L, loaders + 1) && lua_next(L, loaders + 1)) {
    int name = lua_gettop(L) - 1;
    if (!has_loader(L, loaders, name)) {
      lua_pushvalue(L, name);
      lua_insert(L, -2);
      make_inherited_module(L);
      lua_rawset(L, loaders);
    }
    lua_settop(L, name);
  }
  lua_settop(L, loaders);
}
