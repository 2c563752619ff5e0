/*
** Shared tables, as Lua sees them: a userdata that behaves like a table.
*/
#include "lib/libs.h"

#include "lib/shared_fields.h"
#include "lib/shared_object.h"
#include "src/base/lua_version.h"
#include "src/base/shared_memory.h"
#include "src/shared/to_shared.h"

/*
** A new table is garbage when Lua has collected its proxy, but Lua sees only the proxy. It is told
** of the rest, so that its collector runs as often as for a plain table of that size.
*/
static void tell_lua(lua_State *L, size_t bytes) {
  enum { ENOUGH = 1 << 16 };
  static PLAT_THREAD_LOCAL size_t untold;
  untold += bytes;
  if (untold < ENOUGH)
    return;
  if (lua_gc(L, LUA_GCISRUNNING))
    lt_collector_step(L, untold);
  untold = 0;
}

/* What a shared table is made of: the table, and the metatable that it is to have. */
enum { GIVEN_TABLE = 1, GIVEN_METATABLE, GIVEN_CLASS_FIELDS };

static lt_SharedTable *make_shared(lua_State *L, int class_fields) {
  lt_BiasUser user = lt_bias_user(lt_self(L));
  if (!lua_isnil(L, GIVEN_TABLE))
    return lt_to_shared_table(L, user, GIVEN_TABLE, class_fields);
  lt_SharedTable *shared = lt_shared_table_new(false);
  if (shared == NULL)
    lt_raise_memory(L);
  return shared;
}

static lt_SharedTable *make_shared_object(lua_State *L, int arg) {
  lt_shared_object_check_metatable(L, GIVEN_METATABLE, arg);
  lt_shared_object_push_class_fields(L, GIVEN_TABLE, GIVEN_METATABLE);
  lt_SharedMetatable *metatable =
      lt_shared_object_metatable(L, GIVEN_METATABLE, GIVEN_CLASS_FIELDS);
  lt_SharedTable *shared =
      make_shared(L, lua_isnil(L, GIVEN_CLASS_FIELDS) ? 0 : GIVEN_CLASS_FIELDS);
  lt_shared_table_set_metatable(shared, &metatable->traced.object);
  return shared;
}

/* Of what its caller has given, which is no shared table. */
static lt_SharedTable *make_as_given(lua_State *L) {
  if (!lua_isnil(L, GIVEN_TABLE))
    lt_check_type(L, GIVEN_TABLE, LUA_TTABLE);
  if (!lua_isnil(L, GIVEN_METATABLE)) {
    if (lt_object_of_type(L, GIVEN_METATABLE, &lt_shared_table_type) == NULL)
      lt_check_type(L, GIVEN_METATABLE, LUA_TTABLE);
    return make_shared_object(L, GIVEN_METATABLE);
  }
  if (!lua_istable(L, GIVEN_TABLE) || !lua_getmetatable(L, GIVEN_TABLE))
    return make_shared(L, 0);
  lua_replace(L, GIVEN_METATABLE);
  return make_shared_object(L, GIVEN_TABLE);
}

/*
** shared([t [, metatable]]) -> table
** A new shared table. With a plain table it has the same fields, and the tables in it become
** shared tables too, once each. With a metatable, or that of t, it is an object in every thread. A
** shared table is returned as it is. Raises TypeError for what can't be shared; then nothing has
** changed.
*/
static int new_shared(lua_State *L) {
  size_t taken = lt_memory_taken();
  lua_settop(L, GIVEN_METATABLE);
  if (lt_object_of_type(L, GIVEN_TABLE, &lt_shared_table_type) != NULL) {
    if (!lua_isnil(L, GIVEN_METATABLE))
      return lt_arg_error(L, &lt_TypeError, GIVEN_METATABLE,
                          "a shared table keeps the metatable that it was made with");
    lua_settop(L, GIVEN_TABLE);
    return 1;
  }
  lt_object_push_own(L, &make_as_given(L)->traced.object);
  tell_lua(L, lt_memory_taken() - taken);
  lt_cycles_collect_if_due();
  return 1;
}

LT_CLASS(lt_SharedType, "_thread.shared", NULL, new_shared);

static int shared_tostring(lua_State *L) {
  const void *shared = lt_check_object(L, 1, &lt_shared_table_type);
  if (luaL_getmetafield(L, 1, "__name") != LUA_TSTRING)
    lua_pushstring(L, lt_shared_table_type.name);
  lua_pushfstring(L, "<%s object at %p>", lua_tostring(L, -1), shared);
  return 1;
}

/*
** Raw access, for methods of objects: to the fields of a shared table, without its metatable. A
** plain table may take its place.
*/

static bool is_plain_argument(lua_State *L) {
  lt_check_any(L, 1);
  if (lua_istable(L, 1))
    return true;
  if (lt_object_of_type(L, 1, &lt_shared_table_type) == NULL)
    lt_arg_type_error(L, 1, "table or shared table");
  return false;
}

/* rawget(t, key) -> value. The field, without __index. */
static int raw_get(lua_State *L) {
  bool plain = is_plain_argument(L);
  lt_check_any(L, 2);
  lua_settop(L, 2);
  if (!plain)
    return lt_shared_get(L);
  lua_rawget(L, 1);
  return 1;
}

/* rawset(t, key, value) -> t. Sets the field, without __newindex. Raises as t[key] = value does. */
static int raw_set(lua_State *L) {
  bool plain = is_plain_argument(L);
  lt_check_any(L, 3);
  lua_settop(L, 3);
  if (plain)
    lua_rawset(L, 1);
  else
    lt_shared_newindex(L);
  lua_settop(L, 1);
  return 1;
}

/* rawlen(t) -> integer. The length, without __len. */
static int raw_len(lua_State *L) {
  if (!is_plain_argument(L))
    return lt_shared_len(L);
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
  return 1;
}

static int plain_next(lua_State *L) {
  lua_settop(L, 2);
  return lua_next(L, 1) ? 2 : 0;
}

/* rawpairs(t) -> what a for loop takes. Its own fields, without __pairs. */
static int raw_pairs(lua_State *L) {
  if (!is_plain_argument(L))
    return lt_shared_pairs(L);
  lua_pushcfunction(L, plain_next);
  lua_pushvalue(L, 1);
  return 2;
}

const luaL_Reg lt_raw_functions[] = {{"rawget", raw_get},
                                     {"rawset", raw_set},
                                     {"rawlen", raw_len},
                                     {"rawpairs", raw_pairs},
                                     {NULL, NULL}};

static const luaL_Reg shared_metamethods[] = {
    {"__index", lt_shared_index}, {"__newindex", lt_shared_newindex}, {"__len", lt_shared_len},
    {"__pairs", lt_shared_pairs}, {"__tostring", shared_tostring},    {NULL, NULL}};

const lt_Face lt_shared_face = {&lt_SharedType, NULL, shared_metamethods,
                                lt_shared_object_push_metatable, NULL};
