/*
** The option 'globals' of what sends functions: which globals go along.
*/
#include "lib/libs.h"

static void check_name(lua_State *L, int arg, lua_Integer number) {
  if (lua_type(L, -1) != LUA_TSTRING)
    lt_arg_error(L, &lt_TypeError, arg,
                 "a list of the names of globals expected, but number %I is a %s", number,
                 lt_push_type_name(L, -1));
}

int lt_opt_globals(lua_State *L, int arg) {
  if (lua_isboolean(L, arg) && lua_toboolean(L, arg)) {
    lua_pushnil(L);
    lua_replace(L, arg);
  }
  if (lua_isnil(L, arg) || lua_isboolean(L, arg))
    return arg;
  if (lua_type(L, arg) != LUA_TTABLE)
    lt_arg_type_error(L, arg, "false or a list of names");
  lua_Integer count = lt_check_list(L, arg);
  lua_newtable(L);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, arg, i);
    check_name(L, arg, i);
    lua_rawseti(L, -2, i);
  }
  lua_replace(L, arg);
  return arg;
}
