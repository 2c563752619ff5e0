/*
** Rules in Lua: a function that says how objects of a class cross. It is called with the object and
** returns a function and its arguments, which the receiver calls to make the object anew.
**
** A rule belongs to a metatable: as its field "__transfer", or as registered in this state. A
** registered one goes along with the objects, so that a state that has received one can send it on.
*/
#ifndef lt_transfer_rules_h
#define lt_transfer_rules_h

#include <stdbool.h>

#include <lua.h>

typedef enum lt_RuleKind { LT_NO_RULE, LT_RULE_IN_FIELD, LT_REGISTERED_RULE } lt_RuleKind;

/*
** Pushes the rule of the objects with the metatable at 'metatable': a function, or whatever else
** that has been put there but a light userdata, which is a rule in C. Pushes nothing for
** LT_NO_RULE. Calls nothing.
*/
lt_RuleKind lt_transfer_rule_push(lua_State *L, int metatable);

/*
** Registers the rule on the top, or nil, for the class below it, and pops both. Classes of
** middleclass and MoonScript have the metatable of their objects in a field.
*/
void lt_transfer_rule_register(lua_State *L);

/*
** In the receiver: calls the function at 'function' with the arguments above it; in the place of
** all of them comes the object that it returns. Raises RuntimeError if that is nil.
*/
void lt_transfer_rule_make(lua_State *L, int function);

/* The object on the top has come with the rule at 'rule': it is registered, unless there is one. */
void lt_transfer_rule_take_over(lua_State *L, int rule);

#endif
