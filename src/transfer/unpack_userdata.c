/*
** Userdata that have come by a rule in C: it makes them from the token in the message.
*/
#include "src/transfer/unpacker.h"

#include "src/object/exception.h"
#include "src/transfer/c_rules.h"

void lt_unpack_userdata(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  const lt_Reference *reference = lt_unpack_reference(unpacker);
  int top = lua_gettop(L);
  lt_check_stack(L, LUA_MINSTACK);
  reference->rule->receive(L, reference->target);
  if (lua_gettop(L) == top)
    lua_pushnil(L);
  lua_settop(L, top + 1);
  lt_unpack_keep(L, slot);
}

/* The same by a rule that has a name, and goes along. */
void lt_unpack_full_userdata(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  const lt_Reference *reference = lt_unpack_reference(unpacker);
  const lthread_Transfer2 *rule = lt_c_rule_of_functions(reference->rule);
  int top = lua_gettop(L);
  lt_check_stack(L, LUA_MINSTACK);
  rule->functions.receive(L, reference->target);
  if (lua_gettop(L) != top + 1)
    lt_raise(L, &lt_RuntimeError, "the transfer of a %s has pushed %d values, not 1",
             lt_c_rule_name(rule), lua_gettop(L) - top);
  lt_c_rule_take_over(L, rule);
  lt_unpack_keep(L, slot);
}
