/*
** Shared tables, as Lua sees them: a userdata that behaves like a table.
*/
#include "lib/libs.h"

#include "src/fetch.h"
#include "src/share.h"

static lt_Shared *check_shared(lua_State *L, int arg) {
  return (lt_Shared *)lt_check_object(L, arg, &lt_shared_type);
}

/*
** shared([t]) -> table
** A new shared table. With a plain table it has the same fields, and the tables in it become shared
** tables too, once each. A shared table is returned as it is. Raises TypeError for what can't
** be shared; then nothing has changed.
*/
static int new_shared(lua_State *L) {
  const lt_Thread *self = lt_self(L);
  lt_Shared *shared;
  lua_settop(L, 1);
  if (lt_object_of_type(L, 1, &lt_shared_type) != NULL)
    return 1;
  if (lua_isnil(L, 1)) {
    shared = lt_shared_new(false);
    if (shared == NULL)
      return lt_raise_memory(L);
  } else {
    lt_check_type(L, 1, LUA_TTABLE);
    if (lua_getmetatable(L, 1))
      return lt_arg_error(L, &lt_TypeError, 1, "a table with a metatable cannot become shared");
    shared = lt_share_table(L, self, 1);
  }
  lt_object_push_own(L, &shared->traced.object);
  lt_collect_if_due();
  return 1;
}

LT_CLASS(lt_SharedType, "_thread.shared", NULL, new_shared);

/*
** Fields
*/

/* Pushes what the state's own globals have under the key at 'index'. */
static void push_own_global(lua_State *L, int index) {
  lua_pushglobaltable(L);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
}

/* Of the table at 1, under the key at 2. */
static void push_field(lua_State *L, const lt_Thread *self, lt_Shared *shared, const lt_Key *key) {
  lt_Taken taken;
  lt_take_field(L, self, shared, key, &taken);
  bool kept = lt_value_kept(&taken.value) != NULL;
  lt_push_taken(L, &taken, 1);
  if (kept)
    lt_keep(L, self, 1, 2);
}

static int shared_index(lua_State *L) {
  lt_Shared *shared = check_shared(L, 1);
  lt_Key key;
  if (lt_key_at(L, 2, &key))
    push_field(L, lt_self(L), shared, &key);
  else
    lua_pushnil(L);
  if (shared->is_globals && lua_isnil(L, -1))
    push_own_global(L, 2);
  return 1;
}

static int shared_newindex(lua_State *L) {
  lt_Shared *shared = check_shared(L, 1);
  const lt_Thread *self = lt_self(L);
  lt_Key key;
  lt_check_key(L, 2, &key);
  lt_Value value = lt_nil;
  if (lua_isinteger(L, 3)) { /* the fast way */
    value.kind = LT_INTEGER;
    value.as.integer = lua_tointeger(L, 3);
  } else {
    value = lt_share_field(L, self, 1, 2, 3);
  }
  bool kept = lt_value_kept(&value) != NULL;
  lt_Set set = lt_shared_set(shared, self, &key, &value);
  if (set == LT_NOT_SET)
    return lt_raise_memory(L);
  if (set == LT_SET_OVER_OBJECT && !kept)
    lt_forget(L, 1, 2);
  if (value.kind == LT_OBJECT)
    lt_collect_if_due();
  return 0;
}

static int shared_len(lua_State *L) {
  lt_Shared *shared = check_shared(L, 1);
  lt_ReaderSlot *slot = lt_shared_begin_read(shared, lt_self(L));
  lua_Integer length = lt_table_length(&shared->table);
  lt_shared_end_read(shared, slot);
  lua_pushinteger(L, length);
  return 1;
}

/*
** Walking. The iterator's upvalues are the context, the table's proxy and a cursor.
*/

static int next_field(lua_State *L) {
  lt_Shared *shared = (lt_Shared *)lt_object_at(L, lua_upvalueindex(2));
  lt_Cursor *cursor = lua_touserdata(L, lua_upvalueindex(3));
  const lt_Thread *self = lt_self(L);
  lt_Taken taken[2];
  lt_Value key;
  lt_Value value;
  lua_settop(L, 0);
  lt_ReaderSlot *slot = lt_shared_begin_read(shared, self);
  bool found = lt_table_next(&shared->table, cursor, &key, &value);
  if (found) {
    lt_take(L, &key, &taken[0]);
    lt_take(L, &value, &taken[1]);
  }
  lt_shared_end_read(shared, slot);
  if (!found) {
    lua_pushnil(L);
    return 1;
  }
  bool kept = lt_value_kept(&taken[1].value) != NULL;
  lt_push_taken(L, taken, 2);
  if (kept)
    lt_keep(L, self, lua_upvalueindex(2), lua_gettop(L) - 1);
  return 2;
}

static int shared_pairs(lua_State *L) {
  lt_Shared *shared = check_shared(L, 1);
  const lt_Thread *self = lt_self(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lt_Cursor *cursor = lua_newuserdatauv(L, sizeof(*cursor), 0);
  lt_ReaderSlot *slot = lt_shared_begin_read(shared, self);
  lt_table_begin(&shared->table, cursor);
  lt_shared_end_read(shared, slot);
  lua_pushcclosure(L, next_field, 3);
  lua_pushvalue(L, 1);
  return 2;
}

static int shared_tostring(lua_State *L) {
  lua_pushfstring(L, "<_thread.shared object at %p>", (void *)check_shared(L, 1));
  return 1;
}

static const luaL_Reg metamethods[] = {
    {"__index", shared_index}, {"__newindex", shared_newindex}, {"__len", shared_len},
    {"__pairs", shared_pairs}, {"__tostring", shared_tostring}, {NULL, NULL}};

const lt_Type lt_shared_type = {"_thread.shared", &lt_SharedType,    NULL,
                                metamethods,      lt_shared_destroy, &lt_shared_tracing};
