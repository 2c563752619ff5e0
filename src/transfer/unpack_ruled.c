/*
** Objects with a rule in Lua, see transfer_rules.h. Above the base of the frame lie the rule, where
** it comes along, then the function and its arguments, at last the object in the place of all of
** them. The function may need the globals that have come so far: they are set before.
*/
#include "src/transfer/unpacker.h"

#include "src/transfer/received_classes.h"
#include "src/transfer/transfer_rules.h"

void lt_unpack_ruled(lua_State *L, lt_Unpacker *unpacker) {
  unsigned char has_rule;
  uint32_t slot = lt_unpack_number(unpacker);
  int count = (int)lt_unpack_number(unpacker);
  lt_unpack_bytes(unpacker, &has_rule, 1);
  lt_UnpackFrame *frame = lt_unpack_push_frame(L, unpacker);
  if (!lt_message_room_for_values(L, count))
    lt_unpack_refuse_depth(L, unpacker);
  frame->is_ruled = true;
  frame->has_rule = has_rule != 0;
  frame->awaited = count;
  frame->slot = slot;
}

/* Its content is still being made. */
static bool is_open_class(const lt_Unpacker *unpacker, lua_Integer number) {
  for (size_t i = 0; i < unpacker->depth; i++) {
    const lt_UnpackFrame *frame = &unpacker->frames[i];
    if (frame->is_class && (lua_Integer)frame->slot == number)
      return true;
  }
  return false;
}

/* The function sees the classes that are complete as they are at the sender. */
static void settle_classes(lua_State *L, lt_Unpacker *unpacker) {
  lua_Integer count = lt_received_classes_count(L, LT_RECEIVED_CLASSES_PLACE);
  for (lua_Integer i = unpacker->settled_classes; i < count; i++) {
    if (is_open_class(unpacker, i))
      continue;
    lt_received_class_settle(L, LT_RECEIVED_CLASSES_PLACE, i);
    if (i == unpacker->settled_classes)
      unpacker->settled_classes++;
  }
}

static void close_ruled(lua_State *L, lt_Unpacker *unpacker, const lt_UnpackFrame *frame) {
  int object = frame->base + 1;
  bool has_rule = frame->has_rule;
  uint32_t slot = frame->slot;
  lt_unpack_late_metatables(L, unpacker);
  settle_classes(L, unpacker);
  lt_received_globals_set(L, LT_RECEIVED_GLOBALS_PLACE);
  lt_unpack_end_run_now(L);
  lt_transfer_rule_make(L, has_rule ? object + 1 : object);
  if (has_rule)
    lt_transfer_rule_take_over(L, object);
  lua_copy(L, -1, object);
  lua_settop(L, object);
  lt_unpack_keep(L, slot);
  unpacker->depth--;
}

void lt_unpack_ruled_step(lua_State *L, lt_Unpacker *unpacker, lt_UnpackFrame *frame) {
  while (frame->awaited > 0) {
    frame->awaited--;
    if (!lt_unpack_value(L, unpacker))
      return;
  }
  if (lt_unpack_next_is_late(unpacker))
    lt_unpack_value(L, unpacker);
  else
    close_ruled(L, unpacker, frame);
}
