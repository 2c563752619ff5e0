/*
** Functions. A Lua function takes along its code, its upvalues and the globals that it names. A C
** function goes by its address; a method of an object of lthread by its type and name.
*/
#include "src/transfer/packer.h"

#include "platform/platform.h"
#include "src/base/library_functions.h"
#include "src/base/stack_room.h"
#include "src/state/files.h"

/*
** Lua functions
*/

/* Calls nothing that a hook of the user's would see. */
static const lt_Bytecode *add_code(lua_State *L, lt_Packer *packer, int function, int environment,
                                   uint32_t *reference) {
  lt_Bytecode *known = lt_bytecode_find(L, function, environment);
  if (known != NULL) {
    *reference = lt_packer_add_object(L, packer, &known->object);
    return known;
  }
  lt_packer_reserve_reference(L, packer);
  lt_Bytecode *code = lt_bytecode_new(L, function, environment);
  *reference = lt_packer_add_reference(packer, NULL, code);
  lt_bytecode_keep(L, function, code);
  return code;
}

static void pack_open_function(lua_State *L, lt_Packer *packer) {
  int function = lua_gettop(L);
  packer->has_function = true;
  if (packer->refers_to_classes) {
    packer->whole_variables = true;
    lt_pack_classes_whole(packer);
    lua_pop(L, 1);
    return;
  }
  if (!lt_stack_room(L, 20))
    lt_pack_refuse_depth(L, packer);
  int environment = lt_pack_environment_find(L, packer, function);
  if (packer->starts_over) {
    lua_pop(L, 1);
    return;
  }
  uint32_t reference;
  const lt_Bytecode *code = add_code(L, packer, function, environment, &reference);
  lt_packer_write_tag(L, packer, LT_TAG_FUNCTION);
  size_t node = lt_packer_add_node(L, packer, lua_topointer(L, -1), true);
  lt_PackFrame *frame = lt_packer_push_frame(L, packer, node);
  frame->is_function = true;
  frame->phase = LT_PACK_UPVALUE;
  frame->code = code;
  frame->takes_list = !packer->list_taken && lua_istable(L, LT_CHOICE_PLACE);
  packer->list_taken = true;
  while (lua_getupvalue(L, function, frame->upvalue_count + 1) != NULL) {
    lua_pop(L, 1);
    frame->upvalue_count++;
  }
  unsigned char upvalue_count = (unsigned char)frame->upvalue_count;
  lt_packer_write(L, packer, &reference, sizeof(reference));
  lt_packer_write(L, packer, &upvalue_count, 1);
}

/*
** Code that runs while values are packed may have joined the function to another cell; then the
** address of the one that was met is not known to be its own any more.
*/
static size_t find_cell(lua_State *L, lt_Packer *packer, const void *cell) {
  size_t node = lt_packer_find_address(packer, cell);
  if (node == 0 || packer->anchors == 0)
    return node;
  int upvalue = packer->nodes[node].upvalue;
  lua_rawgeti(L, packer->anchors, (lua_Integer)node);
  bool is_own = upvalue != 0 && lua_upvalueid(L, -1, upvalue) == cell;
  lua_pop(L, 1);
  if (is_own)
    return node;
  lt_packer_forget_cell(packer, node);
  return 0;
}

static void pack_upvalue(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  const void *cell = lua_upvalueid(L, frame->base, frame->position);
  if (frame->position == frame->code->environment) {
    lt_packer_write_tag(L, packer, LT_TAG_ENVIRONMENT);
    return;
  }
  size_t node = find_cell(L, packer, cell);
  if (node != 0) {
    lt_packer_refer(L, packer, node);
    uint32_t slot = lt_packer_slot_of(packer, node);
    lt_packer_write_tagged(L, packer, LT_TAG_SAME_CELL, &slot, sizeof(slot));
    return;
  }
  lt_packer_write_tag(L, packer, LT_TAG_CELL);
  node = lt_packer_add_node(L, packer, cell, true);
  packer->nodes[node].upvalue = frame->position;
  frame->value_node = node;
  lua_getupvalue(L, frame->base, frame->position);
  lt_pack_value(L, packer);
}

/* The global on the top is one that every state has under this name. */
static bool is_standard(lua_State *L, const char *name) {
  lt_ModulePath path;
  if (!lua_isfunction(L, -1) && !lua_istable(L, -1))
    return false;
  return lt_packer_find_path(L, lua_topointer(L, -1), &path) &&
         lt_module_names_is_standard_global(&path, name);
}

/*
** The address of a global's name, which is on the top: a short one is a constant of the function or
** in the sender's list, and Lua keeps equal ones as one string. Of a long one it says nothing: NULL.
*/
static const void *address_of_name(lua_State *L) {
  return lua_rawlen(L, -1) <= LT_LONGEST_SHORT_STRING ? lua_tostring(L, -1) : NULL;
}

/* The beginning of a global. */
static void write_global(lua_State *L, lt_Packer *packer, lt_PackFrame *frame, const void *address,
                         const lt_GlobalStamp *stamp) {
  static const uint32_t no_slot = 0;
  lt_packer_write_tag(L, packer, LT_TAG_GLOBAL);
  if (address == NULL) {
    lt_packer_write(L, packer, &no_slot, sizeof(no_slot));
  } else {
    lua_pushvalue(L, frame->base);
    frame->value_node = lt_packer_add_node(L, packer, address, true);
    lua_pop(L, 1);
  }
  lt_packer_write(L, packer, stamp, sizeof(*stamp));
}

/* Returns false if it runs code, and packing must start over for it. */
static bool push_environment(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame) {
  if (frame->code->environment == LT_NO_ENVIRONMENT)
    lua_pushglobaltable(L);
  else
    lua_getupvalue(L, frame->base, frame->code->environment);
  if (packer->anchors == 0 && lt_pack_environment_runs_code(L)) {
    lt_packer_demand_anchors(packer);
    lua_pop(L, 1);
  }
  return !packer->starts_over;
}

/* Pushes its value in the function's environment; false as above. */
static bool push_global(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame) {
  if (!push_environment(L, packer, frame))
    return false;
  lua_pushvalue(L, -2);
  lua_gettable(L, -2);
  lua_remove(L, -2);
  return true;
}

static void pack_global(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  lt_GlobalStamp stamp;
  size_t length;
  lt_packer_push_global_name(L, frame);
  int name = lua_gettop(L);
  const char *bytes = lua_tolstring(L, name, &length);
  const void *address = address_of_name(L);
  size_t met = address == NULL ? 0 : lt_packer_find_node(packer, address);
  if (met != 0)
    lt_packer_refer(L, packer, met);
  if (met != 0 || !push_global(L, packer, frame) || is_standard(L, bytes) ||
      !lt_received_globals_stamp(L, &stamp)) {
    lua_settop(L, name - 1);
    return;
  }
  write_global(L, packer, frame, address, &stamp);
  lt_packer_write_string(L, packer, bytes, length);
  lua_remove(L, name);
  lt_pack_value(L, packer);
}

/* The upvalue or global before, if there was one, is packed. */
static void close_value(lt_Packer *packer, lt_PackFrame *frame) {
  if (frame->value_node != 0)
    lt_packer_close_node(packer, frame->value_node, frame->low);
  frame->value_node = 0;
}

/* Those that it names, unless the sender has chosen others. */
static int count_globals(lua_State *L, const lt_PackFrame *frame) {
  if (lua_isnil(L, LT_CHOICE_PLACE))
    return (int)frame->code->name_count;
  return frame->takes_list ? (int)lua_rawlen(L, LT_CHOICE_PLACE) : 0;
}

void lt_pack_function_step(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  close_value(packer, frame);
  if (frame->phase == LT_PACK_UPVALUE && frame->position == frame->upvalue_count) {
    frame->phase = LT_PACK_NAME;
    frame->position = 0;
  }
  if (frame->phase == LT_PACK_NAME && frame->position == count_globals(L, frame)) {
    lt_packer_close_frame(L, packer, frame);
    return;
  }
  frame->position++;
  if (frame->phase == LT_PACK_UPVALUE)
    pack_upvalue(L, packer, frame);
  else
    pack_global(L, packer, frame);
}

/*
** C functions
*/

/* A C function may be called in another state only while its library is there. */
static void pin_function(const void *address) {
  enum { REMEMBERED = 64 };
  static _Atomic(const void *) pinned[REMEMBERED];
  _Atomic(const void *) *place = &pinned[((uintptr_t)address >> 4) % REMEMBERED];
  /* Relaxed: it only saves doing again what is harmless to do again. */
  if (atomic_load_explicit(place, memory_order_relaxed) != address) {
    plat_pin_library(address);
    atomic_store_explicit(place, address, memory_order_relaxed);
  }
}

/* Those that a script meets are iterators. */
static const char *describe_closure(lua_CFunction function) {
  if (function == lt_library_function(LT_LIBRARY_GMATCH_ITERATOR))
    return "an iterator of string.gmatch";
  if (function == lt_library_function(LT_LIBRARY_LINE_ITERATOR) || function == lt_files_iterator)
    return "an iterator of io.lines";
  if (function == lt_library_function(LT_LIBRARY_WRAPPED))
    return "an iterator of coroutine.wrap";
  return "a C function with upvalues";
}

static void pack_c_function(lua_State *L, lt_Packer *packer) {
  lua_CFunction function = lua_tocfunction(L, -1);
  if (lua_getupvalue(L, -1, 1) != NULL)
    lt_pack_refuse(L, packer, describe_closure(function));
  const void *address = lua_topointer(L, -1);
  pin_function(address);
  lt_packer_write_tagged(L, packer, LT_TAG_CFUNCTION, &function, sizeof(function));
  lua_pop(L, 1);
}

static bool pack_if_method(lua_State *L, lt_Packer *packer) {
  lt_Method method;
  if (!lt_method_find(L, -1, &method))
    return false;
  lt_packer_write_tag(L, packer, LT_TAG_METHOD);
  lt_packer_add_node(L, packer, lua_topointer(L, -1), false);
  lt_packer_write(L, packer, &method, sizeof(method));
  lua_pop(L, 1);
  return true;
}

void lt_pack_function(lua_State *L, lt_Packer *packer) {
  if (!lua_iscfunction(L, -1))
    pack_open_function(L, packer);
  else if (!pack_if_method(L, packer))
    pack_c_function(L, packer);
}
