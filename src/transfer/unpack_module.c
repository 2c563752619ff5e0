/*
** What a module has is the receiver's own, if it had it when it was fresh. What it lacks is made:
** at first without contents; these come behind all values, together with the fields that its module
** may lack. A field is set if it is as it was when the module was fresh, or as a message has set it
** last: what the receiver's own code has done stays.
*/
#include "src/transfer/unpacker.h"

#include "src/base/growing_array.h"
#include "src/object/exception.h"
#include "src/state/fresh_module.h"
#include "src/state/module_tables.h"
#include "src/transfer/bytecode.h"
#include "src/transfer/class_record.h"

/* For the slots of members: lacking only counts where it is wanted. */
enum { IS_OWN, IS_LACKING, IS_WANTED };

void lt_unpack_path(lua_State *L, lt_Unpacker *unpacker, lt_ModulePath *path) {
  unsigned char length;
  lt_unpack_bytes(unpacker, &length, 1);
  lt_check_stack(L, LT_MODULE_PATH_LONGEST + 10);
  path->length = length;
  for (int i = 0; i < path->length; i++) {
    size_t size;
    memcpy(&size, unpacker->next, sizeof(size));
    if (size == LT_NO_STEP) {
      unpacker->next += sizeof(size);
      path->steps[i] = NULL;
    } else {
      lt_unpack_name(L, unpacker);
      path->steps[i] = lua_tostring(L, -1);
    }
  }
}

/*
** Members
*/

static uint64_t read_content(lt_Unpacker *unpacker) {
  uint64_t content;
  lt_unpack_bytes(unpacker, &content, sizeof(content));
  return content;
}

/*
** Replaces the table on the top by what it had in the field when it was fresh; where that is not
** known, by what it has.
*/
static void take_fresh_field(lua_State *L, const char *step, bool known) {
  int table = lua_gettop(L);
  lua_pushstring(L, step);
  if (known)
    lt_fresh_module_push_field(L, table, table + 1);
  else
    lua_rawget(L, table);
  lua_replace(L, table);
  lua_settop(L, table);
}

/* Replaces the module on the top by what was there when it was fresh; nil: nothing. */
static void take_fresh(lua_State *L, const lt_ModulePath *path) {
  bool known = lt_fresh_module_is_known(L, -1);
  for (int i = 1; i < path->length; i++) {
    if (path->steps[i] != NULL && lua_istable(L, -1))
      take_fresh_field(L, path->steps[i], known);
    else if (path->steps[i] == NULL && lua_getmetatable(L, -1))
      lua_remove(L, -2);
    else
      lua_pushnil(L);
  }
}

/* Makes what stands for a lacking value, if there is something: its contents come later. */
static bool push_shell(lua_State *L, lt_Unpacker *unpacker, lt_Tag tag) {
  lua_CFunction function;
  switch (tag) {
  case LT_TAG_CLASS:
    if (lt_class_push_known(L, lt_unpack_reference(unpacker)->target))
      return true;
    lua_newtable(L);
    return true;
  case LT_TAG_TABLE:
    lua_newtable(L);
    return true;
  case LT_TAG_FUNCTION:
    if (lt_bytecode_load(L, lt_unpack_reference(unpacker)->target) != LUA_OK)
      lua_error(L);
    return true;
  case LT_TAG_CFUNCTION:
    lt_unpack_bytes(unpacker, &function, sizeof(function));
    lua_pushcfunction(L, function);
    return true;
  default:
    return false;
  }
}

static void skip_shell(lt_Unpacker *unpacker, lt_Tag tag) {
  if (tag == LT_TAG_FUNCTION || tag == LT_TAG_CLASS)
    unpacker->next += sizeof(uint32_t);
  else if (tag == LT_TAG_CFUNCTION)
    unpacker->next += sizeof(lua_CFunction);
}

/* Pushes the module, or nil where it is not wanted and can't be loaded. */
static void push_receivers_module(lua_State *L, lt_Unpacker *unpacker, const lt_ModulePath *path,
                                  uint32_t slot, lt_ModuleContents *contents) {
  lt_unpack_push_kept(L, slot);
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lt_module_names_load(L, path, contents, unpacker->fallback);
  lt_unpack_keep(L, slot);
}

/*
** The receiver's own value is on the top, or nil. Where it is another function, or of another type,
** than the sender's, what came along takes its place.
*/
static void choose(lua_State *L, lt_Unpacker *unpacker, const lt_ModulePath *path, uint32_t slot,
                   uint64_t content) {
  lt_Tag tag = lt_unpack_tag(unpacker);
  int own = lua_gettop(L);
  uint64_t own_content = lt_module_field_content(L, own);
  if (path->length == 1 || own_content == content) {
    skip_shell(unpacker, tag);
  } else if (push_shell(L, unpacker, tag)) {
    unpacker->lacking[slot] = unpacker->fallback ? IS_LACKING : IS_WANTED;
  } else if (lt_module_content_type(own_content) != lt_module_content_type(content)) {
    if (!unpacker->fallback)
      lt_module_names_raise_lacking(L, path);
    lua_pushnil(L);
  }
}

void lt_unpack_member(lua_State *L, lt_Unpacker *unpacker) {
  lt_ModulePath path;
  int base = lua_gettop(L);
  uint32_t slot = lt_unpack_number(unpacker);
  uint32_t module_slot = lt_unpack_number(unpacker);
  lt_ModuleContents *contents = lt_unpack_reference(unpacker)->target;
  uint64_t content = read_content(unpacker);
  lt_unpack_path(L, unpacker, &path);
  push_receivers_module(L, unpacker, &path, module_slot, contents);
  if (!lua_isnil(L, -1))
    take_fresh(L, &path);
  choose(L, unpacker, &path, slot, content);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
  lt_unpack_keep(L, slot);
}

/*
** Fields
*/

/* Pushes the table that has the next field, or nil, and its key. Returns the field's content. */
static uint64_t push_place(lua_State *L, lt_Unpacker *unpacker, const lt_UnpackModule *module) {
  unsigned char count;
  lt_unpack_push_kept(L, module->slot);
  lt_unpack_bytes(unpacker, &count, 1);
  for (int i = 1; i < count; i++) {
    lt_unpack_value(L, unpacker);
    if (lua_istable(L, -2))
      lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  lt_unpack_value(L, unpacker);
  return read_content(unpacker);
}

/*
** Whether the field whose table and key are on the top is to be set to something of this content.
*/
static bool is_to_be_set(lua_State *L, const lt_UnpackModule *module, uint64_t content) {
  int table = lua_gettop(L) - 1;
  if (!lua_istable(L, table))
    return false;
  lt_unpack_push_kept(L, module->slot);
  bool known = lt_fresh_module_is_known(L, -1);
  lt_FreshField field = lt_fresh_module_field(L, table, table + 1);
  lua_pushvalue(L, table + 1);
  lua_rawget(L, table);
  bool is_nil = lua_isnil(L, -1);
  bool is_same =
      field.brought != 0 ? field.brought == content : lt_module_field_content(L, -1) == content;
  lua_settop(L, table + 1);
  if (!known)
    return is_nil;
  return field.table_known && field.as_known && (is_nil || !is_same);
}

/* ABSENT: raises, if the field was wanted and has nothing. */
static void leave_out(lua_State *L, lt_Unpacker *unpacker, bool wanted) {
  lt_unpack_tag(unpacker);
  lt_unpack_name(L, unpacker);
  if (wanted)
    lt_raise(L, &lt_RuntimeError, "cannot receive what was put into a module: %s",
             lua_tostring(L, -1));
  lua_pop(L, 1);
}

/* Whether the field whose table and key are on the top has something. */
static bool has_something(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  bool found = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return found;
}

/* The table and the key are on the top. */
static void unpack_field(lua_State *L, lt_Unpacker *unpacker, const lt_UnpackModule *module,
                         uint64_t content) {
  int table = lua_gettop(L) - 1;
  bool fallback = unpacker->fallback;
  bool sets = is_to_be_set(L, module, content);
  if (lt_unpack_next_tag(unpacker) == LT_TAG_ABSENT) {
    leave_out(L, unpacker, sets && !module->only_fallback && !has_something(L));
  } else {
    unpacker->fallback = fallback && (!sets || module->only_fallback);
    lt_unpack_whole(L, unpacker);
    lt_unpack_late_metatables(L, unpacker);
    unpacker->fallback = fallback;
    if (sets && !lua_isnil(L, -1))
      lt_fresh_module_bring(L, table, table + 1, content);
    return;
  }
  lt_unpack_late_metatables(L, unpacker);
}

static const lt_UnpackModule *find_module(const lt_Unpacker *unpacker, uint32_t slot) {
  const lt_UnpackModule *module = unpacker->modules;
  while (module->slot != slot)
    module++;
  return module;
}

static void unpack_fields(lua_State *L, lt_Unpacker *unpacker) {
  int top = lua_gettop(L);
  const lt_UnpackModule *module = find_module(unpacker, lt_unpack_number(unpacker));
  const unsigned char *fields = module->fields;
  for (uint32_t i = 0; i < module->field_count; i++) {
    const unsigned char *values = unpacker->next;
    unpacker->next = fields;
    uint64_t content = push_place(L, unpacker, module);
    fields = unpacker->next;
    unpacker->next = values;
    unpack_field(L, unpacker, module, content);
    lua_settop(L, top);
  }
}

/* Returns whether one of its fields is to be set. */
static bool read_module(lua_State *L, lt_Unpacker *unpacker) {
  bool sets = false;
  if (unpacker->module_count == unpacker->module_capacity &&
      !lt_array_grow(&unpacker->modules, NULL, &unpacker->module_capacity, 4,
                     sizeof(lt_UnpackModule)))
    lt_raise_memory(L);
  lt_UnpackModule *module = &unpacker->modules[unpacker->module_count++];
  module->slot = lt_unpack_number(unpacker);
  module->field_count = lt_unpack_number(unpacker);
  module->fields = unpacker->next;
  module->only_fallback = unpacker->fallback;
  for (uint32_t i = 0; i < module->field_count; i++) {
    uint64_t content = push_place(L, unpacker, module);
    sets = sets || is_to_be_set(L, module, content);
    lua_pop(L, 2);
  }
  return sets;
}

/* The contents of a member. */
static void unpack_body(lua_State *L, lt_Unpacker *unpacker) {
  uint32_t slot = lt_unpack_number(unpacker);
  bool wanted = unpacker->lacking[slot] == IS_WANTED;
  if (lt_unpack_next_tag(unpacker) == LT_TAG_ABSENT) {
    leave_out(L, unpacker, wanted);
  } else {
    unpacker->body = unpacker->lacking[slot] == IS_OWN ? LT_UNPACK_SPARE : LT_UNPACK_LACKING;
    unpacker->fallback = !wanted;
    lt_unpack_whole(L, unpacker);
    unpacker->fallback = true;
    lua_pop(L, 1);
  }
  lt_unpack_late_metatables(L, unpacker);
}

static bool lacks_something(const lt_Unpacker *unpacker) {
  for (uint32_t slot = 1; slot <= unpacker->message->slot_count; slot++)
    if (unpacker->lacking[slot] != IS_OWN)
      return true;
  return false;
}

void lt_unpack_modules(lua_State *L, lt_Unpacker *unpacker) {
  bool wants_rest = false;
  for (;;) {
    switch (lt_unpack_tag(unpacker)) {
    case LT_TAG_MODULE:
      if (read_module(L, unpacker))
        wants_rest = true;
      break;
    case LT_TAG_VALUES:
      unpack_fields(L, unpacker);
      wants_rest = unpacker->fallback; /* those of which it is known come before all others */
      break;
    case LT_TAG_BODY:
      unpack_body(L, unpacker);
      break;
    case LT_TAG_FALLBACK:
      if (!wants_rest && !lacks_something(unpacker))
        return;
      unpacker->fallback = true;
      break;
    default:
      return;
    }
  }
}
