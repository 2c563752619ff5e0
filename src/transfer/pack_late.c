/*
** Objects with a rule that are held by what makes them: after Point.zero = Point.new(0), Point.new
** is needed to make a Point, and the class, an upvalue of it, has one. Such an object is left out
** of the class (or function) at first, and follows when that is complete: the receiver makes it
** then, and puts it where it belongs.
**
** Which ones these are is found out when packing meets the circle: it starts over, and from then on
** all objects with the same metatable are late where they are in a table or an upvalue. So what the
** receiver sees does not depend on the order in which a table is walked.
**
** At LT_LATE_KINDS_PLACE lies nil or a table with these metatables as keys; at LT_LATE_VALUES_PLACE
** nil or a list, with some fields for each value that was left out.
*/
#include "src/base/stack_room.h"
#include "src/transfer/packer.h"

/*
** The holder is a node: of a table, or as a negative number of an upvalue cell, which has no key.
** The code is the outermost of the open functions and classes around it, as a node, or else the
** holder; 0: the value has been packed.
*/
enum { LATE_HOLDER = 1, LATE_KEY, LATE_VALUE, LATE_CODE, LATE_PARTS = LATE_CODE };

static bool frame_is_code(const lt_PackFrame *frame) {
  return frame->is_function || frame->is_class;
}

/* What modules lack is made otherwise, see pack_module.c. */
static bool none_is_late(const lt_Packer *packer) {
  return packer->module != 0 || packer->optional;
}

/*
** Which objects are late
*/

/* Whether a function or a class is in the circle that leads from the node to what is packed now. */
static bool circle_has_code(const lt_Packer *packer, size_t node) {
  if (packer->nodes[node].upvalue != 0)
    return true;
  for (size_t i = packer->depth; i-- > 0 && packer->frames[i].node >= node;)
    if (frame_is_code(&packer->frames[i]))
      return true;
  return false;
}

/* Whether the value that is packed now of this frame could be left out. */
static bool can_leave_out(lua_State *L, const lt_PackFrame *frame) {
  if (frame->phase == LT_PACK_UPVALUE)
    return true;
  return frame->phase == LT_PACK_CONTENT && lua_type(L, frame->base + 1) != LUA_TTABLE &&
         lua_type(L, frame->base + 1) != LUA_TUSERDATA &&
         lua_type(L, frame->base + 1) != LUA_TFUNCTION;
}

/* Makes the metatable of the value at 'object' one whose objects are late; false: it is already. */
static bool add_kind(lua_State *L, lt_Packer *packer, int object) {
  int top = lua_gettop(L);
  if (lua_isnil(L, LT_LATE_KINDS_PLACE)) {
    lua_newtable(L);
    lua_replace(L, LT_LATE_KINDS_PLACE);
  }
  bool is_new = lua_getmetatable(L, object);
  if (is_new) {
    lua_pushvalue(L, -1);
    is_new = lua_rawget(L, LT_LATE_KINDS_PLACE) == LUA_TNIL;
    lua_pop(L, 1);
  }
  if (is_new) {
    lua_pushboolean(L, true);
    lua_rawset(L, LT_LATE_KINDS_PLACE);
    packer->has_late_kinds = true;
    packer->starts_over = true;
  }
  lua_settop(L, top);
  return is_new;
}

bool lt_pack_late_find_kind(lua_State *L, lt_Packer *packer, size_t node, bool through_code) {
  if (packer->starts_over)
    return true;
  if (none_is_late(packer) || !(through_code || circle_has_code(packer, node)))
    return false;
  lt_check_stack(L, 6);
  for (size_t i = packer->depth; i-- > 0 && packer->frames[i].node >= node;) {
    const lt_PackFrame *frame = &packer->frames[i];
    if (!frame->is_ruled || (i == 0 && frame->node > node))
      continue;
    size_t holder = frame->node > node ? i - 1 : packer->depth - 1;
    if (can_leave_out(L, &packer->frames[holder]) && add_kind(L, packer, frame->base))
      return true;
  }
  return false;
}

/*
** Leaving them out
*/

/* The outermost function or class within the innermost object with a rule, as a node; or 0. */
static size_t find_code(const lt_Packer *packer) {
  size_t code = 0;
  for (size_t i = packer->depth; i-- > 0 && packer->frames[i].node > packer->ruled;)
    if (frame_is_code(&packer->frames[i]))
      code = packer->frames[i].node;
  return code;
}

/* Whether the value on the top is of a kind that is late, or what its own rule has led to. */
static bool is_late(lua_State *L, lt_Packer *packer) {
  int type = lua_type(L, -1);
  if ((type != LUA_TTABLE && type != LUA_TUSERDATA) || none_is_late(packer))
    return false;
  size_t node = lt_packer_find_node(packer, lua_topointer(L, -1));
  if (!packer->has_late_kinds ||
      (node != 0 && (node == packer->ruled || !packer->nodes[node].open)))
    return node != 0 && node == packer->ruled;
  lt_check_stack(L, 4);
  if (!lua_getmetatable(L, -1))
    return false;
  bool late = lua_rawget(L, LT_LATE_KINDS_PLACE) != LUA_TNIL;
  lua_pop(L, 1);
  return late;
}

static void set_part(lua_State *L, size_t number, int part) {
  lua_rawseti(L, LT_LATE_VALUES_PLACE, (lua_Integer)number * LATE_PARTS + part);
}

/* The key and the value are on the top, which this pops. */
static void note_late(lua_State *L, lt_Packer *packer, lua_Integer holder, size_t code) {
  lt_check_stack(L, 4);
  if (lua_isnil(L, LT_LATE_VALUES_PLACE)) {
    lua_newtable(L);
    lua_replace(L, LT_LATE_VALUES_PLACE);
  }
  size_t number = packer->late_value_count;
  set_part(L, number, LATE_VALUE);
  set_part(L, number, LATE_KEY);
  lua_pushinteger(L, holder);
  set_part(L, number, LATE_HOLDER);
  lua_pushinteger(L, (lua_Integer)code);
  set_part(L, number, LATE_CODE);
  packer->late_value_count++;
  packer->waiting_values++;
}

bool lt_pack_late_field(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame) {
  if (!is_late(L, packer) || !can_leave_out(L, frame))
    return false;
  size_t code = find_code(packer);
  if (code == 0 && lt_packer_find_node(packer, lua_topointer(L, -1)) != 0)
    return false; /* data that leads back to its object */
  lt_check_stack(L, 4);
  lua_pushvalue(L, -2);
  lua_insert(L, -2);
  note_late(L, packer, (lua_Integer)frame->node, code != 0 ? code : frame->node);
  return true;
}

bool lt_pack_late_upvalue(lua_State *L, lt_Packer *packer, size_t cell) {
  if (!is_late(L, packer))
    return false;
  lt_check_stack(L, 4);
  lua_pushboolean(L, false);
  lua_insert(L, -2);
  note_late(L, packer, -(lua_Integer)cell, find_code(packer));
  lt_packer_write_tag(L, packer, (lt_Tag)LT_SCALAR_NIL);
  return true;
}

/*
** Packing them
*/

static lua_Integer push_part(lua_State *L, size_t number, int part) {
  lua_rawgeti(L, LT_LATE_VALUES_PLACE, (lua_Integer)number * LATE_PARTS + part);
  return lua_tointeger(L, -1);
}

static lua_Integer get_part(lua_State *L, size_t number, int part) {
  lua_Integer value = push_part(L, number, part);
  lua_pop(L, 1);
  return value;
}

/* Whether what holds the value is complete, and the value is not being packed. */
static bool late_is_ready(lua_State *L, lt_Packer *packer, size_t number) {
  size_t code = (size_t)get_part(L, number, LATE_CODE);
  if (code == 0 || packer->nodes[code].open)
    return false;
  push_part(L, number, LATE_VALUE);
  size_t node = lt_packer_find_node(packer, lua_topointer(L, -1));
  lua_pop(L, 1);
  return node == 0 || !packer->nodes[node].open;
}

static void pack_late(lua_State *L, lt_Packer *packer, size_t number) {
  lua_pushinteger(L, 0);
  set_part(L, number, LATE_CODE);
  packer->waiting_values--;
  lua_Integer holder = get_part(L, number, LATE_HOLDER);
  uint32_t slot = lt_packer_slot_of(packer, (size_t)(holder < 0 ? -holder : holder));
  lt_packer_write_tagged(L, packer, holder < 0 ? LT_TAG_LATE_UPVALUE : LT_TAG_LATE_FIELD, &slot,
                         sizeof(slot));
  if (holder > 0) {
    push_part(L, number, LATE_KEY);
    lt_pack_value(L, packer);
  }
  push_part(L, number, LATE_VALUE);
  lt_pack_value(L, packer);
}

bool lt_pack_late_next(lua_State *L, lt_Packer *packer) {
  if (packer->waiting_values == 0)
    return false;
  lt_check_stack(L, 4);
  for (size_t i = 0; i < packer->late_value_count; i++)
    if (late_is_ready(L, packer, i)) {
      pack_late(L, packer, i);
      return true;
    }
  return false;
}
