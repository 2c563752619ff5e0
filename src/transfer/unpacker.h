/*
** Unpacking, private to its files, each of which knows those above it:
**
**   unpack_module.c  what a module has, and what goes along with it
**   unpack_ruled.c   objects with a rule in Lua; their values are values again: lt_unpack_value
**   unpack_late.c    values that were left out of what holds them
**   unpack_library.c functions of Lua's own libraries
**   unpack.c         all other values, and the walk through all of them
*/
#ifndef lt_unpacker_h
#define lt_unpacker_h

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "src/transfer/message.h"
#include "src/transfer/unpack_end.h"

/*
** Where things lie on the Lua stack of unpack_protected. Behind LT_SLOTS_PLACE, a table, lie those
** of the first slots that the message has.
*/
enum {
  LT_UNPACKER_PLACE = 1,
  LT_RECEIVED_GLOBALS_PLACE,
  LT_RECEIVED_CLASSES_PLACE = LT_RECEIVED_GLOBALS_PLACE + LT_RECEIVED_GLOBALS_PLACES,
  LT_OBJECT_DATA_PLACE,
  LT_SLOTS_PLACE
};

enum { LT_STACK_SLOTS = 32 };

typedef struct lt_UnpackFrame {
  bool is_function;
  bool is_ruled;
  bool is_late;
  bool has_metatable;
  bool keyed;
  bool has_key;   /* the key of the next entry lies on the stack; late: there is one */
  bool pending;   /* a value that has just been made is to be stored */
  bool is_global; /* function: the pending value is one */
  bool is_known;  /* table: the content of a class that the state has */
  bool is_class;  /* table: the content of a class or a variable of one; slot is its number */
  int base;
  lua_Integer array_size;
  int upvalue;
  lt_GlobalStamp stamp; /* function: of the pending global */
  bool has_rule;        /* ruled: the first of its values is the rule */
  int awaited;          /* ruled, late: how many of its values are still to be made */
  uint32_t slot; /* ruled: of the object; late: of what holds it; known: of the class in the list of
                    those received */
} lt_UnpackFrame;

enum { LT_UNPACKER_FRAMES = 8 };

/* How the next table or function begins. */
typedef enum lt_UnpackBody {
  LT_UNPACK_NEW,
  LT_UNPACK_LACKING, /* it is kept already, without contents */
  LT_UNPACK_SPARE /* what is kept in its slot is the state's own, this is only for its contents */
} lt_UnpackBody;

/* A module for which fields have come along. */
typedef struct lt_UnpackModule {
  uint32_t slot;
  uint32_t field_count;
  const unsigned char *fields;
  bool only_fallback; /* it was first met there */
} lt_UnpackModule;

typedef struct lt_Unpacker {
  const lt_Message *message;
  const unsigned char *next;
  lt_UnpackFrame *frames;
  size_t depth;
  size_t frame_capacity;
  unsigned char *cells; /* for a slot that is a cell: its number among the upvalues of a function */
  lua_Integer settled_classes; /* so many of the first ones: see unpack_ruled.c */
  lt_GlobalsRule globals;
  lt_UnpackEnd end;
  unsigned char
      *lacking; /* for the slot of a member: whether the state lacks it, see unpack_module.c */
  lt_UnpackBody body;
  bool fallback; /* what is made now may not be wanted */
  lt_UnpackModule *modules;
  size_t module_count;
  size_t module_capacity;
  lt_UnpackFrame own_frames[LT_UNPACKER_FRAMES]; /* suffice for a small value */
} lt_Unpacker;

/*
** Reading
*/

static inline lt_Tag lt_unpack_tag(lt_Unpacker *unpacker) {
  return (lt_Tag)*unpacker->next++;
}

static inline lt_Tag lt_unpack_next_tag(const lt_Unpacker *unpacker) {
  return (lt_Tag)*unpacker->next;
}

static inline void lt_unpack_bytes(lt_Unpacker *unpacker, void *into, size_t size) {
  memcpy(into, unpacker->next, size);
  unpacker->next += size;
}

static inline uint32_t lt_unpack_number(lt_Unpacker *unpacker) {
  uint32_t number;
  lt_unpack_bytes(unpacker, &number, sizeof(number));
  return number;
}

/* The name of a global, or a step of a path. */
static inline void lt_unpack_name(lua_State *L, lt_Unpacker *unpacker) {
  size_t length;
  lt_unpack_bytes(unpacker, &length, sizeof(length));
  lua_pushlstring(L, (const char *)unpacker->next, length);
  unpacker->next += length;
}

static inline const lt_Reference *lt_unpack_reference(lt_Unpacker *unpacker) {
  return &unpacker->message->references[lt_unpack_number(unpacker)];
}

/* Keeps the value on the top for those that come again. */
static inline void lt_unpack_keep(lua_State *L, uint32_t slot) {
  if (slot == 0)
    return;
  if (slot <= LT_STACK_SLOTS) {
    lua_copy(L, -1, LT_SLOTS_PLACE + (int)slot);
  } else {
    lua_pushvalue(L, -1);
    lua_rawseti(L, LT_SLOTS_PLACE, slot);
  }
}

static inline void lt_unpack_push_kept(lua_State *L, uint32_t slot) {
  if (slot <= LT_STACK_SLOTS)
    lua_pushvalue(L, LT_SLOTS_PLACE + (int)slot);
  else
    lua_rawgeti(L, LT_SLOTS_PLACE, slot);
}

/* Keeps on the stack what is above its base. It is valid until the next one is opened. */
lt_UnpackFrame *lt_unpack_push_frame(lua_State *L, lt_Unpacker *unpacker);

/* Raises where Lua's stack has no room for what is nested still deeper. */
_Noreturn void lt_unpack_refuse_depth(lua_State *L, const lt_Unpacker *unpacker);

/* Pushes the next value. Returns whether it is complete; otherwise its frame goes on with it. */
bool lt_unpack_value(lua_State *L, lt_Unpacker *unpacker);

/* Sets the metatables that were not complete when they were needed, up to an END. */
void lt_unpack_late_metatables(lua_State *L, lt_Unpacker *unpacker);

/* The next value, with all that it holds. */
void lt_unpack_whole(lua_State *L, lt_Unpacker *unpacker);

/* The slot of a table or function whose body comes: pushes that, or nothing if it is a new one. */
static inline bool lt_unpack_take_body(lua_State *L, lt_Unpacker *unpacker, uint32_t slot) {
  lt_UnpackBody body = unpacker->body;
  unpacker->body = LT_UNPACK_NEW;
  if (body == LT_UNPACK_LACKING)
    lt_unpack_push_kept(L, slot);
  return body == LT_UNPACK_LACKING;
}

/*
** unpack_module.c
*/

/* The steps of a path: pushes those that are names. */
void lt_unpack_path(lua_State *L, lt_Unpacker *unpacker, lt_ModulePath *path);

void lt_unpack_member(lua_State *L, lt_Unpacker *unpacker);

/* What goes along with modules. */
void lt_unpack_modules(lua_State *L, lt_Unpacker *unpacker);

/*
** unpack_ruled.c
*/

void lt_unpack_ruled(lua_State *L, lt_Unpacker *unpacker);

/* Makes what is missing of its values, then the object, and closes the frame. */
void lt_unpack_ruled_step(lua_State *L, lt_Unpacker *unpacker, lt_UnpackFrame *frame);

/*
** unpack_late.c
*/

/* A value that was left out of what holds it. */
void lt_unpack_late(lua_State *L, lt_Unpacker *unpacker, bool has_key);
void lt_unpack_late_step(lua_State *L, lt_Unpacker *unpacker, lt_UnpackFrame *frame);

static inline bool lt_unpack_next_is_late(const lt_Unpacker *unpacker) {
  lt_Tag tag = lt_unpack_next_tag(unpacker);
  return tag == LT_TAG_LATE_FIELD || tag == LT_TAG_LATE_UPVALUE;
}

/*
** unpack_library.c
*/

void lt_unpack_library_function(lua_State *L, lt_Unpacker *unpacker);

/*
** unpack_userdata.c
*/

void lt_unpack_userdata(lua_State *L, lt_Unpacker *unpacker);

/* The same by a rule that has a name, and goes along. */
void lt_unpack_full_userdata(lua_State *L, lt_Unpacker *unpacker);
void lt_unpack_hidden_function(lua_State *L, lt_Unpacker *unpacker);

#endif
