#include "src/transfer/transfer_rules.h"

#include <lauxlib.h>

#include "lthread.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/object/object.h"

/* In the registry: a weak table of the rules, by metatable or class; nil before the first. */
static const char rules_key;

/* The rule for the table on the top, which it replaces, in the table at 'rules'. */
static bool find_rule(lua_State *L, int rules) {
  if (lua_istable(L, -1) && lua_rawget(L, rules) != LUA_TNIL)
    return true;
  lua_pop(L, 1);
  return false;
}

/* A class may be the metatable of its objects, or what their metatable falls back on. */
static bool push_registered_rule(lua_State *L, int metatable) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &rules_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    return false;
  }
  int rules = lua_gettop(L);
  lua_pushvalue(L, metatable);
  bool found = find_rule(L, rules);
  if (!found) {
    lua_pushliteral(L, "__index");
    lua_rawget(L, metatable);
    found = find_rule(L, rules);
  }
  lua_remove(L, rules);
  return found;
}

lt_RuleKind lt_transfer_rule_push(lua_State *L, int metatable) {
  lt_check_stack(L, 6);
  metatable = lua_absindex(L, metatable);
  if (push_registered_rule(L, metatable))
    return LT_REGISTERED_RULE;
  lua_pushliteral(L, LTHREAD_TRANSFER);
  lua_rawget(L, metatable);
  if (lua_toboolean(L, -1) && !lua_islightuserdata(L, -1))
    return LT_RULE_IN_FIELD;
  lua_pop(L, 1);
  return LT_NO_RULE;
}

/* For the table on the top, which it pops. The rule lies below the table of rules. */
static void set_rule(lua_State *L) {
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
}

void lt_transfer_rule_register(lua_State *L) {
  static const char *const instance_metatables[] = {"__instanceDict", "__base"};
  lt_check_stack(L, 8);
  int class_index = lua_gettop(L) - 1;
  lt_push_registered(L, &rules_key, "k");
  lua_pushvalue(L, class_index);
  set_rule(L);
  for (size_t i = 0; i < sizeof(instance_metatables) / sizeof(instance_metatables[0]); i++) {
    lua_pushstring(L, instance_metatables[i]);
    if (lua_rawget(L, class_index) == LUA_TTABLE)
      set_rule(L);
    else
      lua_pop(L, 1);
  }
  lua_settop(L, class_index - 1);
}

/* As constructors do, it may have returned nil and the reason. */
static _Noreturn void refuse_nil(lua_State *L, int results) {
  const char *reason = lua_isnoneornil(L, results + 1) ? "" : luaL_tolstring(L, results + 1, NULL);
  lt_raise(L, &lt_RuntimeError, "the function of a transfer rule has made no object%s%s",
           reason[0] == '\0' ? "" : ": ", reason);
}

void lt_transfer_rule_make(lua_State *L, int function) {
  lua_call(L, lua_gettop(L) - function, LUA_MULTRET);
  lt_check_stack(L, LUA_MINSTACK);
  if (lua_isnoneornil(L, function))
    refuse_nil(L, function);
  lua_settop(L, function);
}

void lt_transfer_rule_take_over(lua_State *L, int rule) {
  int object = lua_gettop(L);
  if (lua_getmetatable(L, object) && lt_transfer_rule_push(L, -1) == LT_NO_RULE) {
    lua_pushvalue(L, rule);
    lt_transfer_rule_register(L);
  }
  lua_settop(L, object);
}
