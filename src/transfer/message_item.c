#include "src/transfer/message_item.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

static bool from_short_string(lua_State *L, int index, lt_MessageItem *item) {
  size_t length;
  const char *bytes = lua_tolstring(L, index, &length);
  if (length > LT_ITEM_BYTES)
    return false;
  item->brief.kind = LT_ITEM_SHORT_STRING;
  item->brief.length = (unsigned char)length;
  memcpy(item->brief.bytes, bytes, length);
  return true;
}

bool lt_message_item_from_small(lua_State *L, int index, lt_MessageItem *item) {
  int type = lua_type(L, index);
  return type == LUA_TSTRING
             ? from_short_string(L, index, item)
             : lt_scalar_at(L, index, type, &item->value.kind, &item->value.as.scalar);
}

void lt_message_item_from(lua_State *L, int index, lt_MessageItem *item, lt_StringsRule strings,
                          lt_DescribeValue describe, const lt_PackBatch *batch) {
  if (lt_message_item_from_small(L, index, item))
    return;
  lt_Object *object = lt_object_at(L, index);
  if (object != NULL) {
    lt_object_retain(object);
    item->value.kind = LT_ITEM_OBJECT;
    item->value.as.object = object;
  } else if (lua_type(L, index) == LUA_TSTRING) {
    item->value.as.text = lt_lent_string_new(L, index, strings);
    item->value.kind = LT_ITEM_LONG_STRING;
  } else {
    lt_check_stack(L, 1);
    lua_pushvalue(L, index);
    item->value.as.message = lt_pack_in_batch(L, 1, strings, describe, batch);
    item->value.kind = LT_ITEM_MESSAGE;
  }
}

const char *lt_message_item_string(const lt_MessageItem *item, size_t *length) {
  if (item->kind == LT_ITEM_SHORT_STRING) {
    *length = item->brief.length;
    return item->brief.bytes;
  }
  *length = item->value.as.text->length;
  return item->value.as.text->own;
}

const lt_Object *lt_message_item_reference(const lt_MessageItem *item, size_t number) {
  if (item->kind == LT_ITEM_OBJECT)
    return item->value.as.object;
  return lt_reference_object(&item->value.as.message->references[number]);
}

void lt_message_item_push(lua_State *L, const lt_MessageItem *item) {
  switch (item->kind) {
  case LT_ITEM_SHORT_STRING:
    lua_pushlstring(L, item->brief.bytes, item->brief.length);
    break;
  case LT_ITEM_LONG_STRING:
    lt_lent_string_push(L, item->value.as.text);
    break;
  case LT_ITEM_OBJECT:
    lt_object_push(L, item->value.as.object);
    break;
  case LT_ITEM_MESSAGE:
    lt_unpack(L, item->value.as.message, LT_TAKE_GLOBALS);
    break;
  default:
    lt_scalar_push(L, item->kind, &item->value.as.scalar);
  }
}

void lt_message_item_free(lt_MessageItem *item) {
  switch (item->kind) {
  case LT_ITEM_LONG_STRING:
    lt_lent_string_free(item->value.as.text);
    break;
  case LT_ITEM_OBJECT:
    lt_object_release(item->value.as.object);
    break;
  case LT_ITEM_MESSAGE:
    lt_message_free(item->value.as.message);
    break;
  default:
    break;
  }
}

void lt_message_item_return(lua_State *L, lt_MessageItem *item) {
  if (item->kind == LT_ITEM_MESSAGE)
    lt_message_give_back(L, item->value.as.message);
  lt_message_item_free(item);
}

static int item_push_protected(lua_State *L) {
  lt_message_item_push(L, lua_touserdata(L, 1));
  return 1;
}

int lt_message_item_try_push(lua_State *L, lt_MessageItem *item) {
  if (item->kind < LT_SCALAR_KINDS) { /* these need no memory */
    lt_scalar_push(L, item->kind, &item->value.as.scalar);
    return LUA_OK;
  }
  if (item->kind == LT_ITEM_MESSAGE)
    return lt_try_unpack(L, item->value.as.message, LT_TAKE_GLOBALS);
  return lt_protected_call(L, item_push_protected, item, 0, 1);
}
