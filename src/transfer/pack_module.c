/*
** What a module has goes by its name, if a fresh one has it too. If the module is as a fresh one
** would be, that is all. Otherwise, or if no state of ours has loaded it yet so that nobody knows,
** what a fresh one may lack goes along, behind the values: first the fields that are known to
** differ; then, as far as it is not known, all fields, and the contents of what has been named, for
** a receiver that finds them lacking. Of these, what can't cross is left out, and told to whom it
** concerns.
*/
#include "src/transfer/packer.h"

#include <lauxlib.h>

#include "src/base/growing_array.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/object/printable.h"
#include "src/transfer/class_record.h"
#include "src/transfer/module_differences.h"

/*
** For each module that goes along, at its negative number among the anchors: its watch, its name,
** and for each field that does the number of its table, the key and the value.
*/
enum { WATCH = 1, NAME, FIELDS };
enum { KEPT_TABLE, KEPT_KEY, KEPT_VALUE, KEPT_PARTS };

static lua_Integer place_of_field(uint32_t field, int part) {
  return FIELDS + (lua_Integer)field * KEPT_PARTS + part;
}

/*
** Names
*/

/* Pushes what package.loaded has under the name. */
static void push_loaded_module(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* Pushes the watch of the path's module; the contents are NULL for one that all states have. */
static lt_ModuleWatch *push_watch(lua_State *L, lt_Packer *packer, const lt_ModulePath *path,
                                  lt_ModuleContents **contents) {
  lt_Object *object;
  lt_ModuleWatch *watch = lt_module_index_push_kept(L, LT_MODULE_INDEX_PLACE, path, &object);
  if (watch == NULL) {
    lua_pop(L, 1);
    lt_packer_reserve_reference(L, packer);
    object = (lt_Object *)lt_module_contents_new(L, path->steps[0]);
    if (object != NULL)
      lt_packer_add_reference(packer, NULL, object);
    watch = lt_module_watch_push(L);
    lt_module_index_keep(L, LT_MODULE_INDEX_PLACE, path, object);
  }
  *contents = (lt_ModuleContents *)object;
  return watch;
}

/* The watch is on the top. */
static bool module_differs(lua_State *L, lt_Packer *packer, const lt_ModulePath *path,
                           const lt_ModuleContents *contents) {
  const lt_ModuleWatch *watch = lua_touserdata(L, -1);
  if (packer->number == 0)
    packer->number = lt_class_next_number();
  if (watch->message == packer->number)
    return watch->shape == NULL ? watch->fingerprint != 0 : watch->field_count > 0;
  push_loaded_module(L, path->steps[0]);
  bool differs = lt_module_watch_differs(L, lua_gettop(L) - 1, lt_module_contents_shape(contents),
                                         packer->number);
  lua_pop(L, 1);
  return differs;
}

static void write_path(lua_State *L, lt_Packer *packer, const lt_ModulePath *path) {
  unsigned char length = (unsigned char)path->length;
  lt_packer_write(L, packer, &length, 1);
  for (int i = 0; i < path->length; i++) {
    static const size_t no_step = LT_NO_STEP;
    if (path->steps[i] != NULL)
      lt_packer_write_string(L, packer, path->steps[i], strlen(path->steps[i]));
    else
      lt_packer_write(L, packer, &no_step, sizeof(no_step));
  }
}

static void pack_named(lua_State *L, lt_Packer *packer, const void *address,
                       const lt_ModulePath *path, lt_ModuleContents *contents) {
  uint32_t reference =
      contents == NULL ? LT_NO_REFERENCE : lt_packer_add_object(L, packer, &contents->object);
  lt_packer_write_tag(L, packer, LT_TAG_NAMED);
  lt_packer_add_node(L, packer, address, false);
  lt_packer_write(L, packer, &reference, sizeof(reference));
  write_path(L, packer, path);
}

/*
** Names of what a fresh module may lack
*/

/* The number of the module whose watch is on the top. */
static size_t note_module(lua_State *L, lt_Packer *packer, const char *name,
                          lt_ModuleContents *contents) {
  for (size_t i = 1; i < packer->module_count; i++)
    if (packer->modules[i].contents == contents)
      return i;
  if (packer->module_count + 1 >= packer->module_capacity &&
      !lt_array_grow(&packer->modules, NULL, &packer->module_capacity, 4, sizeof(lt_PackModule)))
    lt_raise_memory(L);
  if (packer->module_count == 0)
    packer->module_count = 1;
  size_t number = packer->module_count;
  lua_createtable(L, NAME, 0);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, WATCH);
  lua_pushstring(L, name);
  lua_rawseti(L, -2, NAME);
  lua_rawseti(L, packer->anchors, -(lua_Integer)number);
  uint32_t reference = lt_packer_add_object(L, packer, &contents->object);
  const lt_ModuleWatch *watch = lua_touserdata(L, -1);
  packer->modules[number] =
      (lt_PackModule){contents, watch->shape, reference, ++packer->slot_count, 0};
  packer->module_count++;
  return number;
}

static void note_body(lua_State *L, lt_Packer *packer, size_t node) {
  if (packer->body_count == packer->body_capacity &&
      !lt_array_grow(&packer->bodies, NULL, &packer->body_capacity, 8, sizeof(size_t)))
    lt_raise_memory(L);
  packer->bodies[packer->body_count++] = node;
}

static bool is_absent(const lt_Packer *packer, const void *address) {
  size_t i = 0;
  while (i < packer->absent_count && packer->absent[i] != address)
    i++;
  return i < packer->absent_count;
}

/* Packing starts over without it. */
static void note_absent(lua_State *L, lt_Packer *packer, const void *address) {
  if (packer->absent_count == packer->absent_capacity &&
      !lt_array_grow(&packer->absent, NULL, &packer->absent_capacity, 8, sizeof(void *)))
    lt_raise_memory(L);
  packer->absent[packer->absent_count++] = address;
  packer->absent_grew = true;
}

/* Of the table on the top. A receiver that has the class already takes that. */
static void write_table_shell(lua_State *L, lt_Packer *packer) {
  const lt_ClassRecord *record = lt_pack_class_record(L, packer);
  if (record == NULL) {
    lt_packer_write_tag(L, packer, LT_TAG_TABLE);
    return;
  }
  uint32_t identity = lt_packer_add_object(L, packer, &record->identity->object);
  lt_packer_write_tagged(L, packer, LT_TAG_CLASS, &identity, sizeof(identity));
}

/*
** What the receiver makes of the value at once, if it is lacking; its contents follow later. Of a
** userdata it makes nothing.
*/
static void write_shell(lua_State *L, lt_Packer *packer, int value, size_t node) {
  bool absent = is_absent(packer, packer->nodes[node].address);
  int type = absent ? LUA_TNIL : lua_type(L, value);
  lua_CFunction function = lua_tocfunction(L, value);
  uint32_t reference;
  int upvalue_count;
  if (type == LUA_TTABLE) {
    write_table_shell(L, packer);
    note_body(L, packer, node);
  } else if (type == LUA_TFUNCTION && function != NULL && lua_getupvalue(L, value, 1) == NULL) {
    lt_packer_write_tagged(L, packer, LT_TAG_CFUNCTION, &function, sizeof(function));
  } else if (type == LUA_TFUNCTION && function == NULL) {
    lua_settop(L, value);
    if (lt_pack_code(L, packer, value, &upvalue_count, &reference) == NULL)
      return;
    lt_packer_write_tagged(L, packer, LT_TAG_FUNCTION, &reference, sizeof(reference));
    note_body(L, packer, node);
  } else {
    lt_packer_write_tag(L, packer, LT_TAG_END);
  }
  lua_settop(L, value);
}

/* The value, and above it the watch, are on the top. */
static void pack_member(lua_State *L, lt_Packer *packer, const void *address,
                        const lt_ModulePath *path, lt_ModuleContents *contents) {
  int value = lua_gettop(L) - 1;
  size_t module = note_module(L, packer, path->steps[0], contents);
  lua_settop(L, value);
  uint64_t content = lt_module_field_content(L, value);
  lt_packer_write_tag(L, packer, LT_TAG_MEMBER);
  size_t node = lt_packer_add_node(L, packer, address, false);
  lt_packer_slot_of(packer, node);
  lt_packer_write(L, packer, &packer->modules[module].slot, sizeof(uint32_t));
  lt_packer_write(L, packer, &packer->modules[module].reference, sizeof(uint32_t));
  lt_packer_write(L, packer, &content, sizeof(content));
  write_path(L, packer, path);
  if (path->length > 1 && packer->modules[module].shape == NULL)
    write_shell(L, packer, value, node);
  else
    lt_packer_write_tag(L, packer, LT_TAG_END);
}

/* An offer is without C functions that have upvalues, and without userdata. */
static bool can_be_offered(lua_State *L, int value) {
  return !lua_isuserdata(L, value) &&
         (!lua_iscfunction(L, value) || lua_getupvalue(L, value, 1) == NULL);
}

bool lt_pack_if_named(lua_State *L, lt_Packer *packer, const void *address) {
  lt_ModulePath path;
  lt_ModuleContents *contents;
  if (!lt_packer_find_path(L, address, &path))
    return false;
  lt_quiet_hold(L, &packer->quiet);
  if (!lt_pack_library_is_named(L, &path))
    return false;
  lt_check_stack(L, 30);
  int value = lua_gettop(L);
  const lt_ModuleWatch *watch = push_watch(L, packer, &path, &contents);
  if (contents != NULL && contents->offer != NULL && !can_be_offered(L, value)) {
    lua_settop(L, value);
    return false;
  }
  bool differs = contents != NULL && module_differs(L, packer, &path, contents);
  bool is_fresh = contents == NULL || path.length == 1 || watch->shape == NULL ||
                  lt_module_shape_has(watch->shape, &path, lt_module_field_content(L, value));
  if (!is_fresh) {
    lua_settop(L, value);
    return false;
  }
  bool is_unknown = differs && watch->shape == NULL;
  if (!differs)
    pack_named(L, packer, address, &path, contents);
  else if (packer->anchors == 0)
    lt_packer_demand_anchors(packer);
  else if (is_unknown && !packer->whole_classes)
    lt_pack_classes_whole(packer);
  else
    pack_member(L, packer, address, &path, contents);
  lua_settop(L, value - 1);
  return true;
}

/*
** What can be left out
*/

typedef struct Mark {
  size_t size;
  size_t text_size;
  size_t reference_count;
  size_t node_count;
  size_t module_count;
  size_t body_count;
  size_t late_count;
} Mark;

static Mark mark_of(const lt_Packer *packer) {
  return (Mark){packer->size,       packer->text_size,    packer->reference_count,
                packer->node_count, packer->module_count, packer->body_count,
                packer->late_count};
}

static void go_back(lt_Packer *packer, const Mark *mark) {
  lt_packer_release_references(packer->references + mark->reference_count,
                               packer->reference_count - mark->reference_count);
  packer->size = mark->size;
  packer->text_size = mark->text_size;
  packer->reference_count = mark->reference_count;
  packer->module_count = mark->module_count;
  packer->body_count = mark->body_count;
  packer->late_count = mark->late_count;
  packer->depth = 0;
  packer->ruled = 0;
  packer->body = 0;
  packer->refusal = NULL;
  lt_packer_forget_nodes(packer, mark->node_count);
}

/*
** The arguments: all that lies before the first root, the anchors, the value, and the node of its
** body, or 0. The stack becomes what the packer expects.
*/
static int pack_optional(lua_State *L) {
  lt_Packer *packer = lua_touserdata(L, LT_PACKER_PLACE);
  size_t node = (size_t)lua_tointeger(L, -1);
  int missing = packer->anchors - LT_FIRST_VALUE_PLACE;
  lua_pop(L, 1);
  lt_check_stack(L, missing + 20);
  for (int i = 0; i < missing; i++)
    lua_pushnil(L);
  lua_rotate(L, LT_FIRST_VALUE_PLACE, missing);
  if (node != 0)
    lt_pack_body(L, packer, node);
  else
    lt_pack_root(L, packer);
  return 0;
}

/*
** The value is on the top, and is popped. Writes why, if it can't cross; returns whether it can.
*/
static bool write_optional(lua_State *L, lt_Packer *packer, size_t node) {
  size_t length;
  Mark mark = mark_of(packer);
  int value = lua_gettop(L);
  for (int place = LT_PACKER_PLACE + 1; place < LT_FIRST_VALUE_PLACE; place++)
    lua_pushvalue(L, place);
  lua_pushvalue(L, packer->anchors);
  lua_pushvalue(L, value);
  lua_pushinteger(L, (lua_Integer)node);
  int status = lt_protected_call(L, pack_optional, packer, lua_gettop(L) - value, 0);
  lua_remove(L, value);
  if (status == LUA_OK)
    return true;
  if (lt_ends_thread(L, -1) || lt_is_want_of_memory(L, -1))
    lt_throw(L);
  go_back(packer, &mark);
  if (node != 0)
    packer->nodes[node].open = false;
  const char *reason = luaL_tolstring(L, -1, &length);
  lt_packer_write_tag(L, packer, LT_TAG_ABSENT);
  lt_packer_write_string(L, packer, reason, length);
  lua_pop(L, 2);
  return false;
}

static void end_value(lua_State *L, lt_Packer *packer) {
  lt_packer_write_late_metatables(L, packer);
  lt_packer_write_tag(L, packer, LT_TAG_END);
}

/*
** The fields of modules
*/

/* Pushes the table that is kept for the module, and its watch above it. */
static void push_info(lua_State *L, const lt_Packer *packer, size_t module) {
  lua_rawgeti(L, packer->anchors, -(lua_Integer)module);
  lua_rawgeti(L, -1, WATCH);
}

/* "module.field.field" */
void lt_pack_push_field_path(lua_State *L, const lt_Packer *packer) {
  size_t length;
  int top = lua_gettop(L);
  lt_check_stack(L, 20 + LT_MODULE_TABLES_DEEPEST);
  push_info(L, packer, packer->module);
  lua_rawgeti(L, top + 1, place_of_field(packer->field, KEPT_TABLE));
  lua_Integer table = lua_tointeger(L, -1);
  int count = lt_module_watch_push_keys(L, top + 2, (size_t)(table < 0 ? -table : table)) + 1;
  int keys = lua_gettop(L) - count + 2;
  lua_rawgeti(L, top + 1, place_of_field(packer->field, KEPT_KEY));
  lua_rawgeti(L, top + 1, NAME);
  const char *name = lua_tolstring(L, -1, &length);
  lt_printable_push(L, name, length);
  for (int i = 0; i < count; i++) {
    lt_printable_push_key(L, keys + i);
    lua_concat(L, 2);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* What is kept for the module lies at 'info', and the watch above it. */
static void write_field(lua_State *L, lt_Packer *packer, int info, size_t number) {
  lt_ModuleField field = lt_module_watch_push_field(L, info + 1, number);
  uint32_t i = (uint32_t)number;
  int key = lua_gettop(L) - 1;
  lua_rawseti(L, info, place_of_field(i, KEPT_VALUE));
  lua_pushinteger(L, field.replaces ? -(lua_Integer)field.table : (lua_Integer)field.table);
  lua_rawseti(L, info, place_of_field(i, KEPT_TABLE));
  lua_pushvalue(L, key);
  lua_rawseti(L, info, place_of_field(i, KEPT_KEY));
  int count = lt_module_watch_push_keys(L, info + 1, field.table) + 1;
  lua_pushvalue(L, key);
  unsigned char length = (unsigned char)count;
  lt_packer_write(L, packer, &length, 1);
  for (int k = 1; k <= count; k++) {
    lua_pushvalue(L, key + k);
    lt_pack_scalar(L, packer);
    lua_pop(L, 1);
  }
  lt_packer_write(L, packer, &field.content, sizeof(field.content));
  lua_settop(L, key - 1);
}

static void write_fields(lua_State *L, lt_Packer *packer, size_t number) {
  int top = lua_gettop(L);
  push_info(L, packer, number);
  const lt_ModuleWatch *watch = lua_touserdata(L, -1);
  uint32_t count = (uint32_t)watch->field_count;
  lt_packer_write_tagged(L, packer, LT_TAG_MODULE, &packer->modules[number].slot, sizeof(uint32_t));
  lt_packer_write(L, packer, &count, sizeof(count));
  packer->modules[number].field_count = count;
  for (uint32_t i = 0; i < count; i++)
    write_field(L, packer, top + 1, i);
  lua_settop(L, top);
}

/* One function in the place of another may be left out: the receiver keeps its own. */
static void write_value(lua_State *L, lt_Packer *packer, size_t module, uint32_t field) {
  int top = lua_gettop(L);
  lua_rawgeti(L, packer->anchors, -(lua_Integer)module);
  lua_rawgeti(L, -1, place_of_field(field, KEPT_TABLE));
  bool optional = packer->optional || lua_tointeger(L, -1) < 0;
  lua_rawgeti(L, -2, place_of_field(field, KEPT_VALUE));
  packer->module = module;
  packer->field = field;
  bool leaves_out = packer->leaves_out;
  packer->leaves_out = leaves_out || packer->modules[module].contents->offer != NULL;
  if (optional)
    write_optional(L, packer, 0);
  else
    lt_pack_root(L, packer);
  packer->leaves_out = leaves_out;
  packer->module = 0;
  end_value(L, packer);
  lua_settop(L, top);
}

static void write_values(lua_State *L, lt_Packer *packer, size_t number) {
  lt_packer_write_tagged(L, packer, LT_TAG_VALUES, &packer->modules[number].slot, sizeof(uint32_t));
  for (uint32_t i = 0; i < packer->modules[number].field_count && !packer->starts_over; i++)
    write_value(L, packer, number, i);
}

static void write_known_modules(lua_State *L, lt_Packer *packer) {
  for (size_t i = 1; i < packer->module_count && !packer->starts_over; i++) {
    if (packer->modules[i].shape == NULL)
      continue;
    write_fields(L, packer, i);
    write_values(L, packer, i);
  }
}

static void write_body(lua_State *L, lt_Packer *packer, size_t node) {
  lt_packer_write_tagged(L, packer, LT_TAG_BODY, &packer->nodes[node].slot, sizeof(uint32_t));
  lua_rawgeti(L, packer->anchors, (lua_Integer)node);
  if (!write_optional(L, packer, node) && !is_absent(packer, packer->nodes[node].address))
    note_absent(L, packer, packer->nodes[node].address);
  end_value(L, packer);
}

/*
** The number of modules grows meanwhile. Those of which the receiver must know first what it lacks
** are told first.
*/
static void write_unknown(lua_State *L, lt_Packer *packer) {
  size_t count = packer->module_count;
  size_t written = 1;
  size_t bodies = 0;
  packer->optional = true;
  for (size_t i = 1; i < count; i++)
    if (packer->modules[i].shape == NULL)
      write_fields(L, packer, i);
  lt_packer_write_tag(L, packer, LT_TAG_FALLBACK);
  while (!packer->starts_over && (written < packer->module_count || bodies < packer->body_count)) {
    for (; written < packer->module_count && !packer->starts_over; written++) {
      if (written < count && packer->modules[written].shape != NULL)
        continue;
      if (written >= count)
        write_fields(L, packer, written);
      write_values(L, packer, written);
    }
    if (bodies < packer->body_count && !packer->starts_over)
      write_body(L, packer, packer->bodies[bodies++]);
  }
}

void lt_pack_modules(lua_State *L, lt_Packer *packer) {
  if (packer->module_count > 0) {
    lt_check_stack(L, 20);
    write_known_modules(L, packer);
    if (!packer->starts_over)
      write_unknown(L, packer);
  }
  lt_packer_write_tag(L, packer, LT_TAG_END);
}
