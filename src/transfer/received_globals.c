/*
** Two tables of a state tell where its globals are from, by name. 'moments': the stamp of one that
** was received; false for one of its own that was sent. 'values': what was received; the global is
** still that unless it has been assigned.
**
** In the tables of a message a global that is to be removed has the table itself as its value.
*/
#include "src/transfer/received_globals.h"

#include <stdatomic.h>

#include "src/base/stack_room.h"
#include "src/object/object.h"

static const char moments_key, values_key;

static void push_moments(lua_State *L) {
  lt_push_registered(L, &moments_key, NULL);
}

static void push_values(lua_State *L) {
  lt_push_registered(L, &values_key, "v");
}

/* Relaxed: who has received a message counts on after it, because all count in one variable. */
static lua_Integer next_moment(void) {
  static _Atomic(lua_Integer) last;
  return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

/* Pushes what the table on the top has for the name at 'name', in its place. */
static int look_up(lua_State *L, int name) {
  lua_pushvalue(L, name);
  int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

/* Whether the value at 'value' is still the one that was received as the global at 'name'. */
static bool is_unassigned(lua_State *L, int name, int value) {
  push_values(L);
  look_up(L, name);
  bool same = lua_rawequal(L, -1, value);
  lua_pop(L, 1);
  return same;
}

/*
** In the sender
*/

bool lt_received_globals_stamp(lua_State *L, lt_GlobalStamp *stamp) {
  int value = lua_gettop(L), name = value - 1;
  lt_check_stack(L, 8);
  push_moments(L);
  int known = look_up(L, name);
  *stamp = (lt_GlobalStamp){lua_tointeger(L, -1), LT_GLOBAL_PASSED_ON};
  lua_settop(L, value);
  if (known == LUA_TNIL && lua_isnil(L, value))
    return false;
  if (known == LUA_TNUMBER && is_unassigned(L, name, value))
    return true;
  *stamp = (lt_GlobalStamp){next_moment(), LT_GLOBAL_OWN};
  if (known == LUA_TNIL) {
    push_moments(L);
    lua_pushvalue(L, name);
    lua_pushboolean(L, 0);
    lua_rawset(L, -3);
    lua_settop(L, value);
  }
  return true;
}

/*
** In the receiver
*/

/* Whether the global at 'name', whose value is on the top, was received, is as it was, and older. */
static bool is_older(lua_State *L, int name, lua_Integer moment) {
  int value = lua_gettop(L);
  push_moments(L);
  bool older = look_up(L, name) == LUA_TNUMBER && lua_tointeger(L, -1) < moment;
  lua_settop(L, value);
  return older && is_unassigned(L, name, value);
}

/* The global that arrives lies at 'name' and behind it, the one that is there on the top. */
static bool takes_over(lua_State *L, int name, const lt_GlobalStamp *stamp, lt_GlobalsRule rule) {
  bool removes = lua_isnil(L, name + 1);
  if (lua_isnil(L, -1))
    return !removes;
  if (rule == LT_KEEP_GLOBALS || stamp->origin == LT_GLOBAL_GUESSED)
    return false;
  return (stamp->origin == LT_GLOBAL_OWN && !removes) || is_older(L, name, stamp->moment);
}

/* Sets the field at 'name' of the table at 'table' to the value on the top, and pops that. */
static void add_field(lua_State *L, int table, int name) {
  lua_pushvalue(L, name);
  lua_insert(L, -2);
  lua_rawset(L, table);
}

static void make_tables(lua_State *L, int place) {
  for (int i = place; i < place + LT_RECEIVED_GLOBALS_PLACES && lua_isnil(L, i); i++) {
    lua_newtable(L);
    lua_replace(L, i);
  }
}

void lt_received_globals_add(lua_State *L, int place, const lt_GlobalStamp *stamp,
                             lt_GlobalsRule rule) {
  int name = lua_gettop(L) - 1;
  lt_check_stack(L, 10);
  lua_pushglobaltable(L);
  look_up(L, name);
  if (takes_over(L, name, stamp, rule)) {
    make_tables(L, place);
    lua_pushvalue(L, lua_isnil(L, name + 1) ? place : name + 1);
    add_field(L, place, name);
    lua_pushinteger(L, stamp->moment);
    add_field(L, place + 1, name);
  }
  lua_settop(L, name - 1);
}

/* Where things lie on the stack of set_fields. */
enum { FROM = 1, INTO, SAVED, FIELD, FIELD_VALUE };

/*
** What is replaced goes into SAVED, as the values of its fields, or that table itself where there
** was nothing. What is to be removed stays for the time being. Raises when there is no memory.
*/
static int set_fields(lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, FROM)) {
    if (!lua_rawequal(L, FIELD_VALUE, FROM)) {
      lua_pushvalue(L, FIELD);
      lua_pushvalue(L, FIELD);
      if (lua_rawget(L, INTO) == LUA_TNIL)
        lua_copy(L, SAVED, -1);
      lua_rawset(L, SAVED);
      lua_pushvalue(L, FIELD);
      lua_pushvalue(L, FIELD_VALUE);
      lua_rawset(L, INTO);
    }
    lua_settop(L, FIELD);
  }
  return 0;
}

/* What is saved back into the table; it needs no memory, because the fields are there. */
static void restore_fields(lua_State *L, int table, int saved) {
  lua_pushnil(L);
  while (lua_next(L, saved)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    if (lua_rawequal(L, -1, saved)) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
    lua_rawset(L, table);
  }
}

/* Needs no memory either. */
static void remove_fields(lua_State *L, int from, int table) {
  lua_pushnil(L);
  while (lua_next(L, from)) {
    if (lua_rawequal(L, -1, from)) {
      lua_pushvalue(L, -2);
      lua_pushnil(L);
      lua_rawset(L, table);
    }
    lua_pop(L, 1);
  }
}

void lt_received_globals_set(lua_State *L, int place) {
  enum { TABLES = 3 };
  const int from[TABLES] = {place, place, place + 1};
  if (!lua_istable(L, place))
    return;
  lt_check_stack(L, 20);
  int first = lua_gettop(L) + 1;
  lua_pushglobaltable(L);
  push_values(L);
  push_moments(L);
  int saved = first + TABLES;
  for (int i = 0; i < TABLES; i++)
    lua_newtable(L);
  for (int i = 0; i < TABLES; i++) {
    lua_pushcfunction(L, set_fields);
    lua_pushvalue(L, from[i]);
    lua_pushvalue(L, first + i);
    lua_pushvalue(L, saved + i);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
      for (; i >= 0; i--)
        restore_fields(L, first + i, saved + i);
      lua_error(L);
    }
  }
  for (int i = 0; i < TABLES; i++)
    remove_fields(L, from[i], first + i);
  lua_settop(L, first - 1);
  for (int i = place; i < place + LT_RECEIVED_GLOBALS_PLACES; i++) {
    lua_pushnil(L);
    lua_replace(L, i);
  }
}
