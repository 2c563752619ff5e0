/*
** Message items: one value on its way, in 16 bytes, as queues hold them. A small value lies in the
** item itself; any other behind it, in memory that the item owns. An item points into no state,
** except for a long string that is lent: see lent_string.h.
*/
#ifndef lt_message_item_h
#define lt_message_item_h

#include <stdbool.h>

#include "src/transfer/message.h"

typedef enum lt_MessageItemKind {
  LT_ITEM_SHORT_STRING = LT_SCALAR_KINDS,
  LT_ITEM_LONG_STRING, /* the kinds from here on own something */
  LT_ITEM_OBJECT,
  LT_ITEM_MESSAGE
} lt_MessageItemKind;

#define LT_ITEM_BYTES 14

typedef union lt_MessageItem {
  unsigned char kind; /* of a scalar, or an lt_MessageItemKind; every member begins with it */
  struct {
    unsigned char kind;
    union {
      lt_Scalar scalar;
      lt_LentString *text;
      lt_Object *object;
      lt_Message *message;
    } as;
  } value;
  struct {
    unsigned char kind;
    unsigned char length;
    char bytes[LT_ITEM_BYTES];
  } brief;
} lt_MessageItem;

/*
** Copies an item that was just written: in the same parts, because what was stored in parts can't
** be loaded as a whole before the stores have left the processor.
*/
static inline void lt_message_item_copy(lt_MessageItem *to, const lt_MessageItem *from) {
  if (from->kind == LT_ITEM_SHORT_STRING) {
    *to = *from;
  } else {
    to->value.kind = from->value.kind;
    to->value.as = from->value.as;
  }
}

/*
** Makes an item of the value at 'index', if it is one that can be kept without memory of its own.
** Never raises.
*/
bool lt_message_item_from_small(lua_State *L, int index, lt_MessageItem *item);

/*
** Makes an item of the value at 'index'. 'strings', 'describe' and 'batch', the last two of which
** may be NULL, are as for lt_pack_in_batch. Raises TypeError for what can't be transferred, or for
** want of memory; then there is no item.
*/
void lt_message_item_from(lua_State *L, int index, lt_MessageItem *item, lt_StringsRule strings,
                          lt_DescribeValue describe, const lt_PackBatch *batch);

/* Pushes the value. It may raise; the item stays as it is. */
void lt_message_item_push(lua_State *L, const lt_MessageItem *item);

/* Pushes the value, or what goes wrong in that. Returns a status of Lua. */
int lt_message_item_try_push(lua_State *L, lt_MessageItem *item);

void lt_message_item_free(lt_MessageItem *item);

static inline bool lt_message_item_moves(const lt_MessageItem *item) {
  return item->kind == LT_ITEM_MESSAGE && item->value.as.message->moves;
}

/* The same of one that the sender could not send, see lt_message_give_back. */
void lt_message_item_return(lua_State *L, lt_MessageItem *item);

/* How many references an item has, and the object that one of them is to; NULL: it is to none. */
static inline size_t lt_message_item_references(const lt_MessageItem *item) {
  return item->kind == LT_ITEM_MESSAGE ? item->value.as.message->reference_count
                                       : item->kind == LT_ITEM_OBJECT;
}
const lt_Object *lt_message_item_reference(const lt_MessageItem *item, size_t number);

/* The string of an item that is one, and is not lent. */
const char *lt_message_item_string(const lt_MessageItem *item, size_t *length);

#endif
