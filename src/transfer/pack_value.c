/*
** Values: first those without identity, then those that may come again, then the walk through what
** these hold.
*/
#include "src/transfer/packer.h"

#include "src/object/exception.h"

/* Whether it has come before: then it is written that it is the same. */
static inline bool pack_if_met(lua_State *L, lt_Packer *packer, const void *address) {
  size_t node = lt_packer_find_node(packer, address);
  if (node == 0)
    return false;
  lt_packer_refer(L, packer, node);
  lt_packer_write_same(L, packer, lt_packer_slot_of(packer, node));
  return true;
}

/*
** Strings
*/

/* A long string, at 'index': the bytes hold the number of a reference to it. */
static void pack_long_string(lua_State *L, lt_Packer *packer, int index, const char *string,
                             size_t length) {
  static const lthread_Transfer text_rule = {NULL, NULL, lt_lent_string_free};
  if (pack_if_met(L, packer, string))
    return;
  lt_packer_write_tag(L, packer, LT_TAG_LONG_STRING);
  lua_pushvalue(L, index);
  lt_packer_add_node(L, packer, string, false);
  lua_pop(L, 1);
  lt_quiet_hold(L, &packer->quiet);
  lt_packer_reserve_reference(L, packer);
  lt_LentString *text = lt_lent_string_new(L, index, packer->strings);
  uint32_t reference = lt_packer_add_reference(packer, &text_rule, text);
  packer->text_size += sizeof(lt_LentString) + (text->own != NULL ? length : 0);
  lt_packer_write(L, packer, &reference, sizeof(reference));
}

/* Where a string would be among the recent ones; NULL while none are. */
static lt_RecentString *recent_place(lt_Packer *packer, const char *string) {
  if (packer->string_count < LT_UNCOUNTED_STRINGS) {
    packer->string_count++;
    return NULL;
  }
  if (packer->string_count == LT_UNCOUNTED_STRINGS) {
    packer->string_count++;
    memset(packer->recent, 0, sizeof(packer->recent));
  }
  return &packer->recent[((uintptr_t)string >> 4 ^ (uintptr_t)string >> 10) % LT_RECENT_STRINGS];
}

/* Where a key lies when it is packed, and the one that only classes have. */
enum { KEY_PLACE = -2 };
#define INDEX_FIELD "__index"

static void pack_string(lua_State *L, lt_Packer *packer, int index) {
  static const uint32_t no_slot = 0;
  size_t length;
  const char *string = lua_tolstring(L, index, &length);
  if (length >= LT_LEAST_LENT_BYTES) {
    pack_long_string(L, packer, index, string, length);
    return;
  }
  if (length == sizeof(INDEX_FIELD) - 1 && index == KEY_PLACE &&
      memcmp(string, INDEX_FIELD, length) == 0)
    lt_pack_class_found(packer);
  lt_RecentString *recent = packer->anchors == 0 ? recent_place(packer, string) : NULL;
  if (recent != NULL && recent->address == string) {
    if (recent->slot == 0) {
      recent->slot = ++packer->slot_count;
      lt_packer_patch(packer, recent->slot_offset, recent->slot);
    }
    lt_packer_write_same(L, packer, recent->slot);
    return;
  }
  uint32_t short_length = (uint32_t)length;
  lt_packer_reserve(L, packer, 1 + sizeof(no_slot) + sizeof(short_length) + length);
  lt_packer_put_tag(packer, LT_TAG_STRING);
  if (recent != NULL)
    *recent = (lt_RecentString){string, packer->size, 0};
  lt_packer_put(packer, &no_slot, sizeof(no_slot));
  lt_packer_put(packer, &short_length, sizeof(short_length));
  lt_packer_put(packer, string, length);
}

/* Packs the value at 'index' if it has no identity, and leaves it; else returns false. */
static inline bool pack_scalar(lua_State *L, lt_Packer *packer, int index) {
  unsigned char kind;
  lt_Scalar scalar;
  int type = lua_type(L, index);
  if (type == LUA_TSTRING)
    pack_string(L, packer, index);
  else if (!lt_scalar_at(L, index, type, &kind, &scalar))
    return false;
  else if (kind < LT_SCALAR_INTEGER)
    lt_packer_write_tag(L, packer, (lt_Tag)kind);
  else
    lt_packer_write_tagged(L, packer, (lt_Tag)kind, &scalar, sizeof(scalar));
  return true;
}

/*
** Values that have an identity, one of which is on the top
*/

lt_PackFrame *lt_pack_open_table(lua_State *L, lt_Packer *packer) {
  static const char header[2 * sizeof(uint32_t) + 1] = {0};
  lt_packer_write_tag(L, packer, LT_TAG_TABLE);
  size_t node = lt_packer_add_node(L, packer, lua_topointer(L, -1), true);
  size_t sizes_offset = packer->size;
  lt_packer_write(L, packer, header, sizeof(header));
  lt_PackFrame *frame = lt_packer_push_frame(L, packer, node);
  frame->sizes_offset = sizes_offset;
  frame->phase = LT_PACK_METATABLE;
  return frame;
}

static void pack_object(lua_State *L, lt_Packer *packer, lt_Tag tag, lt_Object *object) {
  uint32_t reference = lt_packer_add_object(L, packer, object);
  lt_packer_write_tagged(L, packer, tag, &reference, sizeof(reference));
  lua_pop(L, 1);
}

static inline bool pack_if_class(lua_State *L, lt_Packer *packer, const void *address) {
  if (!lt_pack_may_be_class(packer, address))
    return false;
  lt_quiet_hold(L, &packer->quiet);
  return lt_pack_if_class(L, packer);
}

/* A table, a function or a userdata, which may have come before. */
static void pack_by_identity(lua_State *L, lt_Packer *packer) {
  const void *address = lua_topointer(L, -1);
  if (pack_if_met(L, packer, address)) {
    lua_pop(L, 1);
    return;
  }
  int type = lua_type(L, -1);
  lt_Object *object = type == LUA_TUSERDATA ? lt_object_at(L, -1) : NULL;
  if (object != NULL) {
    pack_object(L, packer, LT_TAG_OBJECT, object);
    return;
  }
  if (type != LUA_TTABLE)
    lt_quiet_hold(L, &packer->quiet);
  bool named = (lua_iscfunction(L, -1) && lt_pack_library_function(L, packer, address)) ||
               lt_pack_if_named(L, packer, address);
  if (named)
    return;
  if (type == LUA_TUSERDATA)
    lt_pack_userdata(L, packer);
  else if (type == LUA_TFUNCTION)
    lt_pack_function(L, packer);
  else if (!pack_if_class(L, packer, address))
    lt_pack_open_table(L, packer);
}

bool lt_pack_scalar(lua_State *L, lt_Packer *packer) {
  return pack_scalar(L, packer, -1);
}

bool lt_pack_value(lua_State *L, lt_Packer *packer) {
  size_t depth = packer->depth;
  if (pack_scalar(L, packer, -1)) {
    lua_pop(L, 1);
    return true;
  }
  if (lua_type(L, -1) == LUA_TTHREAD) {
    if (lt_pack_leave_out(L, packer))
      return true;
    lt_pack_refuse_advised(L, packer, &lt_TypeError, "a coroutine",
                           "send its function and create it there");
  }
  pack_by_identity(L, packer);
  return packer->depth == depth;
}

/*
** Tables
*/

/* The metatable on the top, which is a class, of the table at 'table'. */
static void pack_metatable_class(lua_State *L, lt_Packer *packer, int table) {
  packer->is_metatable = true;
  lt_pack_value(L, packer);
  packer->is_metatable = false;
  if (packer->has_variables || packer->whole_classes)
    lt_pack_note_object(L, packer, table);
}

static void pack_metatable(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  frame->phase = LT_PACK_FIRST;
  if (!lua_getmetatable(L, frame->base))
    return;
  lt_Class *class_object = lt_class_of_metatable(L, -1);
  if (class_object == NULL) {
    lt_quiet_hold(L, &packer->quiet);
    if (lt_pack_rule_for_table(L, packer, frame))
      return;
    if (packer->plain_metatable != lua_topointer(L, -1))
      lt_pack_class_look(L, packer, frame->base);
  }
  size_t metatable = lt_packer_find_node(packer, lua_topointer(L, -1));
  lt_packer_refer(L, packer, metatable);
  int table = frame->base;
  if (metatable != 0 && packer->nodes[metatable].open) {
    lt_packer_note_late_metatable(L, packer, frame, metatable);
    lua_pop(L, 1);
    lt_pack_note_object(L, packer, table);
    return;
  }
  packer->bytes[frame->sizes_offset + 2 * sizeof(uint32_t)] = 1;
  if (class_object != NULL)
    pack_object(L, packer, LT_TAG_CLASS_METATABLE, &class_object->object);
  else
    pack_metatable_class(L, packer, table);
}

static bool is_next_index(lua_State *L, int key, uint32_t array_size) {
  return lua_isinteger(L, key) && lua_tointeger(L, key) == (lua_Integer)array_size + 1;
}

/* A key and its value are on the top. Returns whether both are done. */
static bool pack_entry(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  if (packer->anchors != 0 && lt_pack_late_field(L, packer, frame))
    return true;
  if (!frame->keyed && is_next_index(L, -2, frame->array_size)) {
    frame->array_size++;
    return lt_pack_value(L, packer);
  }
  if (!frame->keyed)
    lt_packer_write_tag(L, packer, LT_TAG_KEYED);
  frame->keyed = true;
  frame->hash_size++;
  if (!pack_scalar(L, packer, KEY_PLACE)) {
    frame->phase = LT_PACK_KEY;
    lua_pushvalue(L, -2);
    if (!lt_pack_value(L, packer))
      return false;
    frame->phase = LT_PACK_CONTENT;
  }
  return lt_pack_value(L, packer);
}

/* Whether it is a class or has one, so that what a variable holds for it crosses with it. */
static bool is_object(lua_State *L, int index) {
  if (!lua_istable(L, index))
    return false;
  bool object = lt_class_record_find(L, index) != NULL;
  if (!object && lua_getmetatable(L, index)) {
    object = lt_class_record_find(L, -1) != NULL;
    lua_pop(L, 1);
  }
  return object;
}

static void pack_step_table(lua_State *L, lt_Packer *packer, lt_PackFrame *frame) {
  if (frame->phase == LT_PACK_METATABLE) {
    pack_metatable(L, packer, frame);
    return;
  }
  if (frame->phase == LT_PACK_FIRST) {
    frame->phase = LT_PACK_CONTENT;
    lua_pushnil(L);
  } else if (frame->phase == LT_PACK_KEY) {
    frame->phase = LT_PACK_CONTENT;
    if (!lt_pack_value(L, packer))
      return;
  }
  while (lua_next(L, frame->base))
    if (frame->skips_objects && is_object(L, -2))
      lua_pop(L, 1);
    else if (!pack_entry(L, packer, frame))
      return;
  lt_packer_patch(packer, frame->sizes_offset, frame->array_size);
  lt_packer_patch(packer, frame->sizes_offset + sizeof(uint32_t), frame->hash_size);
  lt_packer_close_frame(L, packer, frame);
}

/*
** The walk
*/

/*
** A frame that packs a value may push another one, which moves the frames: it is looked up anew for
** each step.
*/
void lt_pack_frames(lua_State *L, lt_Packer *packer) {
  while (packer->depth > 0 && !packer->starts_over) {
    lt_PackFrame *frame = &packer->frames[packer->depth - 1];
    if (frame->is_function)
      lt_pack_function_step(L, packer, frame);
    else if (frame->is_ruled)
      lt_pack_rule_step(L, packer, frame);
    else
      pack_step_table(L, packer, frame);
  }
}

void lt_pack_root(lua_State *L, lt_Packer *packer) {
  lt_pack_value(L, packer);
  lt_pack_frames(L, packer);
}

void lt_pack_body(lua_State *L, lt_Packer *packer, size_t node) {
  packer->body = node;
  if (lua_type(L, -1) == LUA_TFUNCTION)
    lt_pack_function(L, packer);
  else if (lt_pack_class_record(L, packer) == NULL || !lt_pack_if_class(L, packer))
    lt_pack_open_table(L, packer);
  lt_pack_frames(L, packer);
}
