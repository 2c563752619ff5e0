/*
** What the variables of classes hold for the objects of a message: private[object], where methods
** have the table 'private' as an upvalue. It crosses with the object, behind the values.
**
** At LT_OBJECTS_PLACE lies nil, or a list: of the variables of the classes in the message, each
** under its number and as a key; and of the tables that may be objects of them.
*/
#include "src/transfer/packer.h"

#include "src/base/stack_room.h"

enum { VARIABLES = 1, OBJECTS };

/* Pushes the list. */
static void push_objects_list(lua_State *L, int list) {
  if (lua_isnil(L, LT_OBJECTS_PLACE)) {
    lua_createtable(L, OBJECTS, 0);
    for (int i = VARIABLES; i <= OBJECTS; i++) {
      lua_newtable(L);
      lua_rawseti(L, -2, i);
    }
    lua_replace(L, LT_OBJECTS_PLACE);
  }
  lua_rawgeti(L, LT_OBJECTS_PLACE, list);
}

void lt_pack_note_variables(lua_State *L, lt_Packer *packer) {
  int from = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, from);
  if (count > 0) {
    packer->has_variables = true;
    push_objects_list(L, VARIABLES);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, from, i);
      lua_pushvalue(L, -1);
      if (lua_rawget(L, from + 1) == LUA_TNIL) {
        lua_pushvalue(L, -2);
        lua_pushboolean(L, true);
        lua_rawset(L, from + 1);
        lua_pushvalue(L, -2);
        lua_rawseti(L, from + 1, (lua_Integer)lua_rawlen(L, from + 1) + 1);
      }
      lua_pop(L, 2);
    }
  }
  lua_settop(L, from - 1);
}

void lt_pack_note_object(lua_State *L, const lt_Packer *packer, int object) {
  if (!packer->has_variables && !packer->whole_classes)
    return;
  lt_check_stack(L, 10);
  push_objects_list(L, OBJECTS);
  lua_pushvalue(L, object);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

/* The variable and the object are on the top; pops both. */
static void pack_datum(lua_State *L, lt_Packer *packer) {
  int object = lua_gettop(L);
  lua_pushvalue(L, object);
  if (lua_rawget(L, object - 1) != LUA_TNIL) {
    const lt_ClassRecord *record = lt_class_record_find(L, object - 1);
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
  if (!packer->has_variables || packer->starts_over)
    return;
  lt_check_stack(L, 20);
  packer->root = 0;
  push_objects_list(L, VARIABLES);
  push_objects_list(L, OBJECTS);
  int objects = lua_gettop(L), variables = objects - 1;
  for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, objects); i++)
    for (lua_Integer k = 1; k <= (lua_Integer)lua_rawlen(L, variables); k++) {
      if (packer->starts_over)
        return;
      lua_rawgeti(L, variables, k);
      lua_rawgeti(L, objects, i);
      pack_datum(L, packer);
    }
  lua_settop(L, variables - 1);
}
