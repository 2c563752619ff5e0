/*
** The functions behind the inline ones of lthread.h. A module may have been compiled with an older
** header, whose structures are the beginnings of these, or with a newer one, which looks at the size.
*/
#include "lib/module_functions.h"

#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/thread/section.h"
#include "src/transfer/c_rules.h"

/*
** Blocking sections
*/

static int blocking_begin(lua_State *L, const char *name, void (*wake)(void *context),
                          void *context) {
  return lt_section_begin(L, name, wake, context);
}

static int blocking_end(lua_State *L, int index) {
  return lt_section_end(L, index);
}

/*
** Rules of transfer
*/

static void check_rule(lua_State *L, const lthread_Transfer2 *rule) {
  const char *complaint = rule == NULL ? NULL : lt_c_rule_complaint(rule);
  if (complaint == NULL)
    return;
  lt_check_stack(L, 3);
  lt_raise(L, &lt_ValueError, "a transfer rule can't be set: %s",
           lua_pushfstring(L, complaint, lt_c_rule_size(rule), lt_c_rule_least_size()));
}

static int set_transfer(lua_State *L, const char *type_name, const lthread_Transfer2 *rule) {
  if (lt_thread_of(L) == NULL)
    return 0;
  check_rule(L, rule);
  lt_c_rule_set_for_name(L, type_name, rule);
  return 1;
}

static int set_transfer_at(lua_State *L, int index, const lthread_Transfer2 *rule) {
  if (lt_thread_of(L) == NULL)
    return 0;
  check_rule(L, rule);
  if (!lua_istable(L, index))
    lt_raise(L, &lt_TypeError, "a transfer rule is set for a metatable, not for a %s",
             luaL_typename(L, index));
  lt_c_rule_set_for_metatable(L, index, rule);
  return 1;
}

/*
** Objects
*/

static lthread_Object *object_at(lua_State *L, int index) {
  lt_Object *object = lt_object_at(L, index);
  if (object != NULL)
    lt_object_retain(object);
  return (lthread_Object *)object;
}

static void object_push(lua_State *L, lthread_Object *object) {
  lt_object_push(L, (lt_Object *)object);
}

static void object_retain(lthread_Object *object) {
  lt_object_retain((lt_Object *)object);
}

static void object_release(lthread_Object *object) {
  lt_object_release((lt_Object *)object);
}

const lthread_Functions lt_module_functions = {sizeof(lthread_Functions),
                                               blocking_begin,
                                               blocking_end,
                                               set_transfer,
                                               set_transfer_at,
                                               object_at,
                                               object_push,
                                               object_retain,
                                               object_release};
