/*
** Values that were left out of what holds them, a table or an upvalue, see pack_late.c. Above the
** base of the frame lie the key, if there is one, and the value.
*/
#include "src/base/stack_room.h"
#include "src/transfer/received_classes.h"
#include "src/transfer/unpacker.h"

void lt_unpack_late(lua_State *L, lt_Unpacker *unpacker, bool has_key) {
  uint32_t slot = lt_unpack_number(unpacker);
  lt_UnpackFrame *frame = lt_unpack_push_frame(L, unpacker);
  if (!lt_message_room_for_values(L, 2))
    lt_unpack_refuse_depth(L, unpacker);
  frame->is_late = true;
  frame->has_key = has_key;
  frame->awaited = has_key ? 2 : 1;
  frame->slot = slot;
}

/* The value, above its key if there is one, is on the top. */
static void store_late(lua_State *L, const lt_Unpacker *unpacker, const lt_UnpackFrame *frame) {
  int holder = frame->base + 1;
  lt_check_stack(L, LUA_MINSTACK);
  lt_unpack_push_kept(L, frame->slot);
  lua_insert(L, holder);
  if (frame->has_key)
    lt_received_class_add_field(L, LT_RECEIVED_CLASSES_PLACE);
  else
    lua_setupvalue(L, holder, unpacker->cells[frame->slot]);
  lua_settop(L, holder - 1);
}

void lt_unpack_late_step(lua_State *L, lt_Unpacker *unpacker, lt_UnpackFrame *frame) {
  while (frame->awaited > 0) {
    frame->awaited--;
    if (!lt_unpack_value(L, unpacker))
      return;
  }
  store_late(L, unpacker, frame);
  unpacker->depth--;
}
