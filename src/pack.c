/*
** Messages: the values are packed one after the other, then what they have left behind, and all of
** it becomes a message.
**
** What has been met is known by its address, so it must not be collected before the end. The values
** that are packed keep it, as long as no code of the state runs. The __index of an environment is
** such code: what it returns may be held by nobody, and it may change what was packed before. Where
** one is met, packing starts over and keeps all that it meets in a table.
*/
#include "src/message.h"

#include <stdlib.h>
#include <string.h>

#include "src/exception.h"
#include "src/packer.h"

static void pack_late_metatables(lua_State *L, Packer *packer) {
  for (size_t i = 0; i < packer->late_count; i++) {
    uint32_t slots[2] = {slot_of(packer, packer->late[i][0]), slot_of(packer, packer->late[i][1])};
    write_tagged(L, packer, LT_TAG_LATE_METATABLE, slots, sizeof(slots));
  }
  write_tag(L, packer, LT_TAG_END);
}

/*
** The references are the message's from then on, and the bytes, unless they are the packer's own.
*/
static void make_message(lua_State *L, Packer *packer, int count) {
  bool own = packer->bytes == packer->own_bytes;
  size_t references_size = packer->reference_count * sizeof(lt_Reference);
  lt_Message *message = malloc(sizeof(lt_Message) + references_size + (own ? packer->size : 0));
  if (message == NULL)
    lt_raise_memory(L);
  message->count = count;
  message->slot_count = packer->slot_count;
  message->reference_count = packer->reference_count;
  message->size = packer->size;
  message->text_size = packer->text_size;
  memcpy(message->references, packer->references, references_size);
  if (own) {
    unsigned char *behind = (unsigned char *)&message->references[packer->reference_count];
    memcpy(behind, packer->bytes, packer->size);
    message->bytes = behind;
    message->block = NULL;
  } else {
    void *fitting = realloc(packer->bytes, packer->size);
    message->block = fitting != NULL ? fitting : packer->bytes;
    message->bytes = message->block;
    packer->bytes = packer->own_bytes;
  }
  packer->reference_count = 0;
  packer->message = message;
}

/* From the beginning, with a table of anchors, which takes the place above the values. */
static void start_over(lua_State *L, Packer *packer, int count) {
  const lt_Row row = {packer->names, packer->first};
  lt_free_packer(packer);
  lt_init_packer(packer, packer->strings, packer->describe, &row);
  lua_settop(L, count + 1);
  lua_newtable(L);
  packer->anchors = count + 2;
}

static void pack_roots(lua_State *L, Packer *packer, int count) {
  for (packer->root = 0; packer->root < count && !packer->starts_over; packer->root++) {
    lua_pushvalue(L, packer->root + 2);
    lt_pack_root(L, packer);
  }
}

/* The packer is the first argument, the values follow. */
static int pack_protected(lua_State *L) {
  Packer *packer = lua_touserdata(L, 1);
  int count = lua_gettop(L) - 1;
  luaL_checkstack(L, 20, "too many values");
  pack_roots(L, packer, count);
  if (packer->starts_over) {
    start_over(L, packer, count);
    pack_roots(L, packer, count);
  }
  pack_late_metatables(L, packer);
  make_message(L, packer, count);
  return 0;
}

lt_Message *lt_pack_in_row(lua_State *L, int count, lt_Strings strings, lt_Describe describe,
                           const lt_Row *row) {
  Packer packer;
  luaL_checkstack(L, 4, "too many values");
  lt_init_packer(&packer, strings, describe, row);
  lua_pushcfunction(L, pack_protected);
  lua_insert(L, -1 - count);
  lua_pushlightuserdata(L, &packer);
  lua_insert(L, -1 - count);
  int status = lua_pcall(L, count + 1, 0, 0);
  lt_free_packer(&packer);
  if (status == LUA_OK)
    return packer.message;
  if (packer.refused)
    lt_raise(L, &lt_TypeError, "%s", lua_tostring(L, -1));
  lt_throw(L);
}

lt_Message *lt_pack(lua_State *L, int count, lt_Strings strings, lt_Describe describe) {
  return lt_pack_in_row(L, count, strings, describe, NULL);
}

/*
** Messages that are there
*/

void lt_message_drop_references(lt_Message *message) {
  lt_release_references(message->references, message->reference_count);
  message->reference_count = 0;
}

void lt_message_free(lt_Message *message) {
  if (message == NULL)
    return;
  lt_message_drop_references(message);
  free(message->block);
  free(message);
}

size_t lt_message_size(const lt_Message *message) {
  return sizeof(*message) + message->size + message->text_size +
         message->reference_count * sizeof(lt_Reference);
}
