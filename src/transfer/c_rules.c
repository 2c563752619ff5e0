/*
** Shared state: the list of those that are set for names, under the guard of this file, within which
** nothing of Lua is called. 'named_count' is their number, atomic: while there are none, nobody takes
** the guard. 'set_for_metatables': one was set for a metatable, in whatever state.
*/
#include "src/transfer/c_rules.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/object/object.h"

#define MOST_BYTES ((size_t)4096) /* more is no size, but was never set */

typedef struct NamedRule {
  struct NamedRule *next;
  const void *runtime;
  const lthread_Transfer2 *rule;
  char name[];
} NamedRule;

lt_RuntimeOf lt_c_rules_runtime_of;

/* In the registry: a weak table of rules, as light userdata, by metatable; nil before the first. */
static const char c_rules_key;

static plat_Mutex named_guard = PLAT_MUTEX_INIT;
static NamedRule *named_rules;
static atomic_size_t named_count;
static atomic_bool set_for_metatables;

/*
** What is wrong with one
*/

int lt_c_rule_size(const lthread_Transfer2 *rule) {
  return rule->size > MOST_BYTES ? -1 : (int)rule->size;
}

int lt_c_rule_least_size(void) {
  return (int)offsetof(lthread_Transfer2, traverse);
}

const char *lt_c_rule_complaint(const lthread_Transfer2 *rule) {
  if (rule->size < (size_t)lt_c_rule_least_size() || rule->size > MOST_BYTES)
    return "the size of its lthread_Transfer2 is %d, not sizeof(lthread_Transfer2) (at least %d)";
  if (rule->functions.send == NULL || rule->functions.receive == NULL ||
      rule->functions.discard == NULL)
    return "its lthread_Transfer2 (size %d, at least %d) lacks send, receive or discard";
  return NULL;
}

/*
** Names
*/

/* Under the guard: the place of that entry in the list, or the last one. */
static NamedRule **find_place(const void *runtime, const char *name) {
  NamedRule **place = &named_rules;
  while (*place != NULL && ((*place)->runtime != runtime || strcmp((*place)->name, name) != 0))
    place = &(*place)->next;
  return place;
}

static const lthread_Transfer2 *find_rule_named(const void *runtime, const char *name) {
  plat_mutex_lock(&named_guard);
  const NamedRule *found = *find_place(runtime, name);
  const lthread_Transfer2 *rule = found == NULL ? NULL : found->rule;
  plat_mutex_unlock(&named_guard);
  return rule;
}

/* Under the guard. */
static void take_named_out(NamedRule **place) {
  NamedRule *entry = *place;
  *place = entry->next;
  free(entry);
  atomic_fetch_sub(&named_count, 1);
}

void lt_c_rule_set_for_name(lua_State *L, const char *name, const lthread_Transfer2 *rule) {
  const void *runtime = lt_c_rules_runtime_of(L);
  size_t bytes = strlen(name) + 1;
  NamedRule *entry = rule == NULL ? NULL : malloc(sizeof(*entry) + bytes);
  if (rule != NULL && entry == NULL)
    lt_raise_memory(L);
  plat_mutex_lock(&named_guard);
  NamedRule **place = find_place(runtime, name);
  if (*place != NULL)
    take_named_out(place);
  if (entry != NULL) {
    *entry = (NamedRule){named_rules, runtime, rule};
    memcpy(entry->name, name, bytes);
    named_rules = entry;
    atomic_fetch_add(&named_count, 1);
  }
  plat_mutex_unlock(&named_guard);
}

void lt_c_rules_forget(const void *runtime) {
  plat_mutex_lock(&named_guard);
  NamedRule **place = &named_rules;
  while (*place != NULL) {
    if ((*place)->runtime == runtime)
      take_named_out(place);
    else
      place = &(*place)->next;
  }
  plat_mutex_unlock(&named_guard);
}

void lt_c_rules_after_fork(void) {
  plat_mutex_init(&named_guard);
}

/*
** Looking for one. The metatable is on the top
*/

/* The name is that of luaL_newmetatable, under which the registry has the metatable. */
static const lthread_Transfer2 *find_by_name(lua_State *L) {
  const lthread_Transfer2 *rule = NULL;
  lua_pushliteral(L, "__name");
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    lua_pushvalue(L, -1);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_rawequal(L, -1, -3))
      rule = find_rule_named(lt_c_rules_runtime_of(L), lua_tostring(L, -2));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return rule;
}

static const lthread_Transfer2 *find_by_metatable(lua_State *L) {
  const lthread_Transfer2 *rule = NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &c_rules_key) == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    rule = (const lthread_Transfer2 *)lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return rule;
}

/* A light userdata; anything else under the name is no rule in C. */
static const void *find_in_field(lua_State *L, const char *field) {
  const void *rule = NULL;
  lua_pushstring(L, field);
  lua_rawget(L, -2);
  if (lua_islightuserdata(L, -1))
    rule = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return rule;
}

bool lt_c_rule_find(lua_State *L, int index, lt_CRule *rule) {
  lt_check_stack(L, 6);
  *rule = (lt_CRule){NULL, NULL};
  if (!lua_getmetatable(L, index))
    return false;
  if (atomic_load(&set_for_metatables))
    rule->full = find_by_metatable(L);
  if (rule->full == NULL && atomic_load(&named_count) > 0)
    rule->full = find_by_name(L);
  if (rule->full == NULL)
    rule->functions = (const lthread_Transfer *)find_in_field(L, LTHREAD_TRANSFER);
  if (rule->full == NULL && rule->functions == NULL)
    rule->full = (const lthread_Transfer2 *)find_in_field(L, LTHREAD_TRANSFER2);
  if (rule->full != NULL)
    rule->functions = &rule->full->functions;
  lua_pop(L, 1);
  return rule->functions != NULL;
}

/*
** Metatables
*/

void lt_c_rule_set_for_metatable(lua_State *L, int metatable, const lthread_Transfer2 *rule) {
  lt_check_stack(L, 6);
  metatable = lua_absindex(L, metatable);
  lt_push_registered(L, &c_rules_key, "k");
  atomic_store(&set_for_metatables, true);
  lua_pushvalue(L, metatable);
  if (rule == NULL)
    lua_pushnil(L);
  else
    lua_pushlightuserdata(L, (void *)rule);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void lt_c_rule_take_over(lua_State *L, const lthread_Transfer2 *rule) {
  lt_CRule present;
  if (lua_type(L, -1) != LUA_TUSERDATA || lt_c_rule_find(L, -1, &present) ||
      !lua_getmetatable(L, -1))
    return;
  lt_c_rule_set_for_metatable(L, -1, rule);
  lua_pop(L, 1);
}
