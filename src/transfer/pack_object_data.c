/*
** What the variables of classes hold for the objects of a message: private[object], where methods
** have the table 'private' as an upvalue. It crosses with the object, behind the values.
**
** At LT_VARIABLES_PLACE lies nil, or the variables of the classes in the message, as a list and as
** keys; at LT_OBJECTS_PLACE nil, or a list of the tables that may be objects of them.
*/
#include "src/transfer/packer.h"

#include "src/base/stack_room.h"

/* The value on the top, which it pops, joins the list at 'list'. */
static void join_list(lua_State *L, int list) {
  if (lua_isnil(L, list)) {
    lua_newtable(L);
    lua_replace(L, list);
  }
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

void lt_pack_note_variable(lua_State *L, lt_Packer *packer) {
  packer->has_variables = true;
  if (lua_istable(L, LT_VARIABLES_PLACE)) {
    lua_pushvalue(L, -1);
    bool is_known = lua_rawget(L, LT_VARIABLES_PLACE) != LUA_TNIL;
    lua_pop(L, 1);
    if (is_known)
      return;
  }
  lua_pushvalue(L, -1);
  join_list(L, LT_VARIABLES_PLACE);
  lua_pushvalue(L, -1);
  lua_pushboolean(L, true);
  lua_rawset(L, LT_VARIABLES_PLACE);
}

void lt_pack_note_object(lua_State *L, const lt_Packer *packer, int object) {
  if (!packer->has_variables &&
      !(packer->whole_classes &&
        atomic_load_explicit(&lt_class_has_variables, memory_order_relaxed)))
    return;
  lt_check_stack(L, 10);
  lua_pushvalue(L, object);
  join_list(L, LT_OBJECTS_PLACE);
}

/* The variable and the object are on the top; pops both. */
static void pack_datum(lua_State *L, lt_Packer *packer) {
  int object = lua_gettop(L);
  lua_pushvalue(L, object);
  if (lua_rawget(L, object - 1) != LUA_TNIL) {
    const lt_ClassRecord *record = lt_class_record_find(L, object - 1);
    if (record == NULL) {
      lt_class_record_make_variable(L, object - 1);
      record = lt_class_record_find(L, object - 1);
    }
    uint32_t reference = lt_packer_add_object(L, packer, &record->identity->object);
    lt_packer_write_tagged(L, packer, LT_TAG_OBJECT_DATUM, &reference, sizeof(reference));
    lua_pushvalue(L, object);
    lt_pack_root(L, packer);
    if (!packer->starts_over)
      lt_pack_root(L, packer);
  }
  lua_settop(L, object - 2);
}

/* For one object after the other, until packing the values brings no more. */
void lt_pack_object_data(lua_State *L, lt_Packer *packer) {
  if (!packer->has_variables || packer->starts_over || lua_isnil(L, LT_OBJECTS_PLACE))
    return;
  lt_check_stack(L, 20);
  packer->root = 0;
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, LT_OBJECTS_PLACE); i++)
    for (lua_Integer k = 1; k <= (lua_Integer)lua_rawlen(L, LT_VARIABLES_PLACE); k++) {
      if (packer->starts_over)
        return;
      lua_rawgeti(L, LT_VARIABLES_PLACE, k);
      lua_rawgeti(L, LT_OBJECTS_PLACE, i);
      pack_datum(L, packer);
    }
}
