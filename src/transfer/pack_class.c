/*
** Classes. A message either refers to the definitions of its classes, or holds its classes as
** whole: then whatever they share with the rest of the message (a variable that a method and a
** function have in common, a table) is shared in the receiver. It holds them whole if it has Lua
** functions, and the first time that the class is sent.
*/
#include "src/transfer/packer.h"

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/class_definition.h"
#include "src/transfer/class_trace.h"
#include "src/transfer/transfer_rules.h"

void lt_pack_classes_whole(lt_Packer *packer) {
  packer->whole_classes = true;
  packer->starts_over = true;
}

void lt_pack_class_found(lt_Packer *packer) {
  bool is_known = packer->depth > 0 && packer->frames[packer->depth - 1].is_class;
  if (is_known || packer->looks_for_classes)
    return;
  packer->looks_for_classes = true;
  packer->starts_over = true;
}

void lt_pack_class_look(lua_State *L, lt_Packer *packer, int table) {
  const void *metatable = lua_topointer(L, -1);
  lua_pushliteral(L, "__call");
  bool is_plain = lua_rawget(L, -2) == LUA_TNIL;
  lua_pop(L, 1);
  if (is_plain && packer->anchors == 0)
    packer->plain_metatable = metatable;
  else if (!is_plain && lt_class_leads_to_instances(L, table))
    lt_pack_class_found(packer);
}

/*
** The definition
*/

/* The value on the top, which it pops, joins the list unless the table at 'seen' has it. */
static void add_once(lua_State *L, int list, int seen) {
  lua_pushvalue(L, -1);
  if (lua_rawget(L, seen) == LUA_TNIL) {
    lua_pushvalue(L, -2);
    lua_pushboolean(L, true);
    lua_rawset(L, seen);
    lua_pushvalue(L, -2);
    lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
  }
  lua_pop(L, 2);
}

/* Adds what is in the list on the top, or nil, and pops that. */
static void add_all(lua_State *L, int list, int seen) {
  int others = lua_gettop(L);
  lua_Integer count = lua_isnil(L, others) ? 0 : (lua_Integer)lua_rawlen(L, others);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, others, i);
    add_once(L, list, seen);
  }
  lua_settop(L, others - 1);
}

/* The record is on the top: finds all classes that it leads to, and their variables. */
static void make_cluster(lua_State *L, lt_Packer *packer) {
  int record = lua_gettop(L), cluster = record + 1, variables = record + 2, seen = record + 3;
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushvalue(L, record);
  add_once(L, cluster, seen);
  for (lua_Integer i = 1; lua_rawgeti(L, cluster, i) != LUA_TNIL; i++) {
    lt_class_trace_verify(L, packer);
    if (packer->starts_over)
      break;
    lt_class_trace_push(L, -1, LT_TRACE_VARIABLES);
    add_all(L, variables, seen);
    lt_class_trace_push(L, -1, LT_TRACE_OTHERS);
    add_all(L, cluster, seen);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, cluster);
  lua_setiuservalue(L, record, LT_RECORD_CLUSTER);
  lua_pushvalue(L, variables);
  lua_setiuservalue(L, record, LT_RECORD_VARIABLES);
  lua_settop(L, record);
}

/* The record is on the top: when one of the classes of its cluster was last found changed. */
static uint64_t last_change(lua_State *L, lt_Packer *packer) {
  uint64_t last = 0;
  if (lua_getiuservalue(L, -1, LT_RECORD_CLUSTER) == LUA_TNIL) {
    lua_pop(L, 1);
    return UINT64_MAX;
  }
  int cluster = lua_gettop(L);
  for (lua_Integer i = 1; lua_rawgeti(L, cluster, i) != LUA_TNIL && !packer->starts_over; i++) {
    const lt_ClassRecord *record = lt_class_trace_verify(L, packer);
    last = record->changed_at > last ? record->changed_at : last;
    lua_pop(L, 1);
  }
  lua_settop(L, cluster - 1);
  return last;
}

/* The record is on the top. Returns NULL if packing must start over. */
static const lt_ClassDefinition *make_definition(lua_State *L, lt_Packer *packer) {
  const lt_ClassRecord *record = lua_touserdata(L, -1);
  bool runs_code = false;
  make_cluster(L, packer);
  if (packer->starts_over)
    return NULL;
  lua_getiuservalue(L, -1, LT_RECORD_CLASS);
  lt_Message *message = lt_pack_class_alone(L, &runs_code);
  if (message == NULL) { /* the error tells the way to what can't cross from the value on */
    lt_pack_classes_whole(packer);
    return NULL;
  }
  lt_ClassDefinition *definition = lt_class_definition_new(L, message, record->is_home);
  lt_object_push_own(L, &definition->traced.object);
  lua_setiuservalue(L, -2, LT_RECORD_DEFINITION);
  if (runs_code && packer->anchors == 0) {
    lt_packer_demand_anchors(packer);
    return NULL;
  }
  return definition;
}

/* The record is on the top. Returns NULL if packing must start over. */
static const lt_ClassDefinition *find_definition(lua_State *L, lt_Packer *packer) {
  lua_getiuservalue(L, -1, LT_RECORD_DEFINITION);
  const lt_ClassDefinition *known = (const lt_ClassDefinition *)lt_object_at(L, -1);
  lua_pop(L, 1);
  if (known != NULL && last_change(L, packer) < known->made_at)
    return packer->starts_over ? NULL : known;
  return packer->starts_over ? NULL : make_definition(L, packer);
}

/*
** Packing
*/

/* The record is on the top. */
static void note_variables(lua_State *L, lt_Packer *packer) {
  lua_getiuservalue(L, -1, LT_RECORD_VARIABLES);
  int list = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    lt_pack_note_variable(L, packer);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Of each class on the stack: the class, its record. */
static void pack_reference(lua_State *L, lt_Packer *packer, const lt_ClassRecord *record) {
  if (packer->has_function || !record->was_sent) {
    packer->whole_variables = packer->whole_variables || packer->has_function;
    lt_pack_classes_whole(packer);
    lua_pop(L, 2);
    return;
  }
  const lt_ClassDefinition *definition = find_definition(L, packer);
  if (definition != NULL && lt_class_record_has_ended(L)) { /* by code that has run for it */
    packer->starts_over = true;
    definition = NULL;
  }
  if (definition != NULL)
    note_variables(L, packer);
  lua_pop(L, 1);
  if (definition != NULL) {
    packer->refers_to_classes = true;
    lt_packer_write_tag(L, packer, LT_TAG_CLASS);
    lt_packer_add_node(L, packer, lua_topointer(L, -1), false);
    uint32_t references[2];
    references[0] = lt_packer_add_object(L, packer, (lt_Object *)definition);
    references[1] = lt_packer_add_object(L, packer, &record->identity->object);
    lt_packer_write(L, packer, references, sizeof(references));
  }
  lua_pop(L, 1);
}

static void write_content(lua_State *L, lt_Packer *packer, lt_Tag tag, lt_ClassRecord *record) {
  uint32_t reference = lt_packer_add_object(L, packer, &record->identity->object);
  lt_packer_write_tagged(L, packer, tag, &reference, sizeof(reference));
}

/* Only at home a change counts. */
static void pack_whole(lua_State *L, lt_Packer *packer, lt_ClassRecord *record) {
  if (record->is_home)
    lt_class_trace_verify(L, packer);
  packer->starts_over = packer->starts_over || lt_class_record_has_ended(L);
  if (packer->starts_over) {
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  record->was_sent = true;
  lt_pack_note_object(L, packer, lua_gettop(L));
  write_content(L, packer, LT_TAG_CLASS_CONTENT, record);
  lt_packer_write(L, packer, &record->version, sizeof(record->version));
  lt_pack_open_table(L, packer)->is_class = true;
}

/* A variable is copied, and the receiver knows it if it comes with its class. */
static void pack_variable(lua_State *L, lt_Packer *packer, lt_ClassRecord *record) {
  if (packer->whole_classes) {
    lt_pack_note_variable(L, packer);
    write_content(L, packer, LT_TAG_VARIABLE_CONTENT, record);
  }
  lt_pack_open_table(L, packer)->skips_objects = packer->whole_classes && !packer->whole_variables;
}

/* Whether the table on the top is to be looked at, because it was not met as a metatable. */
static bool looks_at(const lt_Packer *packer) {
  return packer->looks_for_classes || packer->anchors != 0;
}

/* The record of the table on the top, if it is a class or a variable. */
static lt_ClassRecord *record_of(lua_State *L, lt_Packer *packer) {
  lt_ClassRecord *record = lt_class_record_find(L, -1);
  if (record != NULL && !record->is_variable)
    return record;
  if (!packer->is_metatable && !(looks_at(packer) && lt_class_is_like_one(L, -1)))
    return record;
  record = lt_class_record_ensure(L, -1);
  record->is_variable = false;
  return record;
}

lt_ClassRecord *lt_pack_class_record(lua_State *L, lt_Packer *packer) {
  lt_ClassRecord *record = record_of(L, packer);
  return record != NULL && !record->is_variable ? record : NULL;
}

/* Whether the table on the top is an object with a rule. */
static bool has_rule(lua_State *L) {
  int table = lua_gettop(L);
  lt_check_stack(L, 4);
  bool has = lua_getmetatable(L, table) && lt_transfer_rule_push(L, -1) != LT_NO_RULE;
  lua_settop(L, table);
  return has;
}

bool lt_pack_if_class(lua_State *L, lt_Packer *packer) {
  lt_ClassRecord *record = record_of(L, packer);
  if (record == NULL)
    return false;
  if (!lt_stack_room(L, 40))
    lt_pack_refuse_depth(L, packer);
  if (record->is_variable) {
    if (has_rule(L))
      return false;
    pack_variable(L, packer, record);
    return true;
  }
  if (packer->number == 0)
    packer->number = lt_class_next_number();
  lt_class_record_push(L, -1);
  if (packer->whole_classes)
    pack_whole(L, packer, record);
  else
    pack_reference(L, packer, record);
  return true;
}
