/*
** A module may hold another one: those with longer names, which are parts of others, come first, so
** that these refer to them by their names.
*/
#include "src/transfer/module_offer.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/message.h"
#include "src/transfer/nameable.h"

/* A weak table: the modules that can't cross. */
static const char unoffered_key;

typedef struct Offer {
  lt_ModuleOffer base;
  lt_Message *message;
} Offer;

static void offer_destroy(lt_Object *object) {
  lt_message_free(((Offer *)object)->message);
  free(object);
}

static const lt_Type offer_type = {"offer", NULL, offer_destroy, NULL};

static void push_offered(lua_State *L, const lt_ModuleOffer *offer) {
  lt_unpack(L, ((const Offer *)offer)->message, LT_KEEP_GLOBALS);
}

/*
** Making one
*/

/* The arguments: where the message goes, the module. */
static int pack_offer(lua_State *L) {
  static const lt_PackBatch batch = {.leaves_out = true};
  lt_Message **message = lua_touserdata(L, 1);
  *message = lt_pack_in_batch(L, 1, LT_COPY_STRINGS, NULL, &batch);
  return 0;
}

/* Pushes a new one of the module on the top; false: it can't cross. */
static bool push_offer(lua_State *L) {
  Offer *offer = malloc(sizeof(*offer));
  if (offer == NULL)
    lt_raise_memory(L);
  lt_object_init(&offer->base.object, &offer_type);
  offer->base.push = push_offered;
  offer->message = NULL;
  lt_object_push_own(L, &offer->base.object);
  lua_pushvalue(L, -2);
  if (lt_protected_call(L, pack_offer, &offer->message, 1, 0) == LUA_OK)
    return true;
  if (lt_ends_thread(L, -1) || lt_is_want_of_memory(L, -1))
    lt_throw(L);
  lua_pop(L, 2);
  return false;
}

/* The module on the top, unless that is known. */
static void note_unoffered(lua_State *L) {
  lt_push_registered(L, &unoffered_key, "k");
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Offers the module on the top, if it can cross. */
static void make_offer(lua_State *L, const char *name) {
  lt_Object *known = lt_nameable_offered(L);
  if (known != NULL) {
    lt_object_push(L, known);
  } else if (!push_offer(L)) {
    note_unoffered(L);
    return;
  }
  lt_nameable_offer(L, name);
  lt_module_index_push(L, true, NULL);
  lua_pop(L, 1);
}

/*
** Which ones
*/

static bool is_unoffered(lua_State *L) {
  lt_push_registered(L, &unoffered_key, "k");
  lua_pushvalue(L, -2);
  bool found = lua_rawget(L, -2) != LUA_TNIL;
  lua_pop(L, 2);
  return found;
}

static bool has_usual_name(lua_State *L, int key) {
  return lua_type(L, key) == LUA_TSTRING &&
         strlen(lua_tostring(L, key)) == (size_t)lua_rawlen(L, key);
}

/* The name and the module are on the top. */
static bool lacks_offer(lua_State *L) {
  return has_usual_name(L, -2) && (lua_istable(L, -1) || lua_isfunction(L, -1)) &&
         !lt_nameable_has(L, lua_tostring(L, -2)) && !is_unoffered(L);
}

static int compare_backwards(const void *a, const void *b) {
  return strcmp(*(const char *const *)b, *(const char *const *)a);
}

/* Pushes the memory of a list of the names of those that lack an offer, which 'names' keeps. */
static const char **list_lacking(lua_State *L, int loaded, int names, size_t *count) {
  *count = 0;
  lua_pushnil(L);
  while (lua_next(L, loaded)) {
    if (lacks_offer(L)) {
      *count += 1;
      lua_pushvalue(L, -2);
      lua_rawseti(L, names, (lua_Integer)*count);
    }
    lua_pop(L, 1);
  }
  const char **list = lua_newuserdatauv(L, *count * sizeof(*list), 0);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, names, (lua_Integer)i + 1);
    list[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  if (*count > 1)
    qsort(list, *count, sizeof(*list), compare_backwards);
  return list;
}

static void make_lacking(lua_State *L, int loaded) {
  size_t count;
  lua_newtable(L);
  const char **names = list_lacking(L, loaded, lua_gettop(L), &count);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, names[i]);
    if (lua_rawget(L, loaded) != LUA_TNIL)
      make_offer(L, names[i]);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

void lt_module_offer_push_all(lua_State *L) {
  bool found = false;
  lt_check_stack(L, 20);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int loaded = lua_gettop(L);
  make_lacking(L, loaded);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, loaded)) {
    if (has_usual_name(L, -2) && lt_nameable_offered(L) != NULL) {
      found = true;
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, loaded + 1);
    } else {
      lua_pop(L, 1);
    }
  }
  if (!found) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_remove(L, loaded);
}
