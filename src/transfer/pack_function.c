/*
** Functions. A Lua function takes along its code, its upvalues and the globals that it names. A C
** function goes by its address; a method of an object of lthread by its type and name.
*/
#include "src/transfer/packer.h"

#include "platform/platform.h"
#include "src/base/library_functions.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/files.h"
#include "src/state/lua_traits.h"

/*
** Lua functions
*/

/* Calls nothing that a hook of the user's would see. */
const lt_Bytecode *lt_pack_new_code(lua_State *L, lt_Packer *packer, int function,
                                    const lt_UpvalueSet *globals, uint32_t *reference) {
  lt_packer_reserve_reference(L, packer);
  *reference = lt_packer_add_reference(packer, NULL, lt_bytecode_begin(L));
  void **target = &packer->references[*reference].target;
  lt_bytecode_dump(L, function, globals, target);
  lt_bytecode_keep(L, function, *target);
  return *target;
}

static const lt_Bytecode *add_code(lua_State *L, lt_Packer *packer, int function,
                                   const lt_UpvalueSet *globals, uint32_t *reference) {
  lt_Bytecode *known = lt_bytecode_find(L, function, globals);
  if (known == NULL)
    return lt_pack_new_code(L, packer, function, globals, reference);
  *reference = lt_packer_add_object(L, packer, &known->object);
  return known;
}

/* Whether there are globals that it may name. */
static bool has_environment(const lt_UpvalueSet *globals) {
  static const lt_UpvalueSet none;
  return memcmp(globals, &none, sizeof(none)) != 0;
}

static _Noreturn void refuse_unknown(lua_State *L, lt_Packer *packer) {
  lt_pack_refuse_advised(
      L, packer, &lt_TypeError, "a function that has globals",
      lua_pushfstring(
          L, "which ones can't be told, since the bytecode of this Lua is not that of %s%s",
          LUA_VERSION,
          packer->may_choose ? ": {globals = {\"name\"}} takes those of a list along, "
                               "{globals = false} none"
                             : ""));
}

const lt_Bytecode *lt_pack_code(lua_State *L, lt_Packer *packer, int function, int *upvalue_count,
                                uint32_t *reference) {
  packer->has_function = true;
  if (packer->refers_to_classes) {
    packer->whole_variables = true;
    lt_pack_classes_whole(packer);
    return NULL;
  }
  if (!lt_stack_room(L, 20))
    lt_pack_refuse_depth(L, packer);
  lt_UpvalueSet globals;
  *upvalue_count = lt_pack_environment_find(L, packer, function, &globals);
  if (packer->starts_over)
    return NULL;
  const lt_Bytecode *code = add_code(L, packer, function, &globals, reference);
  if (!code->names.are_known && has_environment(&globals) && lua_isnil(L, LT_CHOICE_PLACE))
    refuse_unknown(L, packer);
  return code;
}

static void pack_open_function(lua_State *L, lt_Packer *packer) {
  int function = lua_gettop(L);
  int upvalue_count;
  uint32_t reference;
  const lt_Bytecode *code = lt_pack_code(L, packer, function, &upvalue_count, &reference);
  if (code == NULL) {
    lua_pop(L, 1);
    return;
  }
  lt_packer_write_tag(L, packer, LT_TAG_FUNCTION);
  size_t node = lt_packer_add_node(L, packer, lua_topointer(L, -1), true);
  lt_PackFrame *frame = lt_packer_push_frame(L, packer, node);
  frame->is_function = true;
  frame->phase = LT_PACK_UPVALUE;
  frame->code = code;
  frame->takes_list = !packer->list_taken && lua_istable(L, LT_CHOICE_PLACE);
  packer->list_taken = true;
  frame->upvalue_count = upvalue_count;
  unsigned char written_count = (unsigned char)upvalue_count;
  lt_packer_write(L, packer, &reference, sizeof(reference));
  lt_packer_write(L, packer, &written_count, 1);
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

/* What has the globals in the upvalue that the frame is at: a variable of any other name may be
** assigned, and so crosses as one. */
static bool is_environment(lua_State *L, const lt_PackFrame *frame) {
  const char *name = lua_getupvalue(L, frame->base, frame->position);
  lua_pop(L, 1);
  return strcmp(name, "_ENV") == 0;
}

static void pack_upvalue(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  const void *cell = lua_upvalueid(L, frame->base, frame->position);
  bool has_globals = lt_upvalue_set_has(&frame->code->globals, frame->position);
  if (has_globals && is_environment(L, frame)) {
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
  if (has_globals) {
    lt_packer_write_tag(L, packer, LT_TAG_ENVIRONMENT);
    return;
  }
  lua_getupvalue(L, frame->base, frame->position);
  if (packer->anchors == 0 || !lt_pack_late_upvalue(L, packer, node))
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
  bool is_one =
      lt_lua_has(LT_LUA_SHARES_SHORT_STRINGS) && lua_rawlen(L, -1) <= LT_LONGEST_SHORT_STRING;
  return is_one ? lua_tostring(L, -1) : NULL;
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

static int get_field(lua_State *L) {
  lua_gettable(L, 1);
  return 1;
}

/*
** Puts the field, whose name is on the top, of the table below in the place of both. What raises an
** error there, as strict modules do, has no such global. False: it runs code, and packing must
** start over for it.
*/
static bool take_global(lua_State *L, lt_Packer *packer) {
  lua_pushvalue(L, -2);
  bool runs_code = lt_pack_environment_runs_code(L);
  lua_pop(L, 1);
  if (runs_code && packer->anchors == 0) {
    lt_packer_demand_anchors(packer);
    return false;
  }
  lua_pushcfunction(L, get_field);
  lua_insert(L, -3);
  if (!runs_code) {
    lua_call(L, 2, 1);
    return true;
  }
  int status = lua_pcall(L, 2, 1, 0);
  if (status == LUA_ERRMEM || (status != LUA_OK && lt_ends_thread(L, -1)))
    lt_throw(L);
  if (status != LUA_OK) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return true;
}

/* Where the global that the frame is at is looked up. */
static lt_Globals place_of_global(const lt_PackFrame *frame) {
  if (!frame->takes_list)
    return frame->code->names.list[frame->position - 1].globals;
  int upvalue = 1;
  while (upvalue <= frame->upvalue_count && !lt_upvalue_set_has(&frame->code->globals, upvalue))
    upvalue++;
  return upvalue <= frame->upvalue_count ? (lt_Globals)upvalue : 0;
}

/* Pushes the value of the global whose name is on the top. False as above. */
static bool push_global(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame) {
  int name = lua_gettop(L);
  lt_Globals globals = place_of_global(frame);
  if (lua_getupvalue(L, frame->base, globals & LT_GLOBALS_UPVALUE) == NULL)
    lua_pushglobaltable(L);
  if (globals & LT_GLOBALS_FIELD) {
    lua_pushliteral(L, LUA_GNAME);
    if (!take_global(L, packer))
      return false;
    if (!lua_istable(L, -1))
      return true; /* no globals; so it is none */
  }
  lua_pushvalue(L, name);
  return take_global(L, packer);
}

/*
** The same for one that is guessed: nil if it can't cross. Nobody asked for it, so nothing runs for
** it.
*/
static bool push_guessed(lua_State *L, lt_Packer *packer) {
  bool runs_code = false;
  lua_pushglobaltable(L);
  lua_pushvalue(L, -2);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (packer->is_trial || lua_isnil(L, -1) || !lt_pack_crosses(L, packer, &runs_code)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  if (runs_code && packer->anchors == 0)
    lt_packer_demand_anchors(packer);
  return !packer->starts_over;
}

/* Pushes the value of the global whose name is on the top; false if nothing is to be packed. */
static bool find_global(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame,
                        lt_GlobalStamp *stamp) {
  int name = lua_gettop(L);
  bool is_guess = (place_of_global(frame) & LT_GLOBALS_GUESSED) != 0;
  if (!(is_guess ? push_guessed(L, packer) : push_global(L, packer, frame)))
    return false;
  if ((is_guess && lua_isnil(L, -1)) || is_standard(L, lua_tostring(L, name)) ||
      !lt_received_globals_stamp(L, stamp))
    return false;
  if (is_guess)
    stamp->origin = LT_GLOBAL_GUESSED;
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
  if (met != 0 || !find_global(L, packer, frame, &stamp)) {
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
    lt_packer_close_node(packer, frame->value_node, frame);
  frame->value_node = 0;
}

/* Those that it names, unless the sender has chosen others. */
static int count_globals(lua_State *L, const lt_PackFrame *frame) {
  if (lua_isnil(L, LT_CHOICE_PLACE))
    return (int)frame->code->names.count;
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
static _Noreturn void refuse_closure(lua_State *L, lt_Packer *packer, lua_CFunction function) {
  const char *what = "a C function with upvalues", *advice = "";
  if (function == lt_library_function(LT_LIBRARY_GMATCH_ITERATOR)) {
    what = "an iterator of string.gmatch";
    advice = "send the string and iterate there";
  } else if (function == lt_library_function(LT_LIBRARY_LINE_ITERATOR) ||
             function == lt_files_iterator) {
    what = "an iterator of io.lines";
    advice = "send the name of the file and open it there";
  } else if (function == lt_library_function(LT_LIBRARY_WRAPPED)) {
    what = "an iterator of coroutine.wrap";
    advice = "send its function and wrap it there";
  }
  lt_pack_refuse_advised(L, packer, &lt_TypeError, what, advice);
}

static void pack_c_function(lua_State *L, lt_Packer *packer) {
  lua_CFunction function = lua_tocfunction(L, -1);
  if (lua_getupvalue(L, -1, 1) != NULL) {
    lua_pop(L, 1);
    if (lt_pack_leave_out(L, packer))
      return;
    refuse_closure(L, packer, function);
  }
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
