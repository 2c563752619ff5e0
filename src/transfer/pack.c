/*
** Making a message: the values are packed one after the other, then the metatables that were not
** complete before, and all of it becomes a message.
**
** Packing knows by its address what it has met, so nothing that it has met may be freed before the
** end. The values keep it alive, because no code of the state runs meanwhile (see quiet_call.h),
** with two exceptions. The __index of an environment, the 'send' of a userdata and a rule in Lua
** are such code: nobody may hold what they return, and they may change what was packed before. And
** where memory was short, weak tables may have lost what was met in them. Then packing starts over,
** and keeps all that it meets in a table.
*/
#include "src/transfer/message.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/probe.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/packer.h"

const lt_Move *lt_message_move;

/*
** The references are the message's from then on, and the bytes, unless they are the packer's own.
*/
static void make_message(lua_State *L, lt_Packer *packer, int count) {
  enum { ONLY_ENDS = 2 };
  bool has_rest = packer->size != packer->rest + ONLY_ENDS;
  if (!has_rest)
    packer->size = packer->rest;
  bool own = packer->bytes == packer->own_bytes;
  size_t references_size = packer->reference_count * sizeof(lt_Reference);
  lt_Message *message = malloc(sizeof(lt_Message) + references_size + (own ? packer->size : 0));
  if (message == NULL)
    lt_raise_memory(L);
  message->count = count;
  message->moves = packer->moves;
  message->has_rest = has_rest;
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

static void take_moved(lua_State *L, const lt_Message *message) {
  for (size_t i = 0; i < message->reference_count; i++)
    if (message->references[i].rule == &lt_message_move->rule)
      lt_message_move->take(L, message->references[i].target);
}

/*
** From the beginning; if need be, and from then on, with a table of anchors, which takes the place
** above the values.
*/
static void start_over(lua_State *L, lt_Packer *packer, int count) {
  bool is_short = lt_quiet_memory_was_short(&packer->quiet);
  bool anchored = packer->anchors != 0 || packer->needs_anchors || is_short;
  if (is_short)
    lt_quiet_call_again(L, &packer->quiet);
  lt_packer_restart(packer);
  lua_settop(L, count + LT_FIRST_VALUE_PLACE - 1);
  for (int i = LT_VARIABLES_PLACE; i <= LT_LATE_VALUES_PLACE; i++) {
    lua_pushnil(L);
    lua_replace(L, i);
  }
  if (anchored) {
    lt_quiet_hold(L, &packer->quiet);
    lua_newtable(L);
    packer->anchors = count + LT_FIRST_VALUE_PLACE;
  }
}

static bool must_start_over(const lt_Packer *packer) {
  return packer->starts_over || packer->absent_grew ||
         (packer->anchors == 0 && lt_quiet_memory_was_short(&packer->quiet));
}

static void pack_late_values(lua_State *L, lt_Packer *packer) {
  while (!packer->starts_over && lt_pack_late_next(L, packer))
    lt_pack_frames(L, packer);
}

static void pack_roots(lua_State *L, lt_Packer *packer, int count) {
  for (packer->root = 0; packer->root < count && !packer->starts_over; packer->root++) {
    lua_pushvalue(L, packer->root + LT_FIRST_VALUE_PLACE);
    lt_pack_root(L, packer);
  }
  packer->rest = packer->size;
  pack_late_values(L, packer);
  lt_pack_object_data(L, packer);
  pack_late_values(L, packer);
}

static bool is_lua_function(lua_State *L, int index) {
  return lua_isfunction(L, index) && !lua_iscfunction(L, index);
}

static void pack_all(lua_State *L, lt_Packer *packer, int count) {
  pack_roots(L, packer, count);
  if (packer->starts_over)
    return;
  lt_packer_write_late_metatables(L, packer);
  lt_packer_write_tag(L, packer, LT_TAG_END);
  lt_pack_modules(L, packer);
}

/*
** The packer is the first argument, then come the names, or nil, the choice of globals, or nil, nils
** for what is made on the way, and the values.
*/
static int pack_protected(lua_State *L) {
  lt_Packer *packer = lua_touserdata(L, 1);
  int count = lua_gettop(L) - LT_FIRST_VALUE_PLACE + 1;
  lt_check_stack(L, 20);
  packer->whole_variables = is_lua_function(L, LT_FIRST_VALUE_PLACE);
  packer->whole_classes = packer->whole_classes || packer->whole_variables;
  pack_all(L, packer, count);
  while (must_start_over(packer)) {
    start_over(L, packer, count);
    pack_all(L, packer, count);
  }
  make_message(L, packer, count);
  if (packer->moves && !packer->is_trial)
    take_moved(L, packer->message);
  return 0;
}

static void push_or_nil(lua_State *L, int index) {
  if (index == 0)
    lua_pushnil(L);
  else
    lua_pushvalue(L, index);
}

lt_Message *lt_pack_in_batch(lua_State *L, int count, lt_StringsRule strings,
                             lt_DescribeValue describe, const lt_PackBatch *batch) {
  enum { BEFORE = LT_FIRST_VALUE_PLACE - LT_PACKER_PLACE - 1 };
  lt_Packer packer;
  lt_check_stack(L, BEFORE + 2);
  lt_packer_init(&packer, strings, describe, batch);
  push_or_nil(L, batch == NULL ? 0 : batch->names);
  push_or_nil(L, batch == NULL ? 0 : batch->globals);
  lua_settop(L, lua_gettop(L) + BEFORE - 2);
  lua_rotate(L, -BEFORE - count, BEFORE);
  int status = lt_quiet_call(L, &packer.quiet, pack_protected, &packer, BEFORE + count, 0);
  lt_packer_free(&packer);
  if (status == LUA_OK) {
    const lt_Probe *probe = lt_probe_get();
    if (probe != NULL)
      probe->message(L, true, packer.message->size);
    return packer.message;
  }
  if (packer.message != NULL) { /* a hook has raised the error when all was done */
    lt_message_give_back(L, packer.message);
    lt_message_free(packer.message);
  }
  if (packer.refusal != NULL)
    lt_raise(L, packer.refusal, "%s", lua_tostring(L, -1));
  lt_throw_again(L);
}

lt_Message *lt_pack(lua_State *L, int count, lt_StringsRule strings, lt_DescribeValue describe) {
  return lt_pack_in_batch(L, count, strings, describe, NULL);
}

/* The value on the top, within the packing of others. Returns a status of Lua. */
static int pack_alone(lua_State *L, lt_Packer *packer, bool *runs_code) {
  enum { BEFORE = LT_FIRST_VALUE_PLACE - LT_PACKER_PLACE - 1 };
  packer->whole_classes = true;
  lua_settop(L, lua_gettop(L) + BEFORE);
  lua_rotate(L, -1 - BEFORE, BEFORE);
  int status = lt_quiet_call(L, &packer->quiet, pack_protected, packer, 1 + BEFORE, 0);
  *runs_code = packer->anchors != 0;
  lt_packer_free(packer);
  return status;
}

lt_Message *lt_pack_class_alone(lua_State *L, bool *runs_code) {
  lt_Packer packer;
  lt_check_stack(L, 8);
  lt_packer_init(&packer, LT_COPY_STRINGS, NULL, NULL);
  int status = pack_alone(L, &packer, runs_code);
  if (status == LUA_OK)
    return packer.message;
  lt_message_free(packer.message);
  if (packer.refusal == NULL)
    lt_throw(L);
  lua_pop(L, 1);
  return NULL;
}

bool lt_pack_crosses(lua_State *L, const lt_Packer *packer, bool *runs_code) {
  lt_Packer trial;
  lt_check_stack(L, 8);
  lt_packer_init(&trial, packer->strings, NULL, NULL);
  trial.is_trial = true;
  lua_pushvalue(L, -1);
  int status = pack_alone(L, &trial, runs_code);
  lt_message_free(trial.message);
  if (status == LUA_OK)
    return true;
  if (status == LUA_ERRMEM || (trial.refusal == NULL && lt_ends_thread(L, -1)))
    lt_throw(L);
  lua_pop(L, 1);
  return false;
}

/*
** Messages that are there
*/

void lt_message_traverse(const lt_Message *message, size_t *position, lt_Visit visit,
                         void *context) {
  if (*position == LT_TRAVERSE_END)
    return;
  size_t end = *position + LT_TRAVERSE_STEP;
  if (end > message->reference_count)
    end = message->reference_count;
  for (; *position < end; ++*position) {
    const lt_Object *object = lt_reference_object(&message->references[*position]);
    if (object != NULL)
      visit(context, object);
  }
  if (end == message->reference_count)
    *position = LT_TRAVERSE_END;
}

static int give_back_protected(lua_State *L) {
  const lt_Reference *reference = lua_touserdata(L, 1);
  lt_message_move->give_back(L, reference->target);
  return 0;
}

void lt_message_give_back(lua_State *L, const lt_Message *message) {
  if (!message->moves || !lua_checkstack(L, 4))
    return;
  for (size_t i = 0; i < message->reference_count; i++) {
    const lt_Reference *reference = &message->references[i];
    if (reference->rule == &lt_message_move->rule &&
        lt_protected_call(L, give_back_protected, (void *)reference, 0, 0) != LUA_OK)
      lua_pop(L, 1);
  }
}

void lt_message_drop_references(lt_Message *message) {
  lt_packer_release_references(message->references, message->reference_count);
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
