/*
** A state has the metatable of the proxies as the user value of this object's own proxy, which that
** metatable refers to; and finds that proxy by the metatable of the objects in a weak table. So all
** of them live as long as somebody has an object, or the metatable.
**
** Making them out of the message may need them: a method's upvalue may be an object of the class.
** So the metatable of the proxies is there first, and filled when all else has been made.
*/
#include "src/shared/shared_metatable.h"

#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/shared_memory.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/shared/shared_table.h"
#include "src/shared/stored_value.h"
#include "src/transfer/unpack_end.h"

/* In the registry: the proxy that a metatable was stored as, or made of. */
static const char sources_of_metatables_key;

/* More fields of the metatable of the proxies. */
enum { HIDDEN_OWNER = LT_HIDDEN_CONSTANTS + 1, HIDDEN_IS_BEING_MADE };

static void metatable_destroy(lt_Object *object) {
  lt_SharedMetatable *metatable = (lt_SharedMetatable *)object;
  lt_traced_finish(&metatable->traced);
  lt_message_free(metatable->message);
  lt_memory_subtract(metatable->size);
  lt_memory_free(metatable, sizeof(*metatable));
}

/* For the collector. A message does not change, so no lock is needed. */
static uint64_t metatable_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                   void *context) {
  lt_message_traverse(((lt_SharedMetatable *)object)->message, position, visit, context);
  return 0;
}

static void metatable_clear(lt_Object *object) {
  lt_message_drop_references(((lt_SharedMetatable *)object)->message);
}

static const lt_Tracing metatable_tracing = {metatable_traverse, metatable_clear};
static const lt_Type shared_metatable_type = {"shared metatable", NULL, metatable_destroy,
                                              &metatable_tracing};

/*
** The metatable of the proxies
*/

/* Pushes the object's proxy, and the metatable, which is empty if it is new. */
static void push_with_owner(lua_State *L, lt_SharedMetatable *metatable,
                            const lt_HiddenMaker *maker) {
  lt_object_push(L, &metatable->traced.object);
  if (lua_getiuservalue(L, -1, 1) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, HIDDEN_IS_BEING_MADE, 12);
  lt_object_push_metatable(L, &lt_shared_table_type);
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* as a plain shared table, with the __gc before there is a proxy */
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
  maker->begin(L, lua_gettop(L));
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, HIDDEN_OWNER);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, HIDDEN_IS_BEING_MADE);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, 1);
}

static void set_being_made(lua_State *L, int hidden, bool is_being_made) {
  lua_pushboolean(L, is_being_made);
  lua_rawseti(L, hidden, HIDDEN_IS_BEING_MADE); /* no memory is needed: it is there */
}

static bool hidden_has(lua_State *L, int hidden, int field) {
  lua_rawgeti(L, hidden, field);
  bool has = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return has;
}

/* Finds the proxy by the metatable of the objects, unless there is a later one. */
static void remember_source(lua_State *L, int metatable, int owner, bool override) {
  lt_push_registered(L, &sources_of_metatables_key, "k");
  lua_pushvalue(L, metatable);
  if (lua_rawget(L, -2) == LUA_TNIL || override) {
    lua_pushvalue(L, metatable);
    lua_pushvalue(L, owner);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

/*
** The proxy and the metatable of the proxies, the metatable of the objects, and the constants are
** on the top. What has the metatable of the objects is complete: so that comes last.
*/
static void complete_hidden(lua_State *L, const lt_HiddenMaker *maker, bool override) {
  int constants = lua_gettop(L);
  int hidden = constants - 2;
  maker->fill(L, hidden);
  remember_source(L, constants - 1, hidden - 1, override);
  lua_rawseti(L, hidden, LT_HIDDEN_CONSTANTS);
  lua_rawseti(L, hidden, LT_HIDDEN_METATABLE);
}

/* The arguments: a maker, the proxy, the metatable of the proxies. */
static int make_protected(lua_State *L) {
  const lt_HiddenMaker *maker = lua_touserdata(L, 1);
  lt_unpack(L, ((lt_SharedMetatable *)lt_object_at(L, 2))->message, LT_KEEP_GLOBALS);
  complete_hidden(L, maker, false);
  return 0;
}

/* The owner is below it. */
static void make_hidden(lua_State *L, int hidden, const lt_HiddenMaker *maker) {
  set_being_made(L, hidden, true);
  lua_pushvalue(L, hidden - 1);
  lua_pushvalue(L, hidden);
  int status = lt_protected_call(L, make_protected, (void *)maker, 2, 0);
  set_being_made(L, hidden, false);
  if (status != LUA_OK) {
    lt_object_forget_proxies(L, hidden);
    lt_throw(L);
  }
}

/* Has it completed when the message is there that the object comes with; or false. */
static bool complete_later(lua_State *L, int hidden, const lt_Object *object,
                           const lt_HiddenMaker *maker) {
  lua_pushvalue(L, hidden - 1);
  lua_pushcclosure(L, maker->complete, 1);
  if (lt_unpack_end_await(L, object))
    return true;
  lua_pop(L, 1);
  return false;
}

static bool is_to_be_made(lua_State *L, int hidden) {
  return !hidden_has(L, hidden, LT_HIDDEN_METATABLE) &&
         !hidden_has(L, hidden, HIDDEN_IS_BEING_MADE);
}

void lt_shared_metatable_push_hidden(lua_State *L, lt_SharedMetatable *metatable,
                                     const lt_Object *object, const lt_HiddenMaker *maker) {
  lt_check_stack(L, LUA_MINSTACK);
  push_with_owner(L, metatable, maker);
  int hidden = lua_gettop(L);
  if (is_to_be_made(L, hidden) && !complete_later(L, hidden, object, maker))
    make_hidden(L, hidden, maker);
  lua_remove(L, hidden - 1);
}

bool lt_shared_metatable_complete(lua_State *L, int owner, const lt_HiddenMaker *maker) {
  lt_check_stack(L, LUA_MINSTACK);
  push_with_owner(L, (lt_SharedMetatable *)lt_object_at(L, owner), maker);
  if (is_to_be_made(L, lua_gettop(L)))
    make_hidden(L, lua_gettop(L), maker);
  bool is_complete = hidden_has(L, lua_gettop(L), LT_HIDDEN_METATABLE);
  lua_pop(L, 2);
  return is_complete;
}

/*
** Storing one
*/

static bool same_references(const lt_Message *a, const lt_Message *b) {
  for (size_t i = 0; i < a->reference_count; i++)
    if (a->references[i].rule != b->references[i].rule ||
        a->references[i].target != b->references[i].target)
      return false;
  return true;
}

/* Whether the same would be made of them. */
static bool same_message(const lt_Message *a, const lt_Message *b) {
  return a->size == b->size && a->reference_count == b->reference_count &&
         memcmp(a->bytes, b->bytes, a->size) == 0 && same_references(a, b);
}

/* Pushes the proxy that the metatable at 'index' was last stored as, and returns the object. */
static lt_SharedMetatable *push_source(lua_State *L, int index) {
  lt_push_registered(L, &sources_of_metatables_key, "k");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return (lt_SharedMetatable *)lt_object_of_type(L, -1, &shared_metatable_type);
}

static void describe_shared_metatable(lua_State *L, int value) {
  lua_pushstring(L, value == 0 ? "metatable" : "value");
}

typedef struct Storing {
  lt_SharedMetatable *new; /* with a message: it is an object already */
  const lt_HiddenMaker *maker;
} Storing;

/* The arguments: a Storing, the metatable of the objects, the constants. Returns the proxy. */
static int store_protected(lua_State *L) {
  Storing *storing = lua_touserdata(L, 1);
  lt_SharedMetatable *new = storing->new;
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lt_Message *message = lt_pack(L, 2, LT_COPY_STRINGS, describe_shared_metatable);
  new->message = message;
  new->size = lt_message_size(message);
  lt_memory_add(new->size);
  lt_traced_init(&new->traced, &shared_metatable_type);
  const lt_SharedMetatable *known = push_source(L, 2);
  if (known != NULL && same_message(known->message, message))
    return 1;
  push_with_owner(L, new, storing->maker);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  complete_hidden(L, storing->maker, true);
  lua_pop(L, 1);
  return 1;
}

lt_SharedMetatable *lt_shared_metatable_of(lua_State *L, int metatable, int constants,
                                           const lt_HiddenMaker *maker) {
  Storing storing = {NULL, maker};
  metatable = lua_absindex(L, metatable);
  constants = lua_absindex(L, constants);
  lt_check_stack(L, LUA_MINSTACK);
  storing.new = lt_memory_alloc_zeroed(sizeof(lt_SharedMetatable));
  if (storing.new == NULL)
    lt_raise_memory(L);
  lua_pushvalue(L, metatable);
  lua_pushvalue(L, constants);
  int status = lt_protected_call(L, store_protected, &storing, 2, 1);
  if (storing.new->message != NULL)
    lt_object_release(&storing.new->traced.object); /* its proxy has a reference, if there is one */
  else
    lt_memory_free(storing.new, sizeof(lt_SharedMetatable));
  if (status != LUA_OK)
    lt_throw_again(L);
  return (lt_SharedMetatable *)lt_object_at(L, -1);
}
