/*
** The metatable of the proxies of shared objects has the very metamethods of the class, so Lua
** calls them as it always does. Only __index and __newindex come after the fields of the shared
** table; they do here what Lua does with those of a table.
*/
#include "lib/shared_object.h"

#include <string.h>

#include "lib/shared_fields.h"
#include "src/base/stack_room.h"
#include "src/object/arguments.h"

/*
** The metamethods that come after the table. Their upvalues behind the context: what the class has
** as __index or __newindex, and the fields that hold the class, or nil.
*/

enum { HANDLER = 2, CLASS_FIELDS };

enum { LONGEST_HANDLER_CHAIN = 2000 };

static int finish_index(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 1;
}

static int finish_newindex(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 0;
}

/*
** On the stack is a table, whose field was missing, and behind the other arguments, so many, its
** handler. Takes the handler for the next table, if that has one in its turn.
*/
static bool next_handler(lua_State *L, int arguments, const char *event) {
  int handler = arguments + 1;
  lua_settop(L, handler);
  if (luaL_getmetafield(L, handler, event) == LUA_TNIL)
    return false;
  lua_copy(L, handler, 1);
  lua_replace(L, handler);
  return true;
}

/* Pushes the field of the table at the top whose key is at 2; returns whether it has it. */
static bool push_raw_field(lua_State *L) {
  lua_pushvalue(L, 2);
  return lua_rawget(L, -2) != LUA_TNIL;
}

static int index_by_handler(lua_State *L) {
  enum { ARGUMENTS = 2, TARGET };
  for (int i = 0; i < LONGEST_HANDLER_CHAIN; i++) {
    if (lua_isfunction(L, TARGET)) {
      lua_insert(L, 1);
      lua_callk(L, ARGUMENTS, 1, 0, finish_index);
      return 1;
    }
    if (!lua_istable(L, TARGET)) {
      lua_pushvalue(L, 2);
      lua_gettable(L, TARGET);
      return 1;
    }
    if (push_raw_field(L) || !next_handler(L, ARGUMENTS, "__index")) {
      lua_settop(L, TARGET + 1);
      return 1;
    }
  }
  return luaL_error(L, "'__index' chain too long; possibly a loop");
}

static int object_index(lua_State *L) {
  lt_shared_index(L);
  if (!lua_isnil(L, -1))
    return 1;
  lua_settop(L, 2);
  if (!lua_isnil(L, lua_upvalueindex(CLASS_FIELDS))) {
    lua_pushvalue(L, lua_upvalueindex(CLASS_FIELDS));
    if (push_raw_field(L))
      return 1;
    lua_settop(L, 2);
  }
  lua_pushvalue(L, lua_upvalueindex(HANDLER));
  if (lua_isnil(L, -1))
    return 1;
  return index_by_handler(L);
}

static int object_newindex(lua_State *L) {
  enum { ARGUMENTS = 3, TARGET };
  lua_settop(L, ARGUMENTS);
  if (lt_shared_has(L))
    return lt_shared_newindex(L);
  lua_pushvalue(L, lua_upvalueindex(HANDLER));
  for (int i = 0; i < LONGEST_HANDLER_CHAIN; i++) {
    if (lua_isfunction(L, TARGET)) {
      lua_insert(L, 1);
      lua_callk(L, ARGUMENTS, 0, 0, finish_newindex);
      return 0;
    }
    bool is_table = lua_istable(L, TARGET);
    if (is_table && !push_raw_field(L) && next_handler(L, ARGUMENTS, "__newindex"))
      continue;
    lua_settop(L, TARGET);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    if (is_table)
      lua_rawset(L, TARGET);
    else
      lua_settable(L, TARGET);
    return 0;
  }
  return luaL_error(L, "'__newindex' chain too long; possibly a loop");
}

/*
** The metatable of the proxies. At 'hidden' and behind lie it, the class, and the fields that hold
** the class.
*/

/* Pushes the field of a metatable, which may be a shared table; pushes nothing if it has none. */
static bool push_metafield(lua_State *L, int metatable, const char *name) {
  lua_pushstring(L, name);
  int type = lua_istable(L, metatable) ? lua_rawget(L, metatable) : lua_gettable(L, metatable);
  if (type != LUA_TNIL)
    return true;
  lua_pop(L, 1);
  return false;
}

static bool is_for_proxies(const char *key) {
  static const char *const others[] = {"__index", "__newindex", "__gc", "__mode", "__metatable"};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    if (strcmp(key, others[i]) == 0)
      return false;
  return strncmp(key, "__", 2) == 0;
}

static void copy_metamethods(lua_State *L, int hidden) {
  lua_pushnil(L);
  while (lua_next(L, hidden + 1)) {
    if (lua_type(L, -2) == LUA_TSTRING && is_for_proxies(lua_tostring(L, -2))) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, hidden);
    } else {
      lua_pop(L, 1);
    }
  }
}

/* The same where the metatable is a shared table: all that Lua knows of. */
static void copy_shared_metamethods(lua_State *L, int hidden) {
  static const char *const names[] = {"__add", "__sub",  "__mul",      "__div",   "__mod",  "__pow",
                                      "__unm", "__idiv", "__band",     "__bor",   "__bxor", "__shl",
                                      "__shr", "__bnot", "__concat",   "__len",   "__eq",   "__lt",
                                      "__le",  "__call", "__tostring", "__pairs", "__name"};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (push_metafield(L, hidden + 1, names[i]))
      lua_setfield(L, hidden, names[i]);
}

static void set_closure(lua_State *L, int hidden, const char *event, lua_CFunction function) {
  bool has = push_metafield(L, hidden + 1, event);
  bool has_fields = function == object_index && !lua_isnil(L, hidden + 2);
  if (!has && !has_fields) { /* as a plain shared table */
    lt_object_push_metatable(L, &lt_shared_table_type);
    lua_getfield(L, -1, event);
    lua_setfield(L, hidden, event);
    lua_pop(L, 1);
    return;
  }
  if (!has)
    lua_pushnil(L);
  lt_context_push(L);
  lua_insert(L, -2);
  lua_pushvalue(L, hidden + 2);
  lua_pushcclosure(L, function, CLASS_FIELDS);
  lua_setfield(L, hidden, event);
}

static void fill_hidden(lua_State *L, int hidden) {
  if (lua_istable(L, hidden + 1))
    copy_metamethods(L, hidden);
  else
    copy_shared_metamethods(L, hidden);
  set_closure(L, hidden, "__index", object_index);
  set_closure(L, hidden, "__newindex", object_newindex);
  if (!push_metafield(L, hidden + 1, "__metatable"))
    lua_pushvalue(L, hidden + 1);
  lua_setfield(L, hidden, "__metatable");
}

/*
** Until it is complete, whoever asks for a field that the table lacks completes it: a finalizer
** may, or a rule, while the message is received with which the object comes. These have its owner
** as upvalue.
*/

static bool complete_hidden_metatable(lua_State *L);

static int complete_function(lua_State *L) {
  complete_hidden_metatable(L);
  return 0;
}

static int early_index(lua_State *L) {
  lt_shared_index(L);
  if (lua_isnil(L, -1) && complete_hidden_metatable(L)) {
    lua_settop(L, 2);
    lua_gettable(L, 1);
  }
  return 1;
}

static int early_newindex(lua_State *L) {
  lua_settop(L, 3);
  if (lt_shared_has(L) || !complete_hidden_metatable(L))
    return lt_shared_newindex(L);
  lua_settable(L, 1);
  return 0;
}

static void begin_hidden(lua_State *L, int hidden) {
  static const luaL_Reg early[] = {
      {"__index", early_index}, {"__newindex", early_newindex}, {NULL, NULL}};
  lua_pushvalue(L, hidden - 1);
  luaL_setfuncs(L, early, 1);
}

static const lt_HiddenMaker hidden_maker = {begin_hidden, fill_hidden, complete_function};

static bool complete_hidden_metatable(lua_State *L) {
  return lt_shared_metatable_complete(L, lua_upvalueindex(1), &hidden_maker);
}

lt_SharedMetatable *lt_shared_object_metatable(lua_State *L, int metatable, int class_fields) {
  return lt_shared_metatable_of(L, metatable, class_fields, &hidden_maker);
}

bool lt_shared_object_push_metatable(lua_State *L, lt_Object *object) {
  lt_Object *metatable = ((lt_SharedTable *)object)->metatable;
  if (metatable == NULL)
    return false;
  lt_shared_metatable_push_hidden(L, (lt_SharedMetatable *)metatable, object, &hidden_maker);
  return true;
}

/*
** Making an object
*/

void lt_shared_object_check_metatable(lua_State *L, int index, int arg) {
  static const char *const refused[][2] = {
      {"__gc", "every thread would call it; have a method that releases what the object owns"},
      {"__mode", "a shared table is not weak; remove a field when nobody needs it"}};
  if (lua_istable(L, index) && lt_class_of_metatable(L, index) != NULL)
    lt_arg_error(L, &lt_TypeError, arg, "an exception cannot become shared");
  for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
    if (!push_metafield(L, index, refused[i][0]))
      continue;
    if (lua_toboolean(L, -1))
      lt_arg_error(L, &lt_TypeError, arg, "the metatable of a shared object cannot have %s: %s",
                   refused[i][0], refused[i][1]);
    lua_pop(L, 1);
  }
}

/* Whether the table at 'index' has the metatable as a field. */
static bool has_as_field(lua_State *L, int index, int metatable) {
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_rawequal(L, -1, metatable)) {
      lua_pop(L, 2);
      return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

/* Whether the value on the top is the class that the metatable belongs to. */
static bool is_class(lua_State *L, int metatable) {
  if (lua_type(L, -1) != LUA_TTABLE)
    return false;
  if (lua_rawequal(L, -1, metatable))
    return true;
  if (!lua_getmetatable(L, -1))
    return false;
  lua_pop(L, 1);
  return has_as_field(L, lua_gettop(L), metatable);
}

void lt_shared_object_push_class_fields(lua_State *L, int object, int metatable) {
  lt_check_stack(L, 12);
  lua_newtable(L); /* first: within the walk nothing may run a finalizer */
  int fields = lua_gettop(L);
  bool found = false;
  if (lua_istable(L, object)) {
    lua_pushnil(L);
    while (lua_next(L, object)) {
      if (is_class(L, metatable)) {
        found = true;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, fields);
      }
      lua_pop(L, 1);
    }
  }
  if (!found) {
    lua_pushnil(L);
    lua_replace(L, fields);
  }
}

/* lua_next with the table at 'fields'. */
static void copy_fields_into(lua_State *L, int fields, int copy) {
  lua_pushnil(L);
  while (lua_next(L, fields)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
}

void lt_shared_object_begin_copy(lua_State *L, lt_SharedTable *shared) {
  int copy = lua_gettop(L);
  lt_check_stack(L, 12);
  if (!lt_shared_object_push_metatable(L, &shared->traced.object))
    return;
  if (lua_rawgeti(L, -1, LT_HIDDEN_CONSTANTS) != LUA_TNIL)
    copy_fields_into(L, copy + 2, copy);
  if (lua_rawgeti(L, copy + 1, LT_HIDDEN_METATABLE) == LUA_TTABLE) /* or it is a shared table */
    lua_setmetatable(L, copy);
  lua_settop(L, copy);
}
