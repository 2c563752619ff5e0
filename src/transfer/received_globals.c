#include "src/transfer/received_globals.h"

#include <stdbool.h>

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"

/* Where things lie on the stack of set_fields. */
enum { RECEIVED = 1, GLOBALS, SAVED, OVERRIDES, FIELD, FIELD_VALUE };

/*
** What is replaced goes into SAVED, as the values of its fields, or that table itself where there
** was nothing. Raises when there is no memory.
*/
static int set_fields(lua_State *L) {
  lua_pushnil(L);
  while (lua_next(L, RECEIVED)) {
    lua_pushvalue(L, FIELD);
    lua_pushvalue(L, FIELD);
    bool is_new = lua_rawget(L, GLOBALS) == LUA_TNIL;
    if (is_new || lua_toboolean(L, OVERRIDES)) {
      if (is_new)
        lua_copy(L, SAVED, -1);
      lua_rawset(L, SAVED);
      lua_pushvalue(L, FIELD);
      lua_pushvalue(L, FIELD_VALUE);
      lua_rawset(L, GLOBALS);
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

void lt_received_globals_set(lua_State *L, int received, lt_GlobalsRule rule) {
  lt_check_stack(L, 12);
  lua_pushglobaltable(L);
  lua_newtable(L);
  int saved = lua_gettop(L);
  lua_pushcfunction(L, set_fields);
  lua_pushvalue(L, received);
  lua_pushvalue(L, saved - 1);
  lua_pushvalue(L, saved);
  lua_pushboolean(L, rule == LT_OVERRIDE_GLOBALS);
  if (lua_pcall(L, 4, 0, 0) != LUA_OK) {
    restore_fields(L, saved - 1, saved);
    lua_error(L);
  }
  lua_settop(L, saved - 2);
}
