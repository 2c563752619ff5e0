/*
** Packing walks depth-first, on the Lua stack and a stack of frames of its own, so that nesting is
** bounded by Lua's stack and not by C's.
**
** What has been met is known by its address, so it must not be collected before the end. The values
** that are packed keep it, as long as no code of the state runs. The __index of an environment is
** such code: what it returns may be held by nobody, and it may change what was packed before. Where
** one is met, packing starts over and keeps all that it meets in a table.
*/
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "src/code.h"
#include "src/exception.h"
#include "src/message.h"
#include "src/named.h"

/*
** What has been met: tables, functions, named values, upvalue cells and the names of globals, by
** address.
*/
typedef struct Node {
  const void *address;
  size_t slot_offset; /* where in the bytes its slot goes */
  uint32_t slot;
  bool open; /* its contents are still being packed */
} Node;

typedef enum Phase { METATABLE, FIRST, CONTENT, KEY, UPVALUE, NAME } Phase;

/* A table or a function whose contents are being packed. It lies at 'base' on the Lua stack. */
typedef struct Frame {
  Phase phase;
  bool is_function;
  bool keyed;
  int base;
  size_t node;
  size_t sizes_offset; /* table: where its sizes go */
  uint32_t array_size;
  uint32_t hash_size;
  int upvalue_count; /* function */
  int position;      /* function: of the upvalue, then of the name */
  const lt_Code *code;
} Frame;

/* The Lua stack is made large enough for some frames at once; each keeps up to so many values. */
enum { FRAMES_AT_ONCE = 8, STACK_OF_FRAME = 4 };

/*
** What suffices for a small value lies in the packer itself: then one allocation makes a message.
*/
enum { OWN_BYTES = 512, OWN_REFERENCES = 4, OWN_NODES = 16, OWN_FRAMES = 8 };

/* A string that has come lately; it is not written again. */
typedef struct Recent {
  const char *address;
  size_t slot_offset;
  uint32_t slot; /* 0: it has come once */
} Recent;

/*
** Whether a string has come is looked up only after some: a small value hardly repeats one. Of the
** strings that share a place among the recent ones, only the last is known.
*/
enum { UNCOUNTED_STRINGS = 16, RECENT_STRINGS = 64 };

typedef struct Packer {
  unsigned char *bytes;
  size_t size;
  size_t capacity;
  lt_Reference *references;
  size_t reference_count;
  size_t reference_capacity;
  uint32_t slot_count;
  Node *nodes; /* node 0 is unused */
  size_t node_count;
  size_t node_capacity;
  uint32_t *table; /* hashed by address: the number of a node, 0 for none */
  size_t table_mask;
  Frame *frames;
  size_t depth;
  size_t frame_capacity;
  size_t (*late)[2]; /* nodes: a table and the metatable that was still open */
  size_t late_count;
  size_t late_capacity;
  lt_Names *names;
  lt_Strings strings;
  lt_Describe describe;
  int root;
  int anchors;      /* where on the stack the table is that keeps what was met; 0: there is none */
  size_t anchored;  /* how many it keeps */
  bool starts_over; /* there must be one */
  bool refused;     /* the error is the reason, a string */
  lt_Message *message;
  size_t text_size; /* of the long strings that are not lent */
  unsigned string_count;
  uint32_t own_table[2 * OWN_NODES];
  Recent recent[RECENT_STRINGS]; /* all 0 from the string on after the uncounted ones */
  Node own_nodes[OWN_NODES];
  Frame own_frames[OWN_FRAMES];
  lt_Reference own_references[OWN_REFERENCES];
  unsigned char own_bytes[OWN_BYTES];
} Packer;

/*
** Memory
*/

/* Replaces an array by a larger one; 'own' is the one that was not allocated. */
static void *enlarge(lua_State *L, void *array, const void *own, size_t size, size_t larger) {
  void *moved = realloc(array == own ? NULL : array, larger);
  if (moved == NULL)
    lt_raise_memory(L);
  if (array == own && size > 0)
    memcpy(moved, own, size);
  return moved;
}

static void free_unless(void *array, const void *own) {
  if (array != own)
    free(array);
}

static void grow_bytes(lua_State *L, Packer *packer, size_t size) {
  size_t capacity = packer->capacity * 2 + size;
  packer->bytes = enlarge(L, packer->bytes, packer->own_bytes, packer->size, capacity);
  packer->capacity = capacity;
}

static inline void reserve(lua_State *L, Packer *packer, size_t size) {
  if (size > packer->capacity - packer->size)
    grow_bytes(L, packer, size);
}

/* Room for what follows must have been reserved. */
static inline void put(Packer *packer, const void *bytes, size_t size) {
  memcpy(packer->bytes + packer->size, bytes, size);
  packer->size += size;
}

static inline void put_tag(Packer *packer, lt_Tag tag) {
  packer->bytes[packer->size++] = (unsigned char)tag;
}

static inline void write_tag(lua_State *L, Packer *packer, lt_Tag tag) {
  reserve(L, packer, 1);
  put_tag(packer, tag);
}

static inline void write_tagged(lua_State *L, Packer *packer, lt_Tag tag, const void *bytes,
                                size_t size) {
  reserve(L, packer, 1 + size);
  put_tag(packer, tag);
  put(packer, bytes, size);
}

static void write_string(lua_State *L, Packer *packer, const char *string, size_t length) {
  reserve(L, packer, sizeof(length) + length);
  put(packer, &length, sizeof(length));
  put(packer, string, length);
}

static void write_same(lua_State *L, Packer *packer, uint32_t slot) {
  write_tagged(L, packer, LT_TAG_SAME, &slot, sizeof(slot));
}

static void patch(Packer *packer, size_t offset, uint32_t value) {
  memcpy(packer->bytes + offset, &value, sizeof(value));
}

/* Called before the target is taken, so that nothing can fail between. */
static void reserve_reference(lua_State *L, Packer *packer) {
  size_t capacity = packer->reference_capacity;
  if (packer->reference_count < capacity)
    return;
  packer->references =
      enlarge(L, packer->references, packer->own_references, capacity * sizeof(lt_Reference),
              2 * capacity * sizeof(lt_Reference));
  packer->reference_capacity = 2 * capacity;
}

static uint32_t add_reference(Packer *packer, const lthread_Transfer *rule, void *target) {
  packer->references[packer->reference_count] = (lt_Reference){rule, target};
  return (uint32_t)packer->reference_count++;
}

static uint32_t add_object(lua_State *L, Packer *packer, lt_Object *object) {
  reserve_reference(L, packer);
  lt_object_retain(object);
  return add_reference(packer, NULL, object);
}

/*
** Nodes
*/

static size_t hash(const Packer *packer, const void *address) {
  return (size_t)((uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15) >> 24) &
         packer->table_mask;
}

static size_t find_node(const Packer *packer, const void *address) {
  size_t place = hash(packer, address);
  while (packer->table[place] != 0 && packer->nodes[packer->table[place]].address != address)
    place = (place + 1) & packer->table_mask;
  return packer->table[place];
}

static void hash_node(Packer *packer, size_t node) {
  size_t place = hash(packer, packer->nodes[node].address);
  while (packer->table[place] != 0)
    place = (place + 1) & packer->table_mask;
  packer->table[place] = (uint32_t)node;
}

static void grow_nodes(lua_State *L, Packer *packer) {
  size_t capacity = packer->node_capacity * 2;
  if (capacity > UINT32_MAX)
    lt_raise_memory(L);
  packer->nodes = enlarge(L, packer->nodes, packer->own_nodes, packer->node_count * sizeof(Node),
                          capacity * sizeof(Node));
  uint32_t *table = calloc(capacity * 2, sizeof(uint32_t));
  if (table == NULL)
    lt_raise_memory(L);
  free_unless(packer->table, packer->own_table);
  packer->table = table;
  packer->table_mask = capacity * 2 - 1;
  packer->node_capacity = capacity;
  for (size_t node = 1; node < packer->node_count; node++)
    hash_node(packer, node);
}

/*
** A new node, whose slot is written here as 0 until the value comes again. What has the address is
** on the top, or is kept by a function that has one already.
*/
static size_t add_node(lua_State *L, Packer *packer, const void *address, bool open) {
  static const uint32_t none = 0;
  if (packer->anchors != 0) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, packer->anchors, (lua_Integer)++packer->anchored);
  }
  if (packer->node_count >= packer->node_capacity)
    grow_nodes(L, packer);
  reserve(L, packer, sizeof(none));
  size_t node = packer->node_count++;
  packer->nodes[node] = (Node){address, packer->size, 0, open};
  put(packer, &none, sizeof(none));
  hash_node(packer, node);
  return node;
}

static uint32_t slot_of(Packer *packer, size_t node) {
  Node *known = &packer->nodes[node];
  if (known->slot == 0) {
    known->slot = ++packer->slot_count;
    patch(packer, known->slot_offset, known->slot);
  }
  return known->slot;
}

/*
** Refusals: they name the path to the value, from the values that lie on the Lua stack.
*/

#define SHOWN_FRAMES 12

static bool is_identifier(const char *name) {
  if (!isalpha((unsigned char)*name) && *name != '_')
    return false;
  while (isalnum((unsigned char)*name) || *name == '_')
    name++;
  return *name == '\0';
}

void lt_push_key_step(lua_State *L, int key) {
  if (lua_isinteger(L, key)) {
    lua_pushfstring(L, "[%I]", lua_tointeger(L, key));
  } else if (lua_type(L, key) == LUA_TSTRING) {
    const char *name = lua_tostring(L, key);
    lua_pushfstring(L, is_identifier(name) ? ".%s" : "[\"%s\"]", name);
  } else if (lua_type(L, key) == LUA_TNUMBER) {
    lua_pushfstring(L, "[%f]", lua_tonumber(L, key));
  } else {
    lua_pushfstring(L, "[%s]", luaL_typename(L, key));
  }
}

static void push_step(lua_State *L, const Frame *frame) {
  switch (frame->phase) {
  case METATABLE:
  case FIRST:
    lua_pushliteral(L, "'s metatable");
    break;
  case KEY:
    lua_pushliteral(L, "'s key ");
    lt_push_key_step(L, frame->base + 1);
    lua_concat(L, 2);
    break;
  case CONTENT:
    lt_push_key_step(L, frame->base + 1);
    break;
  case UPVALUE: {
    const char *name = lua_getupvalue(L, frame->base, frame->position);
    lua_pop(L, 1);
    lua_pushfstring(L, "'s upvalue %s", name);
    break;
  }
  case NAME: {
    lt_Name name = frame->code->names[frame->position - 1];
    lua_pushliteral(L, "'s global ");
    lua_pushlstring(L, (const char *)frame->code->bytes + name.offset, name.length);
    lua_concat(L, 2);
    break;
  }
  }
}

static _Noreturn void refuse(lua_State *L, Packer *packer, const char *what) {
  size_t first = packer->depth > SHOWN_FRAMES ? packer->depth - SHOWN_FRAMES : 0;
  if (!lua_checkstack(L, 10))
    lt_raise_memory(L);
  lua_pushfstring(L, "cannot transfer %s (", what);
  if (packer->describe != NULL)
    packer->describe(L, packer->root);
  else
    lua_pushliteral(L, "value");
  if (first > 0) {
    lua_pushliteral(L, "...");
    lua_concat(L, 2);
  }
  for (size_t i = first; i < packer->depth; i++) {
    push_step(L, &packer->frames[i]);
    lua_concat(L, 2);
  }
  lua_pushliteral(L, ")");
  lua_concat(L, 3);
  packer->refused = true;
  lt_throw(L);
}

static _Noreturn void refuse_userdata(lua_State *L, Packer *packer) {
  const char *what = "a userdata";
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING)
    what = lua_pushfstring(L, "a %s userdata", lua_tostring(L, -1));
  refuse(L, packer, what);
}

/*
** Values. Each of these packs the value on the top and pops it; a table or a function stays there
** until its frame is done.
*/

static Frame *push_frame(lua_State *L, Packer *packer, size_t node) {
  if (packer->depth % FRAMES_AT_ONCE == 0 &&
      !lua_checkstack(L, 20 + FRAMES_AT_ONCE * STACK_OF_FRAME))
    refuse(L, packer, "a value that is nested too deeply");
  if (packer->depth == packer->frame_capacity) {
    size_t size = packer->depth * sizeof(Frame);
    packer->frames = enlarge(L, packer->frames, packer->own_frames, size, 2 * size);
    packer->frame_capacity *= 2;
  }
  Frame *frame = &packer->frames[packer->depth++];
  memset(frame, 0, sizeof(*frame));
  frame->base = lua_gettop(L);
  frame->node = node;
  return frame;
}

static void open_table(lua_State *L, Packer *packer, const void *address) {
  static const char header[2 * sizeof(uint32_t) + 1] = {0};
  write_tag(L, packer, LT_TAG_TABLE);
  size_t node = add_node(L, packer, address, true);
  reserve(L, packer, sizeof(header));
  size_t sizes_offset = packer->size;
  put(packer, header, sizeof(header));
  Frame *frame = push_frame(L, packer, node);
  frame->sizes_offset = sizes_offset;
  frame->phase = METATABLE;
}

/* The upvalue whose fields are the globals: the state's own, or a table that stands before them. */
static int find_environment(lua_State *L, int function) {
  const char *name;
  int found = LT_NO_ENVIRONMENT;
  lua_pushglobaltable(L);
  for (int i = 1; found == LT_NO_ENVIRONMENT && (name = lua_getupvalue(L, function, i)) != NULL;
       i++) {
    if (lua_type(L, -1) == LUA_TTABLE) {
      if (lua_rawequal(L, -1, -2)) {
        found = i;
      } else if (strcmp(name, "_ENV") == 0 && luaL_getmetafield(L, -1, "__index") != LUA_TNIL) {
        lua_pop(L, 1);
        found = i;
      }
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

static void open_function(lua_State *L, Packer *packer) {
  int function = lua_gettop(L);
  if (!lua_checkstack(L, 20))
    refuse(L, packer, "a value that is nested too deeply");
  lt_Code *code = lt_code_push(L, function, find_environment(L, function));
  uint32_t reference = add_object(L, packer, &code->object);
  lua_pop(L, 1);
  write_tag(L, packer, LT_TAG_FUNCTION);
  size_t node = add_node(L, packer, lua_topointer(L, -1), true);
  Frame *frame = push_frame(L, packer, node);
  frame->is_function = true;
  frame->phase = UPVALUE;
  frame->code = code;
  while (lua_getupvalue(L, function, frame->upvalue_count + 1) != NULL) {
    lua_pop(L, 1);
    frame->upvalue_count++;
  }
  unsigned char upvalue_count = (unsigned char)frame->upvalue_count;
  reserve(L, packer, sizeof(reference) + 1);
  put(packer, &reference, sizeof(reference));
  put(packer, &upvalue_count, 1);
}

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

static void pack_c_function(lua_State *L, Packer *packer) {
  if (lua_getupvalue(L, -1, 1) != NULL)
    refuse(L, packer, "a C function with upvalues");
  lua_CFunction function = lua_tocfunction(L, -1);
  const void *address = lua_topointer(L, -1);
  pin_function(address);
  write_tagged(L, packer, LT_TAG_CFUNCTION, &function, sizeof(function));
  lua_pop(L, 1);
}

static void pack_userdata(lua_State *L, Packer *packer) {
  if (luaL_getmetafield(L, -1, LTHREAD_TRANSFER) == LUA_TNIL)
    refuse_userdata(L, packer);
  const lthread_Transfer *rule = lua_touserdata(L, -1);
  if (!lua_islightuserdata(L, -1) || rule == NULL)
    refuse_userdata(L, packer);
  lua_pop(L, 1);
  reserve_reference(L, packer);
  void *token = rule->send(L, lua_gettop(L));
  uint32_t reference = add_reference(packer, rule, token);
  write_tagged(L, packer, LT_TAG_USERDATA, &reference, sizeof(reference));
  lua_pop(L, 1);
}

static void pack_object(lua_State *L, Packer *packer, lt_Tag tag, lt_Object *object) {
  uint32_t reference = add_object(L, packer, object);
  write_tagged(L, packer, tag, &reference, sizeof(reference));
  lua_pop(L, 1);
}

static bool pack_if_named(lua_State *L, Packer *packer, const void *address) {
  lt_Path path;
  if (packer->names == NULL)
    packer->names = lt_names_of(L);
  if (!lt_named_find(L, packer->names, address, &path))
    return false;
  write_tag(L, packer, LT_TAG_NAMED);
  add_node(L, packer, address, false);
  unsigned char length = (unsigned char)path.length;
  reserve(L, packer, 1);
  put(packer, &length, 1);
  for (int i = 0; i < path.length; i++) {
    static const size_t no_step = LT_NO_STEP;
    if (path.steps[i] != NULL) {
      write_string(L, packer, path.steps[i], strlen(path.steps[i]));
    } else {
      reserve(L, packer, sizeof(no_step));
      put(packer, &no_step, sizeof(no_step));
    }
  }
  lua_pop(L, 1);
  return true;
}

static bool pack_if_method(lua_State *L, Packer *packer) {
  lt_Method method;
  if (!lt_method_find(L, -1, &method))
    return false;
  write_tag(L, packer, LT_TAG_METHOD);
  add_node(L, packer, lua_topointer(L, -1), false);
  reserve(L, packer, sizeof(method));
  put(packer, &method, sizeof(method));
  lua_pop(L, 1);
  return true;
}

/* A table, a function or a userdata, which may have come before. */
static void pack_by_identity(lua_State *L, Packer *packer) {
  const void *address = lua_topointer(L, -1);
  size_t node = find_node(packer, address);
  if (node != 0) {
    write_same(L, packer, slot_of(packer, node));
    lua_pop(L, 1);
    return;
  }
  int type = lua_type(L, -1);
  lt_Object *object = type == LUA_TUSERDATA ? lt_object_at(L, -1) : NULL;
  if (object != NULL)
    pack_object(L, packer, LT_TAG_OBJECT, object);
  else if (pack_if_named(L, packer, address))
    return;
  else if (type == LUA_TTABLE)
    open_table(L, packer, address);
  else if (type == LUA_TUSERDATA)
    pack_userdata(L, packer);
  else if (!lua_iscfunction(L, -1))
    open_function(L, packer);
  else if (!pack_if_method(L, packer))
    pack_c_function(L, packer);
}

/* A long string, at 'index': the bytes hold the number of a reference to it. */
static void pack_long_string(lua_State *L, Packer *packer, int index, const char *string,
                             size_t length) {
  static const lthread_Transfer text_rule = {NULL, NULL, lt_long_string_free};
  size_t node = find_node(packer, string);
  if (node != 0) {
    write_same(L, packer, slot_of(packer, node));
    return;
  }
  write_tag(L, packer, LT_TAG_LONG_STRING);
  lua_pushvalue(L, index);
  add_node(L, packer, string, false);
  lua_pop(L, 1);
  reserve_reference(L, packer);
  lt_LongString *text = lt_long_string_new(L, index, packer->strings);
  uint32_t reference = add_reference(packer, &text_rule, text);
  packer->text_size += sizeof(lt_LongString) + (text->own != NULL ? length : 0);
  reserve(L, packer, sizeof(reference));
  put(packer, &reference, sizeof(reference));
}

/* Where a string would be among the recent ones; NULL while none are. */
static Recent *recent_place(Packer *packer, const char *string) {
  if (packer->string_count < UNCOUNTED_STRINGS) {
    packer->string_count++;
    return NULL;
  }
  if (packer->string_count == UNCOUNTED_STRINGS) {
    packer->string_count++;
    memset(packer->recent, 0, sizeof(packer->recent));
  }
  return &packer->recent[((uintptr_t)string >> 4 ^ (uintptr_t)string >> 10) % RECENT_STRINGS];
}

static void pack_string(lua_State *L, Packer *packer, int index) {
  static const uint32_t no_slot = 0;
  size_t length;
  const char *string = lua_tolstring(L, index, &length);
  if (length >= LT_LONG_STRING) {
    pack_long_string(L, packer, index, string, length);
    return;
  }
  Recent *recent = packer->anchors == 0 ? recent_place(packer, string) : NULL;
  if (recent != NULL && recent->address == string) {
    if (recent->slot == 0) {
      recent->slot = ++packer->slot_count;
      patch(packer, recent->slot_offset, recent->slot);
    }
    write_same(L, packer, recent->slot);
    return;
  }
  uint32_t short_length = (uint32_t)length;
  reserve(L, packer, 1 + sizeof(no_slot) + sizeof(short_length) + length);
  put_tag(packer, LT_TAG_STRING);
  if (recent != NULL)
    *recent = (Recent){string, packer->size, 0};
  put(packer, &no_slot, sizeof(no_slot));
  put(packer, &short_length, sizeof(short_length));
  put(packer, string, length);
}

/* Packs the value at 'index' if it has no identity, and leaves it; else returns false. */
static inline bool pack_scalar(lua_State *L, Packer *packer, int index) {
  void *pointer;
  lua_Integer integer;
  lua_Number number;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    write_tag(L, packer, LT_TAG_NIL);
    return true;
  case LUA_TBOOLEAN:
    write_tag(L, packer, lua_toboolean(L, index) ? LT_TAG_TRUE : LT_TAG_FALSE);
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      integer = lua_tointeger(L, index);
      write_tagged(L, packer, LT_TAG_INTEGER, &integer, sizeof(integer));
    } else {
      number = lua_tonumber(L, index);
      write_tagged(L, packer, LT_TAG_FLOAT, &number, sizeof(number));
    }
    return true;
  case LUA_TSTRING:
    pack_string(L, packer, index);
    return true;
  case LUA_TLIGHTUSERDATA:
    pointer = lua_touserdata(L, index);
    write_tagged(L, packer, LT_TAG_POINTER, &pointer, sizeof(pointer));
    return true;
  default:
    return false;
  }
}

/* Returns whether the value is done; otherwise its frame is. */
static bool pack_value(lua_State *L, Packer *packer) {
  size_t depth = packer->depth;
  if (pack_scalar(L, packer, -1)) {
    lua_pop(L, 1);
    return true;
  }
  if (lua_type(L, -1) == LUA_TTHREAD)
    refuse(L, packer, "a coroutine");
  pack_by_identity(L, packer);
  return packer->depth == depth;
}

/*
** Tables
*/

static void close_frame(lua_State *L, Packer *packer, const Frame *frame) {
  write_tag(L, packer, LT_TAG_END);
  packer->nodes[frame->node].open = false;
  lua_settop(L, frame->base - 1);
  packer->depth--;
}

/* The metatable is not complete yet: it is set when everything is. */
static void note_late_metatable(lua_State *L, Packer *packer, const Frame *frame,
                                size_t metatable) {
  if (packer->late_count == packer->late_capacity) {
    size_t capacity = packer->late_capacity * 2 + 4;
    packer->late = enlarge(L, packer->late, NULL, 0, capacity * sizeof(packer->late[0]));
    packer->late_capacity = capacity;
  }
  packer->late[packer->late_count][0] = frame->node;
  packer->late[packer->late_count][1] = metatable;
  packer->late_count++;
}

static void pack_metatable(lua_State *L, Packer *packer, Frame *frame) {
  frame->phase = FIRST;
  if (!lua_getmetatable(L, frame->base))
    return;
  size_t metatable = find_node(packer, lua_topointer(L, -1));
  if (metatable != 0 && packer->nodes[metatable].open) {
    note_late_metatable(L, packer, frame, metatable);
    lua_pop(L, 1);
    return;
  }
  packer->bytes[frame->sizes_offset + 2 * sizeof(uint32_t)] = 1;
  lt_Class *class_object = lt_class_of_metatable(L, -1);
  if (class_object != NULL)
    pack_object(L, packer, LT_TAG_CLASS_METATABLE, &class_object->object);
  else
    pack_value(L, packer);
}

static bool is_next_index(lua_State *L, int key, uint32_t array_size) {
  return lua_isinteger(L, key) && lua_tointeger(L, key) == (lua_Integer)array_size + 1;
}

/* A key and its value are on the top. Returns whether both are done. */
static bool pack_entry(lua_State *L, Packer *packer, Frame *frame) {
  if (!frame->keyed && is_next_index(L, -2, frame->array_size)) {
    frame->array_size++;
    return pack_value(L, packer);
  }
  if (!frame->keyed)
    write_tag(L, packer, LT_TAG_KEYED);
  frame->keyed = true;
  frame->hash_size++;
  if (!pack_scalar(L, packer, -2)) {
    frame->phase = KEY;
    lua_pushvalue(L, -2);
    if (!pack_value(L, packer))
      return false;
    frame->phase = CONTENT;
  }
  return pack_value(L, packer);
}

static void step_table(lua_State *L, Packer *packer, Frame *frame) {
  if (frame->phase == METATABLE) {
    pack_metatable(L, packer, frame);
    return;
  }
  if (frame->phase == FIRST) {
    frame->phase = CONTENT;
    lua_pushnil(L);
  } else if (frame->phase == KEY) {
    frame->phase = CONTENT;
    if (!pack_value(L, packer))
      return;
  }
  while (lua_next(L, frame->base))
    if (!pack_entry(L, packer, frame))
      return;
  patch(packer, frame->sizes_offset, frame->array_size);
  patch(packer, frame->sizes_offset + sizeof(uint32_t), frame->hash_size);
  close_frame(L, packer, frame);
}

/*
** Functions
*/

static void pack_upvalue(lua_State *L, Packer *packer, const Frame *frame) {
  const void *cell = lua_upvalueid(L, frame->base, frame->position);
  if (frame->position == frame->code->environment) {
    write_tag(L, packer, LT_TAG_ENVIRONMENT);
    return;
  }
  size_t node = find_node(packer, cell);
  if (node != 0) {
    uint32_t slot = slot_of(packer, node);
    write_tagged(L, packer, LT_TAG_SAME_CELL, &slot, sizeof(slot));
    return;
  }
  write_tag(L, packer, LT_TAG_CELL);
  add_node(L, packer, cell, false);
  lua_getupvalue(L, frame->base, frame->position);
  pack_value(L, packer);
}

/* The global on the top is one that every state has under this name. */
static bool is_standard(lua_State *L, Packer *packer, const char *name) {
  lt_Path path;
  if (!lua_isfunction(L, -1) && !lua_istable(L, -1))
    return false;
  if (packer->names == NULL)
    packer->names = lt_names_of(L);
  return lt_named_find(L, packer->names, lua_topointer(L, -1), &path) &&
         lt_named_is_standard_global(&path, name);
}

static void pack_global(lua_State *L, Packer *packer, const Frame *frame) {
  size_t length;
  lt_Name place = frame->code->names[frame->position - 1];
  lua_getupvalue(L, frame->base, frame->code->environment);
  if (packer->anchors == 0 && luaL_getmetafield(L, -1, "__index") != LUA_TNIL) {
    packer->starts_over = true;
    lua_pop(L, 2);
    return;
  }
  lua_pushlstring(L, (const char *)frame->code->bytes + place.offset, place.length);
  const char *name = lua_tolstring(L, -1, &length);
  /* The string is a constant of the function, so its address is not used again meanwhile. */
  if (find_node(packer, name) != 0) {
    lua_pop(L, 2);
    return;
  }
  lua_pushvalue(L, -1);
  lua_gettable(L, -3);
  lua_remove(L, -3);
  if (lua_isnil(L, -1) || is_standard(L, packer, name)) {
    lua_pop(L, 2);
    return;
  }
  write_tag(L, packer, LT_TAG_GLOBAL);
  add_node(L, packer, name, false);
  write_string(L, packer, name, length);
  lua_remove(L, -2);
  pack_value(L, packer);
}

static void step_function(lua_State *L, Packer *packer, Frame *frame) {
  int name_count = (int)frame->code->name_count;
  if (frame->phase == UPVALUE && frame->position == frame->upvalue_count) {
    frame->phase = NAME;
    frame->position = 0;
  }
  if (frame->phase == NAME && frame->position == name_count) {
    close_frame(L, packer, frame);
    return;
  }
  frame->position++;
  if (frame->phase == UPVALUE)
    pack_upvalue(L, packer, frame);
  else
    pack_global(L, packer, frame);
}

/*
** A frame that packs a value may push another one, which moves the frames: it is looked up anew for
** each step.
*/
static void pack_root(lua_State *L, Packer *packer) {
  pack_value(L, packer);
  while (packer->depth > 0 && !packer->starts_over) {
    Frame *frame = &packer->frames[packer->depth - 1];
    if (frame->is_function)
      step_function(L, packer, frame);
    else
      step_table(L, packer, frame);
  }
}

static void pack_late_metatables(lua_State *L, Packer *packer) {
  for (size_t i = 0; i < packer->late_count; i++) {
    uint32_t slots[2] = {slot_of(packer, packer->late[i][0]), slot_of(packer, packer->late[i][1])};
    write_tagged(L, packer, LT_TAG_LATE_METATABLE, slots, sizeof(slots));
  }
  write_tag(L, packer, LT_TAG_END);
}

/* The references are the message's from then on, and the bytes, unless they are the packer's own.
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

static void init_packer(Packer *packer, lt_Strings strings, lt_Describe describe, lt_Names *names) {
  memset(packer, 0, offsetof(Packer, recent));
  packer->bytes = packer->own_bytes;
  packer->capacity = OWN_BYTES;
  packer->references = packer->own_references;
  packer->reference_capacity = OWN_REFERENCES;
  packer->nodes = packer->own_nodes;
  packer->node_count = 1;
  packer->node_capacity = OWN_NODES;
  packer->table = packer->own_table;
  packer->table_mask = 2 * OWN_NODES - 1;
  packer->frames = packer->own_frames;
  packer->frame_capacity = OWN_FRAMES;
  packer->strings = strings;
  packer->describe = describe;
  packer->names = names;
}

static void release_references(const lt_Reference *references, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (references[i].rule != NULL)
      references[i].rule->discard(references[i].target);
    else
      lt_object_release(references[i].target);
  }
}

static void free_packer(Packer *packer) {
  release_references(packer->references, packer->reference_count);
  free_unless(packer->bytes, packer->own_bytes);
  free_unless(packer->references, packer->own_references);
  free_unless(packer->nodes, packer->own_nodes);
  free_unless(packer->table, packer->own_table);
  free_unless(packer->frames, packer->own_frames);
  free(packer->late);
}

/* From the beginning, with a table of anchors, which takes the place above the values. */
static void start_over(lua_State *L, Packer *packer, int count) {
  free_packer(packer);
  init_packer(packer, packer->strings, packer->describe, packer->names);
  lua_settop(L, count + 1);
  lua_newtable(L);
  packer->anchors = count + 2;
}

static void pack_roots(lua_State *L, Packer *packer, int count) {
  for (packer->root = 0; packer->root < count && !packer->starts_over; packer->root++) {
    lua_pushvalue(L, packer->root + 2);
    pack_root(L, packer);
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

lt_Message *lt_pack_knowing(lua_State *L, int count, lt_Strings strings, lt_Describe describe,
                            lt_Names *names) {
  Packer packer;
  luaL_checkstack(L, 4, "too many values");
  init_packer(&packer, strings, describe, names);
  lua_pushcfunction(L, pack_protected);
  lua_insert(L, -1 - count);
  lua_pushlightuserdata(L, &packer);
  lua_insert(L, -1 - count);
  int status = lua_pcall(L, count + 1, 0, 0);
  free_packer(&packer);
  if (status == LUA_OK)
    return packer.message;
  if (packer.refused)
    lt_raise(L, &lt_TypeError, "%s", lua_tostring(L, -1));
  lt_throw(L);
}

lt_Message *lt_pack(lua_State *L, int count, lt_Strings strings, lt_Describe describe) {
  return lt_pack_knowing(L, count, strings, describe, NULL);
}

void lt_message_drop_references(lt_Message *message) {
  release_references(message->references, message->reference_count);
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
