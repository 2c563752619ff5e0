/*
** Unpacking walks as packing does, with a stack of frames of its own. What it makes is not seen by
** anyone before all of it is there; the globals come last, all or none. Only the functions that
** make objects anew are called before: with values that are complete, and with the globals so far.
*/
#include "src/transfer/unpacker.h"

#include <stdlib.h>

#include "src/base/growing_array.h"
#include "src/base/probe.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/transfer/bytecode.h"
#include "src/transfer/module_names.h"
#include "src/transfer/received_classes.h"

/*
** Values
*/

static void push_string(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  uint32_t length = lt_unpack_number(unpacker);
  lua_pushlstring(L, (const char *)unpacker->next, length);
  unpacker->next += length;
  lt_unpack_keep(L, slot);
}

static void push_long_string(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  lt_lent_string_push(L, lt_unpack_reference(unpacker)->target);
  lt_unpack_keep(L, slot);
}

_Noreturn void lt_unpack_refuse_depth(lua_State *L, const lt_Unpacker *unpacker) {
  lt_raise(L, &lt_ValueError, "Lua's stack has no room for a value that is nested %I levels deep",
           (lua_Integer)unpacker->depth + 1);
}

lt_UnpackFrame *lt_unpack_push_frame(lua_State *L, lt_Unpacker *unpacker) {
  if (unpacker->depth == unpacker->frame_capacity &&
      !lt_array_grow(&unpacker->frames, unpacker->own_frames, &unpacker->frame_capacity, 0,
                     sizeof(lt_UnpackFrame)))
    lt_raise_memory(L);
  if (!lt_message_room_for_level(L, unpacker->depth))
    lt_unpack_refuse_depth(L, unpacker);
  lt_UnpackFrame *frame = &unpacker->frames[unpacker->depth++];
  memset(frame, 0, sizeof(*frame));
  frame->base = lua_gettop(L);
  return frame;
}

static void unpack_open_table(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  uint32_t array_size = lt_unpack_number(unpacker);
  uint32_t hash_size = lt_unpack_number(unpacker);
  unsigned char has_metatable;
  lt_unpack_bytes(unpacker, &has_metatable, 1);
  bool is_spare = unpacker->body == LT_UNPACK_SPARE;
  if (!lt_unpack_take_body(L, unpacker, slot)) {
    lua_createtable(L, (int)array_size, (int)hash_size);
    lt_unpack_keep(L, is_spare ? 0 : slot);
  }
  lt_UnpackFrame *frame = lt_unpack_push_frame(L, unpacker);
  frame->has_metatable = has_metatable != 0;
}

static bool is_known_class(lua_State *L, lt_ClassIdentity *identity) {
  bool known = lt_class_push_known(L, identity);
  if (known)
    lua_pop(L, 1);
  return known;
}

/* Whoever refers to the table gets the class of this state, if it has that. */
static void unpack_open_class(lua_State *L, lt_Unpacker *unpacker) {
  uint64_t version;
  lt_ClassIdentity *identity = lt_unpack_reference(unpacker)->target;
  lt_unpack_bytes(unpacker, &version, sizeof(version));
  lt_unpack_tag(unpacker);
  uint32_t slot;
  memcpy(&slot, unpacker->next, sizeof(slot));
  bool is_known = unpacker->body != LT_UNPACK_NEW && is_known_class(L, identity);
  bool is_unused = unpacker->body == LT_UNPACK_SPARE && !is_known;
  if (is_known) /* it took the place of what is lacking: this is only the news */
    unpacker->body = LT_UNPACK_SPARE;
  unpack_open_table(L, unpacker);
  if (is_unused)
    return;
  lt_UnpackFrame *frame = &unpacker->frames[unpacker->depth - 1];
  frame->slot = (uint32_t)lt_received_class_begin(L, LT_RECEIVED_CLASSES_PLACE, identity, version,
                                                  &frame->is_known);
  frame->is_class = true;
  if (frame->is_known) {
    lt_unpack_keep(L, slot);
    lua_pop(L, 1);
  }
}

static void unpack_open_variable(lua_State *L, lt_Unpacker *unpacker) {
  lt_ClassIdentity *identity = lt_unpack_reference(unpacker)->target;
  lt_unpack_tag(unpacker);
  unpack_open_table(L, unpacker);
  lt_UnpackFrame *frame = &unpacker->frames[unpacker->depth - 1];
  frame->slot = (uint32_t)lt_received_variable_note(L, LT_RECEIVED_CLASSES_PLACE, identity);
  frame->is_class = true;
}

static void push_class(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  lt_ClassDefinition *definition = lt_unpack_reference(unpacker)->target;
  lt_received_class_push(L, definition, lt_unpack_reference(unpacker)->target);
  lt_unpack_keep(L, slot);
}

static void unpack_open_function(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  const lt_Bytecode *code = lt_unpack_reference(unpacker)->target;
  unsigned char upvalue_count;
  lt_unpack_bytes(unpacker, &upvalue_count, 1);
  bool is_spare = unpacker->body == LT_UNPACK_SPARE;
  if (!lt_unpack_take_body(L, unpacker, slot)) {
    if (lt_bytecode_load(L, code) != LUA_OK)
      lua_error(L);
    lt_unpack_keep(L, is_spare ? 0 : slot);
  }
  lt_unpack_push_frame(L, unpacker)->is_function = true;
}

static void push_named(lua_State *L, lt_Unpacker *unpacker) {
  lt_ModulePath path;
  uint32_t slot = lt_unpack_number(unpacker);
  uint32_t reference = lt_unpack_number(unpacker);
  lt_ModuleContents *module =
      reference == LT_NO_REFERENCE ? NULL : unpacker->message->references[reference].target;
  int base = lua_gettop(L);
  lt_unpack_path(L, unpacker, &path);
  lt_module_names_push(L, &path, module, unpacker->fallback);
  lua_insert(L, base + 1);
  lua_settop(L, base + 1);
  lt_unpack_keep(L, slot);
}

static void unpack_method(lua_State *L, lt_Unpacker *unpacker) {
  lt_Method method;
  uint32_t slot = lt_unpack_number(unpacker);
  lt_unpack_bytes(unpacker, &method, sizeof(method));
  lt_method_push(L, &method);
  lt_unpack_keep(L, slot);
}

static void push_object(lua_State *L, lt_Unpacker *unpacker) {
  lt_Object *object = lt_unpack_reference(unpacker)->target;
  unpacker->end.object = object;
  lt_object_push(L, object);
  unpacker->end.object = NULL;
}

static void push_cfunction(lua_State *L, lt_Unpacker *unpacker) {
  lua_CFunction function;
  lt_unpack_bytes(unpacker, &function, sizeof(function));
  lua_pushcfunction(L, function);
}

static void push_scalar(lua_State *L, lt_Unpacker *unpacker, unsigned char kind) {
  lt_Scalar scalar;
  if (kind >= LT_SCALAR_INTEGER)
    lt_unpack_bytes(unpacker, &scalar, sizeof(scalar));
  lt_scalar_push(L, kind, &scalar);
}

bool lt_unpack_value(lua_State *L, lt_Unpacker *unpacker) {
  lt_Tag tag = lt_unpack_tag(unpacker);
  switch (tag) {
  case LT_TAG_STRING:
    push_string(L, unpacker);
    return true;
  case LT_TAG_LONG_STRING:
    push_long_string(L, unpacker);
    return true;
  case LT_TAG_TABLE:
    unpack_open_table(L, unpacker);
    return false;
  case LT_TAG_CLASS:
    push_class(L, unpacker);
    return true;
  case LT_TAG_VARIABLE_CONTENT:
    unpack_open_variable(L, unpacker);
    return false;
  case LT_TAG_CLASS_CONTENT:
    unpack_open_class(L, unpacker);
    return false;
  case LT_TAG_FUNCTION:
    unpack_open_function(L, unpacker);
    return false;
  case LT_TAG_RULED:
    lt_unpack_ruled(L, unpacker);
    return false;
  case LT_TAG_LATE_FIELD:
  case LT_TAG_LATE_UPVALUE:
    lt_unpack_late(L, unpacker, tag == LT_TAG_LATE_FIELD);
    return false;
  case LT_TAG_SAME:
    lt_unpack_push_kept(L, lt_unpack_number(unpacker));
    return true;
  case LT_TAG_NAMED:
    push_named(L, unpacker);
    return true;
  case LT_TAG_MEMBER:
    lt_unpack_member(L, unpacker);
    return true;
  case LT_TAG_METHOD:
    unpack_method(L, unpacker);
    return true;
  case LT_TAG_OBJECT:
    push_object(L, unpacker);
    return true;
  case LT_TAG_CLASS_METATABLE:
    lt_class_push_metatable(L, lt_unpack_reference(unpacker)->target);
    return true;
  case LT_TAG_FULL_USERDATA:
    lt_unpack_full_userdata(L, unpacker);
    return true;
  case LT_TAG_USERDATA:
    lt_unpack_userdata(L, unpacker);
    return true;
  case LT_TAG_LIBRARY_FUNCTION:
    lt_unpack_library_function(L, unpacker);
    return true;
  case LT_TAG_HIDDEN_FUNCTION:
    lt_unpack_hidden_function(L, unpacker);
    return true;
  case LT_TAG_CFUNCTION:
    push_cfunction(L, unpacker);
    return true;
  case LT_TAG_ENVIRONMENT:
    lua_pushglobaltable(L);
    return true;
  default:
    push_scalar(L, unpacker, (unsigned char)tag);
    return true;
  }
}

/*
** Tables. Above the table lie its metatable, if it has one, and the key of an entry whose value is
** being made.
*/

static void store_entry(lua_State *L, lt_UnpackFrame *frame) {
  frame->pending = false;
  if (!frame->keyed) {
    lua_rawseti(L, frame->base, ++frame->array_size);
  } else if (frame->has_key) {
    lua_rawset(L, frame->base);
    frame->has_key = false;
  } else {
    frame->has_key = true;
  }
}

static void close_table(lua_State *L, lt_Unpacker *unpacker, const lt_UnpackFrame *frame) {
  if (frame->has_metatable)
    lua_setmetatable(L, frame->base);
  if (frame->is_known) {
    lt_received_class_push_known(L, LT_RECEIVED_CLASSES_PLACE, frame->slot);
    lua_replace(L, frame->base);
  }
  unpacker->depth--;
}

static void unpack_step_table(lua_State *L, lt_Unpacker *unpacker, lt_UnpackFrame *frame) {
  if (frame->has_metatable && lua_gettop(L) == frame->base) {
    lt_unpack_value(L, unpacker);
    return;
  }
  if (frame->pending)
    store_entry(L, frame);
  for (;;) {
    lt_Tag tag = lt_unpack_next_tag(unpacker);
    if (tag == LT_TAG_END)
      break;
    if (tag == LT_TAG_KEYED) {
      lt_unpack_tag(unpacker);
      frame->keyed = true;
    }
    frame->pending = true;
    if (!lt_unpack_value(L, unpacker))
      return;
    store_entry(L, frame);
  }
  lt_unpack_tag(unpacker);
  close_table(L, unpacker, frame);
}

/*
** Functions
*/

static void store_in_function(lua_State *L, const lt_Unpacker *unpacker, lt_UnpackFrame *frame) {
  frame->pending = false;
  if (frame->is_global)
    lt_received_globals_add(L, LT_RECEIVED_GLOBALS_PLACE, &frame->stamp, unpacker->globals);
  else
    lua_setupvalue(L, frame->base, frame->upvalue);
}

static void begin_cell(lua_State *L, lt_Unpacker *unpacker, const lt_UnpackFrame *frame) {
  uint32_t slot = lt_unpack_number(unpacker);
  if (slot != 0) {
    lua_pushvalue(L, frame->base);
    lt_unpack_keep(L, slot);
    lua_pop(L, 1);
    unpacker->cells[slot] = (unsigned char)frame->upvalue;
  }
}

static void join_cell(lua_State *L, lt_Unpacker *unpacker, const lt_UnpackFrame *frame) {
  uint32_t slot = lt_unpack_number(unpacker);
  lt_unpack_push_kept(L, slot);
  lua_upvaluejoin(L, frame->base, frame->upvalue, -1, unpacker->cells[slot]);
  lua_pop(L, 1);
}

/* One upvalue or one global. */
static void step_function(lua_State *L, lt_Unpacker *unpacker, lt_UnpackFrame *frame) {
  if (frame->pending)
    store_in_function(L, unpacker, frame);
  lt_Tag tag = lt_unpack_tag(unpacker);
  if (tag == LT_TAG_END) {
    unpacker->depth--;
    return;
  }
  frame->is_global = tag == LT_TAG_GLOBAL;
  if (frame->is_global) {
    lt_unpack_number(unpacker);
    lt_unpack_bytes(unpacker, &frame->stamp, sizeof(frame->stamp));
    lt_unpack_name(L, unpacker);
  } else {
    frame->upvalue++;
  }
  if (tag == LT_TAG_SAME_CELL) {
    join_cell(L, unpacker, frame);
  } else if (tag == LT_TAG_ENVIRONMENT) {
    lua_pushglobaltable(L);
    lua_setupvalue(L, frame->base, frame->upvalue);
  } else {
    if (tag == LT_TAG_CELL)
      begin_cell(L, unpacker, frame);
    frame->pending = true;
    if (lt_unpack_value(L, unpacker))
      store_in_function(L, unpacker, frame);
  }
}

/*
** The whole
*/

void lt_unpack_whole(lua_State *L, lt_Unpacker *unpacker) {
  lt_unpack_value(L, unpacker);
  while (unpacker->depth > 0) {
    lt_UnpackFrame *frame = &unpacker->frames[unpacker->depth - 1];
    if (frame->is_function)
      step_function(L, unpacker, frame);
    else if (frame->is_ruled)
      lt_unpack_ruled_step(L, unpacker, frame);
    else if (frame->is_late)
      lt_unpack_late_step(L, unpacker, frame);
    else
      unpack_step_table(L, unpacker, frame);
  }
}

void lt_unpack_late_metatables(lua_State *L, lt_Unpacker *unpacker) {
  while (lt_unpack_tag(unpacker) == LT_TAG_LATE_METATABLE) {
    lt_unpack_push_kept(L, lt_unpack_number(unpacker));
    lt_received_class_take_content(L, LT_RECEIVED_CLASSES_PLACE);
    lt_unpack_push_kept(L, lt_unpack_number(unpacker));
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

static void make_slots(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t count = unpacker->message->slot_count;
  if (count > 0) {
    unpacker->cells = calloc(2, (size_t)count + 1);
    if (unpacker->cells == NULL)
      lt_raise_memory(L);
    unpacker->lacking = unpacker->cells + count + 1;
  }
  if (count > LT_STACK_SLOTS)
    lua_createtable(L, (int)count, 0);
  lua_settop(L, LT_SLOTS_PLACE + (int)(count < LT_STACK_SLOTS ? count : LT_STACK_SLOTS));
}

static void unpack_object_datum(lua_State *L, lt_Unpacker *unpacker) {
  lt_unpack_tag(unpacker);
  lt_check_stack(L, LUA_MINSTACK);
  lua_pushlightuserdata(L, lt_unpack_reference(unpacker)->target);
  lt_unpack_whole(L, unpacker);
  lt_unpack_whole(L, unpacker);
  lt_received_object_datum_note(L, LT_OBJECT_DATA_PLACE);
}

/* What lies behind the values and belongs to them. */
static void unpack_rest(lua_State *L, lt_Unpacker *unpacker) {
  for (;;) {
    if (lt_unpack_next_is_late(unpacker))
      lt_unpack_whole(L, unpacker);
    else if (lt_unpack_next_tag(unpacker) == LT_TAG_OBJECT_DATUM)
      unpack_object_datum(L, unpacker);
    else
      return;
  }
}

static int unpack_protected(lua_State *L) {
  lt_Unpacker *unpacker = lua_touserdata(L, LT_UNPACKER_PLACE);
  const lt_Message *message = unpacker->message;
  if (!lt_stack_room(L, message->count + LT_STACK_SLOTS + lt_working_room(message->count)))
    lt_raise(L, &lt_ValueError, "too many values (%d) for Lua's stack", message->count);
  lua_settop(L, LT_SLOTS_PLACE - 1); /* the globals and the classes: nil before the first one */
  make_slots(L, unpacker);
  for (int i = 0; i < message->count; i++)
    lt_unpack_whole(L, unpacker);
  if (message->has_rest) {
    unpack_rest(L, unpacker);
    lt_unpack_late_metatables(L, unpacker);
    lt_unpack_modules(L, unpacker);
  }
  lt_received_classes_settle(L, LT_RECEIVED_CLASSES_PLACE);
  if (message->has_rest)
    lt_received_object_data_settle(L, LT_OBJECT_DATA_PLACE);
  lt_received_globals_set(L, LT_RECEIVED_GLOBALS_PLACE);
  return message->count;
}

int lt_try_unpack(lua_State *L, const lt_Message *message, lt_GlobalsRule globals) {
  lt_Unpacker unpacker;
  unpacker.message = message;
  unpacker.next = message->bytes;
  unpacker.frames = unpacker.own_frames;
  unpacker.depth = 0;
  unpacker.frame_capacity = LT_UNPACKER_FRAMES;
  unpacker.cells = NULL;
  unpacker.settled_classes = 0;
  unpacker.globals = globals;
  unpacker.body = LT_UNPACK_NEW;
  unpacker.fallback = false;
  unpacker.modules = NULL;
  unpacker.module_count = 0;
  unpacker.module_capacity = 0;
  if (!lua_checkstack(L, 4)) {
    lua_pushliteral(L, "stack overflow (too many values)");
    return LUA_ERRRUN;
  }
  int base = lua_gettop(L);
  lt_unpack_end_begin(L, &unpacker.end);
  /* LUA_MULTRET: a fixed number must fit into a short */
  int status = lt_protected_call(L, unpack_protected, &unpacker, 0, LUA_MULTRET);
  free(unpacker.cells);
  free(unpacker.modules);
  if (unpacker.frames != unpacker.own_frames)
    free(unpacker.frames);
  const lt_Probe *probe = lt_probe_get();
  if (probe != NULL && status == LUA_OK)
    probe->message(L, false, message->size);
  return lt_unpack_end_run(L, &unpacker.end, status, base);
}

int lt_unpack(lua_State *L, const lt_Message *message, lt_GlobalsRule globals) {
  if (lt_try_unpack(L, message, globals) != LUA_OK)
    lt_throw(L);
  return message->count;
}
