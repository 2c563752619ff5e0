/*
** Rules in C: how userdata of a type cross. A rule is in a field of the type's metatable, put there
** by who makes the type, or is set by somebody else: in one state for a metatable, from where it goes
** along with the userdata, or for the name of a type, in all states of a runtime.
*/
#ifndef lt_c_rules_h
#define lt_c_rules_h

#include <stdbool.h>

#include "lthread.h"

/*
** 'functions' are those of 'full', if that is not NULL: a rule of the later kind, which has more.
*/
typedef struct lt_CRule {
  const lthread_Transfer *functions;
  const lthread_Transfer2 *full;
} lt_CRule;

/* To which runtime a state belongs; given by lthread.c. NULL: to none. */
typedef const void *(*lt_RuntimeOf)(lua_State *L);

extern lt_RuntimeOf lt_c_rules_runtime_of;

/* The rule of the userdata at 'index'; false: there is none. Calls nothing. */
bool lt_c_rule_find(lua_State *L, int index, lt_CRule *rule);

/* NULL, or what is wrong with a rule, with two %d: its size, and the least that it may have. */
const char *lt_c_rule_complaint(const lthread_Transfer2 *rule);
int lt_c_rule_size(const lthread_Transfer2 *rule);
int lt_c_rule_least_size(void);

static inline const lthread_Transfer2 *lt_c_rule_of_functions(const lthread_Transfer *functions) {
  return (const lthread_Transfer2 *)(const void *)((const char *)functions -
                                                   offsetof(lthread_Transfer2, functions));
}

/* Whether it tells what its tokens refer to. */
static inline bool lt_c_rule_traverses(const lthread_Transfer2 *rule) {
  return rule->size >= sizeof(lthread_Transfer2) && rule->traverse != NULL;
}

/* Its name, for texts. */
static inline const char *lt_c_rule_name(const lthread_Transfer2 *rule) {
  return rule->name == NULL ? "?" : rule->name;
}

/* NULL as rule takes it away. Both may raise for want of memory. */
void lt_c_rule_set_for_metatable(lua_State *L, int metatable, const lthread_Transfer2 *rule);
void lt_c_rule_set_for_name(lua_State *L, const char *name, const lthread_Transfer2 *rule);

/* The userdata on the top has come with the rule: it is set for its metatable, unless it has one. */
void lt_c_rule_take_over(lua_State *L, const lthread_Transfer2 *rule);

/* The runtime has ended: what was set for names in it is forgotten. */
void lt_c_rules_forget(const void *runtime);

void lt_c_rules_after_fork(void);

#endif
