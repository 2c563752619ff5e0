/*
** Functions of the module on how values cross.
*/
#include "lib/libs.h"

#include "src/transfer/class_record.h"
#include "src/transfer/transfer_rules.h"

/*
** register_transfer(class, f) -> class
** From now on objects of the class cross by the rule f, in the calling thread and where they
** arrive: f(object) returns a function and its arguments, with which the receiver calls it to make
** the object. The class is the metatable of its objects, the table that is its __index, or what
** leads to it as a class of middleclass does. nil takes the rule away. Raises TypeError for what is
** no table, or no function. Follows copyreg.pickle.
*/
static int register_transfer(lua_State *L) {
  lt_check_most(L, 0, 2);
  lt_check_type(L, 1, LUA_TTABLE);
  lt_check_any(L, 2);
  if (!lua_isnil(L, 2))
    lt_check_callable(L, 2);
  lua_pushvalue(L, 1);
  lua_insert(L, 1);
  lt_transfer_rule_register(L);
  return 1;
}

/*
** register_class(name, class) -> class
** From now on the class, or the metatable, crosses as this name: a state that has registered one of
** its own under the name gets that; another gets a copy, which is registered there. Raises
** ValueError if the thread has registered another class under the name, or the class has another
** name, or the name contains a zero byte; TypeError for what is no string, or no table.
*/
static int register_class(lua_State *L) {
  lt_check_most(L, 0, 2);
  const char *name = lt_check_string(L, 1, NULL);
  lt_check_type(L, 2, LUA_TTABLE);
  lt_class_register(L, 2, name);
  return 1;
}

const luaL_Reg lt_transfer_functions[] = {
    {"register_class", register_class}, {"register_transfer", register_transfer}, {NULL, NULL}};
