/*
** Functions of the module on how values cross.
*/
#include "lib/libs.h"

#include "src/transfer/transfer_rules.h"

/*
** register_transfer(class, f)
** From now on objects of the class cross by the rule f, in the calling thread and where they
** arrive: f(object) returns a function and its arguments, with which the receiver calls it to make
** the object. The class is the metatable of its objects, or the table that is its __index. nil
** takes the rule away. Raises TypeError for what is no table, or no function. Follows
** copyreg.pickle.
*/
static int register_transfer(lua_State *L) {
  lt_check_most(L, 0, 2);
  lt_check_type(L, 1, LUA_TTABLE);
  lt_check_any(L, 2);
  if (!lua_isnil(L, 2))
    lt_check_callable(L, 2);
  lt_transfer_rule_register(L);
  return 0;
}

const luaL_Reg lt_transfer_functions[] = {{"register_transfer", register_transfer}, {NULL, NULL}};
