/*
** Objects with a rule in Lua, see transfer_rules.h: what the rule returns is packed in their place.
** Tables without one are copied, but for those that own something: an object that gives something
** back in __gc or __close, and is copied, would give it back twice.
**
** A rule is code of the script, so packing starts over for it with anchors, see pack.c. Rules are
** not called within each other: each returns before what it has returned is packed. On the Lua
** stack lie, from the base of the frame on, the object, the rule, the function and its arguments.
*/
#include "src/transfer/packer.h"

#include "src/base/stack_room.h"
#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/object/printable.h"
#include "src/transfer/transfer_rules.h"

/* From the base of the frame. */
enum { RULE = 1, FUNCTION };

const char *lt_pack_push_kind(lua_State *L, int object) {
  const char *type = luaL_typename(L, object);
  if (luaL_getmetafield(L, object, "__name") != LUA_TSTRING)
    return lua_pushfstring(L, "a %s", type);
  size_t length;
  const char *name = lua_tolstring(L, -1, &length);
  lt_printable_push(L, name, length);
  return lua_pushfstring(L, "a %s %s", lua_tostring(L, -1), type);
}

/*
** Tables that are not to be copied
*/

/* Whether the metatable at 'metatable' has something under the name, other than false. */
static bool has_field(lua_State *L, int metatable, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, metatable);
  bool found = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return found;
}

/* It is told by the path of the table itself. */
static _Noreturn void refuse_owner(lua_State *L, lt_Packer *packer, const char *field) {
  packer->depth--;
  lt_pack_refuse_advised(
      L, packer, &lt_TypeError, lua_pushfstring(L, "a table whose metatable has %s", field),
      "what it owns would be given back twice; _thread.register_transfer says how it crosses, "
      "_thread.per_thread makes one in each thread");
}

static void check_no_owner(lua_State *L, lt_Packer *packer, int metatable) {
  if (has_field(L, metatable, "__gc"))
    refuse_owner(L, packer, "__gc");
  if (has_field(L, metatable, "__close"))
    refuse_owner(L, packer, "__close");
}

/*
** Objects with a rule
*/

_Noreturn void lt_pack_refuse_circle(lua_State *L, lt_Packer *packer) {
  lt_pack_refuse_advised(
      L, packer, &lt_ValueError, "a value that leads back to the object it is for",
      "what a transfer rule returns is needed before the object is made; what is "
      "in a module goes by its name");
}

static bool is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index))
    return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

/* 'format' gets the type of the value at 'value'. The path is that of the object. */
static _Noreturn void refuse_by_rule(lua_State *L, lt_Packer *packer, int object, int value,
                                     const char *format) {
  packer->depth--;
  lt_check_stack(L, 10);
  const char *type = lt_push_type_name(L, value);
  const char *kind = lt_pack_push_kind(L, object);
  lt_pack_refuse_advised(L, packer, &lt_TypeError, kind, lua_pushfstring(L, format, type));
}

/*
** The frame of the object at its base, whose rule is all that lies above it, goes on with what that
** returns. Nothing but the slot has been written for it.
*/
static void follow_rule(lua_State *L, lt_Packer *packer, lt_PackFrame *frame, lt_RuleKind kind) {
  int object = frame->base;
  if (!is_callable(L, object + RULE))
    refuse_by_rule(L, packer, object, object + RULE,
                   "its __transfer is a value of type %s, not a function");
  lua_pushvalue(L, object + RULE);
  lua_pushvalue(L, object);
  lua_call(L, 1, LUA_MULTRET);
  if (!lt_message_room_for_values(L, 0))
    lt_pack_refuse_depth(L, packer);
  if (!is_callable(L, object + FUNCTION))
    refuse_by_rule(L, packer, object, object + FUNCTION,
                   "its transfer rule returned %s, not a function and its arguments");
  frame->is_ruled = true;
  frame->phase = LT_PACK_RULED;
  frame->position = kind == LT_REGISTERED_RULE ? RULE : FUNCTION;
  frame->value_count = lua_gettop(L) - object;
  frame->outer = packer->ruled;
  packer->ruled = frame->node;
  uint32_t count = (uint32_t)(frame->value_count - frame->position + 1);
  unsigned char has_rule = kind == LT_REGISTERED_RULE;
  lt_packer_write(L, packer, &count, sizeof(count));
  lt_packer_write(L, packer, &has_rule, 1);
}

bool lt_pack_rule_for_table(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  int metatable = lua_gettop(L);
  const void *address = lua_topointer(L, metatable);
  if (packer->copied == address && packer->anchors == 0) /* no code runs that could change it */
    return false;
  lt_RuleKind kind = lt_transfer_rule_push(L, metatable);
  if (kind == LT_NO_RULE) {
    check_no_owner(L, packer, metatable);
    packer->copied = address;
    return false;
  }
  if (frame->is_class) { /* the rule of the class above is for objects */
    lua_settop(L, metatable);
    return false;
  }
  if (packer->anchors == 0) {
    lt_packer_demand_anchors(packer);
    return true;
  }
  lua_remove(L, metatable);
  size_t slot_offset = packer->nodes[frame->node].slot_offset;
  packer->bytes[slot_offset - 1] = LT_TAG_RULED; /* in the place of LT_TAG_TABLE */
  packer->size = slot_offset + sizeof(uint32_t);
  follow_rule(L, packer, frame, kind);
  return true;
}

bool lt_pack_rule_for_userdata(lua_State *L, lt_Packer *packer) {
  int userdata = lua_gettop(L);
  if (!lua_getmetatable(L, userdata))
    return false;
  lt_RuleKind kind = lt_transfer_rule_push(L, -1);
  if (kind == LT_NO_RULE || packer->anchors == 0) {
    if (kind != LT_NO_RULE)
      lt_packer_demand_anchors(packer);
    lua_settop(L, kind == LT_NO_RULE ? userdata : userdata - 1);
    return kind != LT_NO_RULE;
  }
  lua_remove(L, userdata + 1);
  lt_packer_write_tag(L, packer, LT_TAG_RULED);
  lua_pushvalue(L, userdata);
  size_t node = lt_packer_add_node(L, packer, lua_topointer(L, userdata), true);
  lua_pop(L, 1);
  lt_PackFrame *frame = lt_packer_push_frame(L, packer, node);
  frame->base = userdata;
  follow_rule(L, packer, frame, kind);
  return true;
}

void lt_pack_rule_step(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  if (frame->position <= frame->value_count) {
    lua_pushvalue(L, frame->base + frame->position++);
    lt_pack_value(L, packer);
    return;
  }
  if (lt_pack_late_next(L, packer))
    return;
  lt_packer_write_late_metatables(L, packer);
  packer->ruled = frame->outer;
  lt_packer_close_frame(L, packer, frame);
}
