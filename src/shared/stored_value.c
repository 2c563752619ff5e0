/*
** A state keeps what it makes of a stored value as the user value of that one's proxy, and finds
** the proxy by the value in a weak table. So both live as long as somebody keeps the value. Of a
** userdata it keeps nothing: who has closed one would not have closed the token it came from.
*/
#include "src/shared/stored_value.h"

#include "src/base/protected_call.h"
#include "src/base/shared_memory.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

static const char origins_key;

static void stored_destroy(lt_Object *object) {
  lt_StoredValue *stored = (lt_StoredValue *)object;
  lt_traced_finish(&stored->traced);
  lt_message_free(stored->message);
  lt_memory_subtract(stored->size);
  lt_memory_free(stored, sizeof(*stored));
}

static uint64_t stored_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                void *context) {
  lt_message_traverse(((lt_StoredValue *)object)->message, position, visit, context);
  return 0;
}

static void stored_clear(lt_Object *object) {
  lt_message_drop_references(((lt_StoredValue *)object)->message);
}

static const lt_Tracing stored_tracing = {stored_traverse, stored_clear};
const lt_Type lt_stored_value_type = {"stored value", NULL, stored_destroy, &stored_tracing};

/*
** The values of a state
*/

lt_StoredValue *lt_stored_value_origin(lua_State *L, int index) {
  lt_Object *object = NULL;
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &origins_key) == LUA_TTABLE) {
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    object = lt_object_of_type(L, -1, &lt_stored_value_type);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return (lt_StoredValue *)object;
}

lt_StoredValue *lt_stored_value_of(lua_State *L, int index) {
  lt_StoredValue *stored = lt_stored_value_origin(L, index);
  return stored != NULL && stored->has_identity ? stored : NULL;
}

/* Remembers that the value on the top is what the state has of the stored one. */
static void stored_remember(lua_State *L, lt_StoredValue *stored) {
  lt_check_stack(L, 8);
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
  lt_StoredValue *stored;
  lt_DescribeValue describe;
} New;

/* The arguments: a New, the value. */
static int new_protected(lua_State *L) {
  New *new = lua_touserdata(L, 1);
  lt_StoredValue *stored = new->stored;
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  stored->message = lt_pack(L, 1, LT_COPY_STRINGS, new->describe);
  stored->size = lt_message_size(stored->message);
  lt_memory_add(stored->size);
  stored->has_identity = lua_isfunction(L, 2) && !is_plain_c_function(L, 2);
  lt_traced_init(&stored->traced, &lt_stored_value_type);
  if (stored->has_identity)
    stored_remember(L, stored);
  return 0;
}

lt_StoredValue *lt_stored_value_new(lua_State *L, int index, lt_DescribeValue describe) {
  New new = {NULL, describe};
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  new.stored = lt_memory_alloc_zeroed(sizeof(lt_StoredValue));
  if (new.stored == NULL)
    lt_raise_memory(L);
  lua_pushvalue(L, index);
  if (lt_protected_call(L, new_protected, &new, 1, 0) == LUA_OK)
    return new.stored;
  if (new.stored->message != NULL)
    lt_object_release(&new.stored->traced.object);
  else
    lt_memory_free(new.stored, sizeof(lt_StoredValue));
  lt_throw_again(L);
}

bool lt_stored_value_push_known(lua_State *L, const lt_StoredValue *stored) {
  if (!stored->has_identity || !lt_object_push_known(L, &stored->traced.object))
    return false;
  if (lua_getiuservalue(L, -1, 1) != LUA_TNIL) {
    lua_remove(L, -2);
    return true;
  }
  lua_pop(L, 2);
  return false;
}

void lt_stored_value_push(lua_State *L, lt_StoredValue *stored) {
  lt_check_stack(L, 8);
  if (lt_stored_value_push_known(L, stored))
    return;
  lt_unpack(L, stored->message, LT_KEEP_GLOBALS);
  if (stored->has_identity || lua_type(L, -1) == LUA_TTABLE)
    stored_remember(L, stored);
}
