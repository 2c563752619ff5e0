/*
** Unpacking walks as packing does, with a stack of frames of its own. What it makes is not seen by
** anyone before all of it is there; the globals come last, all or none.
*/
#include "src/transfer/message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/growing_array.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/transfer/bytecode.h"
#include "src/transfer/module_names.h"

/*
** Where things lie on the Lua stack of unpack_protected. Behind SLOTS, a table, lie those of the
** first slots that the message has.
*/
enum { UNPACKER = 1, RECEIVED_GLOBALS, SLOTS };

enum { STACK_SLOTS = 32 };

typedef struct Frame {
  bool is_function;
  bool has_metatable;
  bool keyed;
  bool has_key;   /* the key of the next entry lies on the stack */
  bool pending;   /* a value that has just been made is to be stored */
  bool is_global; /* function: the pending value is one */
  int base;
  lua_Integer array_size;
  int upvalue;
} Frame;

enum { OWN_FRAMES = 8 };

typedef struct Unpacker {
  const lt_Message *message;
  const unsigned char *next;
  Frame *frames;
  size_t depth;
  size_t frame_capacity;
  unsigned char *cells; /* for a slot that is a cell: its number among the upvalues of a function */
  lt_GlobalsRule globals;
  Frame own_frames[OWN_FRAMES]; /* suffice for a small value */
} Unpacker;

/*
** Reading
*/

static lt_Tag read_tag(Unpacker *unpacker) {
  return (lt_Tag)*unpacker->next++;
}

static lt_Tag peek_tag(const Unpacker *unpacker) {
  return (lt_Tag)*unpacker->next;
}

static void read_bytes(Unpacker *unpacker, void *into, size_t size) {
  memcpy(into, unpacker->next, size);
  unpacker->next += size;
}

static uint32_t read_number(Unpacker *unpacker) {
  uint32_t number;
  read_bytes(unpacker, &number, sizeof(number));
  return number;
}

/* The name of a global, or a step of a path. */
static void push_name(lua_State *L, Unpacker *unpacker) {
  size_t length;
  read_bytes(unpacker, &length, sizeof(length));
  lua_pushlstring(L, (const char *)unpacker->next, length);
  unpacker->next += length;
}

static const lt_Reference *read_reference(Unpacker *unpacker) {
  return &unpacker->message->references[read_number(unpacker)];
}

/* Keeps the value on the top for those that come again. */
static inline void unpack_keep(lua_State *L, uint32_t slot) {
  if (slot == 0)
    return;
  if (slot <= STACK_SLOTS) {
    lua_copy(L, -1, SLOTS + (int)slot);
  } else {
    lua_pushvalue(L, -1);
    lua_rawseti(L, SLOTS, slot);
  }
}

static inline void push_kept(lua_State *L, uint32_t slot) {
  if (slot <= STACK_SLOTS)
    lua_pushvalue(L, SLOTS + (int)slot);
  else
    lua_rawgeti(L, SLOTS, slot);
}

/*
** Values
*/

static void push_string(lua_State *L, Unpacker *unpacker) {
  uint32_t slot = read_number(unpacker);
  uint32_t length = read_number(unpacker);
  lua_pushlstring(L, (const char *)unpacker->next, length);
  unpacker->next += length;
  unpack_keep(L, slot);
}

static void push_long_string(lua_State *L, Unpacker *unpacker) {
  uint32_t slot = read_number(unpacker);
  lt_lent_string_push(L, read_reference(unpacker)->target);
  unpack_keep(L, slot);
}

static Frame *push_frame(lua_State *L, Unpacker *unpacker) {
  if (unpacker->depth == unpacker->frame_capacity &&
      !lt_array_grow(&unpacker->frames, unpacker->own_frames, &unpacker->frame_capacity, 0,
                     sizeof(Frame)))
    lt_raise_memory(L);
  if (!lt_message_room_for_level(L, unpacker->depth))
    lt_raise(L, &lt_ValueError, "Lua's stack has no room for a value that is nested %I levels deep",
             (lua_Integer)unpacker->depth + 1);
  Frame *frame = &unpacker->frames[unpacker->depth++];
  memset(frame, 0, sizeof(*frame));
  frame->base = lua_gettop(L);
  return frame;
}

static void unpack_open_table(lua_State *L, Unpacker *unpacker) {
  uint32_t slot = read_number(unpacker);
  uint32_t array_size = read_number(unpacker);
  uint32_t hash_size = read_number(unpacker);
  unsigned char has_metatable;
  read_bytes(unpacker, &has_metatable, 1);
  lua_createtable(L, (int)array_size, (int)hash_size);
  unpack_keep(L, slot);
  Frame *frame = push_frame(L, unpacker);
  frame->has_metatable = has_metatable != 0;
}

static void unpack_open_function(lua_State *L, Unpacker *unpacker) {
  uint32_t slot = read_number(unpacker);
  const lt_Bytecode *code = read_reference(unpacker)->target;
  unsigned char upvalue_count;
  read_bytes(unpacker, &upvalue_count, 1);
  if (lt_bytecode_load(L, code) != LUA_OK)
    lua_error(L);
  unpack_keep(L, slot);
  push_frame(L, unpacker)->is_function = true;
}

static void push_named(lua_State *L, Unpacker *unpacker) {
  lt_ModulePath path;
  unsigned char length;
  uint32_t slot = read_number(unpacker);
  uint32_t reference = read_number(unpacker);
  const lt_ModuleContents *module =
      reference == LT_NO_REFERENCE ? NULL : unpacker->message->references[reference].target;
  read_bytes(unpacker, &length, 1);
  int base = lua_gettop(L);
  lt_check_stack(L, LT_MODULE_PATH_LONGEST + 10);
  path.length = length;
  for (int i = 0; i < path.length; i++) {
    size_t size;
    memcpy(&size, unpacker->next, sizeof(size));
    if (size == LT_NO_STEP) {
      unpacker->next += sizeof(size);
      path.steps[i] = NULL;
    } else {
      push_name(L, unpacker);
      path.steps[i] = lua_tostring(L, -1);
    }
  }
  lt_module_names_push(L, &path, module);
  lua_insert(L, base + 1);
  lua_settop(L, base + 1);
  unpack_keep(L, slot);
}

static void unpack_method(lua_State *L, Unpacker *unpacker) {
  lt_Method method;
  uint32_t slot = read_number(unpacker);
  read_bytes(unpacker, &method, sizeof(method));
  lt_method_push(L, &method);
  unpack_keep(L, slot);
}

static void push_userdata(lua_State *L, Unpacker *unpacker) {
  const lt_Reference *reference = read_reference(unpacker);
  int top = lua_gettop(L);
  lt_check_stack(L, LUA_MINSTACK);
  reference->rule->receive(L, reference->target);
  if (lua_gettop(L) == top)
    lua_pushnil(L);
  lua_settop(L, top + 1);
}

static void push_cfunction(lua_State *L, Unpacker *unpacker) {
  lua_CFunction function;
  read_bytes(unpacker, &function, sizeof(function));
  lua_pushcfunction(L, function);
}

static void push_scalar(lua_State *L, Unpacker *unpacker, unsigned char kind) {
  lt_Scalar scalar;
  if (kind >= LT_SCALAR_INTEGER)
    read_bytes(unpacker, &scalar, sizeof(scalar));
  lt_scalar_push(L, kind, &scalar);
}

/* Pushes the next value. Returns whether it is complete; otherwise its frame goes on with it. */
static bool push_value(lua_State *L, Unpacker *unpacker) {
  lt_Tag tag = read_tag(unpacker);
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
  case LT_TAG_FUNCTION:
    unpack_open_function(L, unpacker);
    return false;
  case LT_TAG_SAME:
    push_kept(L, read_number(unpacker));
    return true;
  case LT_TAG_NAMED:
    push_named(L, unpacker);
    return true;
  case LT_TAG_METHOD:
    unpack_method(L, unpacker);
    return true;
  case LT_TAG_OBJECT:
    lt_object_push(L, read_reference(unpacker)->target);
    return true;
  case LT_TAG_CLASS_METATABLE:
    lt_class_push_metatable(L, read_reference(unpacker)->target);
    return true;
  case LT_TAG_USERDATA:
    push_userdata(L, unpacker);
    return true;
  case LT_TAG_CFUNCTION:
    push_cfunction(L, unpacker);
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

static void store_entry(lua_State *L, Frame *frame) {
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

static void close_table(lua_State *L, Unpacker *unpacker, const Frame *frame) {
  if (frame->has_metatable)
    lua_setmetatable(L, frame->base);
  unpacker->depth--;
}

static void unpack_step_table(lua_State *L, Unpacker *unpacker, Frame *frame) {
  if (frame->has_metatable && lua_gettop(L) == frame->base) {
    push_value(L, unpacker);
    return;
  }
  if (frame->pending)
    store_entry(L, frame);
  for (;;) {
    lt_Tag tag = peek_tag(unpacker);
    if (tag == LT_TAG_END)
      break;
    if (tag == LT_TAG_KEYED) {
      read_tag(unpacker);
      frame->keyed = true;
    }
    frame->pending = true;
    if (!push_value(L, unpacker))
      return;
    store_entry(L, frame);
  }
  read_tag(unpacker);
  close_table(L, unpacker, frame);
}

/*
** Functions
*/

static void store_in_function(lua_State *L, Frame *frame) {
  frame->pending = false;
  if (frame->is_global)
    lua_rawset(L, RECEIVED_GLOBALS);
  else
    lua_setupvalue(L, frame->base, frame->upvalue);
}

static void begin_cell(lua_State *L, Unpacker *unpacker, const Frame *frame) {
  uint32_t slot = read_number(unpacker);
  if (slot != 0) {
    lua_pushvalue(L, frame->base);
    unpack_keep(L, slot);
    lua_pop(L, 1);
    unpacker->cells[slot] = (unsigned char)frame->upvalue;
  }
}

static void join_cell(lua_State *L, Unpacker *unpacker, const Frame *frame) {
  uint32_t slot = read_number(unpacker);
  push_kept(L, slot);
  lua_upvaluejoin(L, frame->base, frame->upvalue, -1, unpacker->cells[slot]);
  lua_pop(L, 1);
}

/* One upvalue or one global. */
static void step_function(lua_State *L, Unpacker *unpacker, Frame *frame) {
  if (frame->pending)
    store_in_function(L, frame);
  lt_Tag tag = read_tag(unpacker);
  if (tag == LT_TAG_END) {
    unpacker->depth--;
    return;
  }
  frame->is_global = tag == LT_TAG_GLOBAL;
  if (frame->is_global) {
    if (lua_isnil(L, RECEIVED_GLOBALS)) {
      lua_newtable(L);
      lua_replace(L, RECEIVED_GLOBALS);
    }
    read_number(unpacker);
    push_name(L, unpacker);
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
    if (push_value(L, unpacker))
      store_in_function(L, frame);
  }
}

/*
** The whole
*/

static void unpack_value(lua_State *L, Unpacker *unpacker) {
  push_value(L, unpacker);
  while (unpacker->depth > 0) {
    Frame *frame = &unpacker->frames[unpacker->depth - 1];
    if (frame->is_function)
      step_function(L, unpacker, frame);
    else
      unpack_step_table(L, unpacker, frame);
  }
}

static void set_late_metatables(lua_State *L, Unpacker *unpacker) {
  while (read_tag(unpacker) == LT_TAG_LATE_METATABLE) {
    push_kept(L, read_number(unpacker));
    push_kept(L, read_number(unpacker));
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
}

static void make_slots(lua_State *L, Unpacker *unpacker) {
  uint32_t count = unpacker->message->slot_count;
  if (count > 0) {
    unpacker->cells = malloc((size_t)count + 1);
    if (unpacker->cells == NULL)
      lt_raise_memory(L);
  }
  if (count > STACK_SLOTS)
    lua_createtable(L, (int)count, 0);
  lua_settop(L, SLOTS + (int)(count < STACK_SLOTS ? count : STACK_SLOTS));
}

static int unpack_protected(lua_State *L) {
  Unpacker *unpacker = lua_touserdata(L, UNPACKER);
  const lt_Message *message = unpacker->message;
  if (!lt_stack_room(L, message->count + STACK_SLOTS + lt_working_room(message->count)))
    lt_raise(L, &lt_ValueError, "too many values (%d) for Lua's stack", message->count);
  lua_pushnil(L); /* the globals, when there are any */
  make_slots(L, unpacker);
  for (int i = 0; i < message->count; i++)
    unpack_value(L, unpacker);
  set_late_metatables(L, unpacker);
  if (lua_istable(L, RECEIVED_GLOBALS))
    lt_received_globals_set(L, RECEIVED_GLOBALS, unpacker->globals);
  return message->count;
}

int lt_try_unpack(lua_State *L, const lt_Message *message, lt_GlobalsRule globals) {
  Unpacker unpacker;
  unpacker.message = message;
  unpacker.next = message->bytes;
  unpacker.frames = unpacker.own_frames;
  unpacker.depth = 0;
  unpacker.frame_capacity = OWN_FRAMES;
  unpacker.cells = NULL;
  unpacker.globals = globals;
  if (!lua_checkstack(L, 4)) {
    lua_pushliteral(L, "stack overflow (too many values)");
    return LUA_ERRRUN;
  }
  /* LUA_MULTRET: a fixed number must fit into a short */
  int status = lt_protected_call(L, unpack_protected, &unpacker, 0, LUA_MULTRET);
  free(unpacker.cells);
  if (unpacker.frames != unpacker.own_frames)
    free(unpacker.frames);
  return status;
}

int lt_unpack(lua_State *L, const lt_Message *message, lt_GlobalsRule globals) {
  if (lt_try_unpack(L, message, globals) != LUA_OK)
    lt_throw(L);
  return message->count;
}
