/*
** A state finds the value of a stored one as the user value of its proxy, and the proxy by the
** value in a weak table. So both live as long as somebody keeps the value.
*/
#include "src/stored.h"

#include "src/exception.h"
#include "src/memory.h"

static const char origins_key;

static void destroy(lt_Object *object) {
  lt_Stored *stored = (lt_Stored *)object;
  lt_traced_finish(&stored->traced);
  lt_message_free(stored->message);
  lt_memory_subtract(stored->size);
  lt_free(stored, sizeof(*stored));
}

/*
** For the collector. A message does not change, so no lock is needed.
*/

void lt_message_traverse(const lt_Message *message, size_t *position, lt_Visit visit,
                         void *context) {
  if (*position == LT_TRAVERSE_END)
    return;
  size_t end = *position + LT_TRAVERSE_STEP;
  if (end > message->reference_count)
    end = message->reference_count;
  for (; *position < end; ++*position)
    if (message->references[*position].rule == NULL)
      visit(context, message->references[*position].target);
  if (end == message->reference_count)
    *position = LT_TRAVERSE_END;
}

static uint64_t traverse(lt_Object *object, size_t *position, lt_Visit visit, void *context) {
  lt_message_traverse(((lt_Stored *)object)->message, position, visit, context);
  return 0;
}

static void clear(lt_Object *object) {
  lt_message_drop_references(((lt_Stored *)object)->message);
}

static const lt_Tracing tracing = {traverse, clear};
const lt_Type lt_stored_type = {"stored value", NULL, NULL, NULL, destroy, &tracing};

/*
** The values of a state
*/

lt_Stored *lt_stored_origin(lua_State *L, int index) {
  lt_Object *object = NULL;
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, "too many values");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &origins_key) == LUA_TTABLE) {
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    object = lt_object_of_type(L, -1, &lt_stored_type);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return (lt_Stored *)object;
}

lt_Stored *lt_stored_of(lua_State *L, int index) {
  lt_Stored *stored = lt_stored_origin(L, index);
  return stored != NULL && stored->has_identity ? stored : NULL;
}

/* Remembers that the value on the top is what the state has of the stored one. */
static void remember(lua_State *L, lt_Stored *stored) {
  luaL_checkstack(L, 8, "too many values");
  lt_push_registered(L, &origins_key, "k");
  lua_pushvalue(L, -2);
  lt_object_push(L, &stored->traced.object);
  if (stored->has_identity) {
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 1);
  }
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* A C function without upvalues is the same wherever it comes from, and never collected. */
static bool is_plain_c_function(lua_State *L, int index) {
  if (!lua_iscfunction(L, index))
    return false;
  if (lua_getupvalue(L, index, 1) == NULL)
    return true;
  lua_pop(L, 1);
  return false;
}

typedef struct New {
  lt_Stored *stored;
  lt_Describe describe;
} New;

/* The arguments: a New, the value. */
static int new_protected(lua_State *L) {
  New *new = lua_touserdata(L, 1);
  lt_Stored *stored = new->stored;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  stored->message = lt_pack(L, 1, LT_COPY_STRINGS, new->describe);
  stored->size = lt_message_size(stored->message);
  lt_memory_add(stored->size);
  stored->has_identity = lua_type(L, 2) != LUA_TTABLE && !is_plain_c_function(L, 2);
  lt_traced_init(&stored->traced, &lt_stored_type);
  if (stored->has_identity)
    remember(L, stored);
  return 0;
}

lt_Stored *lt_stored_new(lua_State *L, int index, lt_Describe describe) {
  New new = {NULL, describe};
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, "too many values");
  new.stored = lt_alloc_zeroed(sizeof(lt_Stored));
  if (new.stored == NULL)
    lt_raise_memory(L);
  lua_pushcfunction(L, new_protected);
  lua_pushlightuserdata(L, &new);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return new.stored;
  if (new.stored->message != NULL)
    lt_object_release(&new.stored->traced.object);
  else
    lt_free(new.stored, sizeof(lt_Stored));
  lt_throw_again(L);
}

bool lt_stored_push_known(lua_State *L, const lt_Stored *stored) {
  if (!stored->has_identity || !lt_object_push_known(L, &stored->traced.object))
    return false;
  if (lua_getiuservalue(L, -1, 1) != LUA_TNIL) {
    lua_remove(L, -2);
    return true;
  }
  lua_pop(L, 2);
  return false;
}

void lt_stored_push(lua_State *L, lt_Stored *stored) {
  luaL_checkstack(L, 8, "too many values");
  if (lt_stored_push_known(L, stored))
    return;
  lt_unpack(L, stored->message, LT_KEEP);
  if (stored->has_identity || lua_type(L, -1) == LUA_TTABLE)
    remember(L, stored);
}
