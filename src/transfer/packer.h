/*
** Packing, private to its files, each of which knows those above it:
**
**   pack_refusal.c      the error for what can't be transferred
**   packer.c            what has been written and met so far, and its memory
**   pack_rule.c         objects with a rule in Lua, and tables that can't be copied
**   pack_late.c         objects with a rule that are held by what makes them
**   pack_environment.c  which upvalue of a function has its globals
**   pack_class.c        classes, which keep their identity
**   pack_object_data.c  what the variables of classes hold for objects
**   pack_function.c     functions; their upvalues and globals are values again: lt_pack_value
**   pack_module.c       what a module has, by its name, and what a fresh one lacks
**   pack_value.c        all other values, and the walk through all of them
**   pack.c              the message
**
** Packing walks depth-first, on the Lua stack and a stack of frames of its own, so that nesting is
** bounded by Lua's stack and not by C's. Whatever takes a state may raise, and leaves behind
** nothing but the packer, which lt_pack frees.
*/
#ifndef lt_packer_h
#define lt_packer_h

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "src/base/address_map.h"
#include "src/state/quiet_call.h"
#include "src/transfer/bytecode.h"
#include "src/transfer/class_record.h"
#include "src/transfer/message.h"

/* Where things lie on the Lua stack of pack_protected. */
enum {
  LT_PACKER_PLACE = 1,
  LT_MODULE_INDEX_PLACE,
  LT_CHOICE_PLACE,
  LT_VARIABLES_PLACE,
  LT_OBJECTS_PLACE,
  LT_LATE_VALUES_PLACE,
  LT_LATE_KINDS_PLACE,
  LT_FIRST_VALUE_PLACE
};

/*
** What has been met: tables, functions, named values, upvalue cells and the names of globals, by
** address.
*/
typedef struct lt_PackNode {
  const void *address;
  size_t slot_offset; /* where in the bytes its slot goes */
  uint32_t slot;
  uint32_t low;      /* see lt_packer_refer */
  int upvalue;       /* an upvalue cell: which it is of the function that is kept for it */
  bool open;         /* its contents are still being packed; of a cell or a name: its value */
  bool through_code; /* a function or a class leads to 'low' */
} lt_PackNode;

typedef enum lt_PackPhase {
  LT_PACK_METATABLE,
  LT_PACK_FIRST,
  LT_PACK_CONTENT,
  LT_PACK_KEY,
  LT_PACK_UPVALUE,
  LT_PACK_NAME,
  LT_PACK_RULED
} lt_PackPhase;

/*
** A table or a function whose contents are being packed, or an object with a rule: what this has
** returned is. It lies at 'base' on the Lua stack.
*/
typedef struct lt_PackFrame {
  lt_PackPhase phase;
  bool is_function;
  bool is_ruled;
  bool is_class;
  bool skips_objects; /* table: what it has for objects crosses with them, or not at all */
  bool keyed;
  bool takes_list; /* function: the chosen globals go along with it */
  int base;
  size_t node;
  size_t sizes_offset; /* table: where its sizes go */
  uint32_t array_size;
  uint32_t hash_size;
  int upvalue_count; /* function */
  int position;      /* function: of the upvalue, then of the name; rule: of the next value */
  const lt_Bytecode *code;
  size_t value_node; /* function: of the cell or the name whose value is being packed */
  int value_count;   /* rule: where its last value is, counted from the base */
  size_t outer;      /* rule: the node of the next one around it, or 0 */
  size_t low;        /* see lt_packer_refer */
  bool through_code; /* the same as of a node */
} lt_PackFrame;

/* A module that differs from a fresh one, or of which that is not known. */
typedef struct lt_PackModule {
  const lt_ModuleContents *contents;
  const lt_ModuleShape *shape;
  uint32_t reference;
  uint32_t slot;
  uint32_t field_count; /* of those that go along */
} lt_PackModule;

/*
** What suffices for a small value lies in the packer itself: then one allocation makes a message.
*/
enum {
  LT_PACKER_BYTES = 512,
  LT_PACKER_REFERENCES = 4,
  LT_PACKER_NODES = 16,
  LT_PACKER_FRAMES = 8
};

/* A string that has come lately; it is not written again. */
typedef struct lt_RecentString {
  const char *address;
  size_t slot_offset;
  uint32_t slot; /* 0: it has come once */
} lt_RecentString;

/*
** Whether a string has come is looked up only after some: a small value hardly repeats one. Of the
** strings that share a place among the recent ones, only the last is known.
*/
enum { LT_UNCOUNTED_STRINGS = 16, LT_RECENT_STRINGS = 64 };

typedef struct lt_Packer {
  lt_StringsRule strings;
  lt_DescribeValue describe;
  int first;       /* the number of the first root for 'describe' */
  bool may_choose; /* the sender, which globals go along */
  lt_QuietCall quiet;
  lt_Message *message;    /* NULL: there is none yet */
  bool whole_classes;     /* see pack_class.c */
  bool whole_variables;   /* with what they have for all objects */
  bool is_trial;          /* nobody gets the message; without names that are guessed */
  bool looks_for_classes; /* before a table is opened */
  bool has_late_kinds;    /* see pack_late.c */
  bool leaves_out;        /* what can't cross of the fields of tables */
  lt_Class *refusal;      /* the error is the reason, a string; what to raise with it */
  const void **absent;    /* what can't go along with its module */
  size_t absent_count;
  size_t absent_capacity;
  unsigned char *bytes; /* all from here on begins anew with each try */
  size_t size;
  size_t capacity;
  lt_Reference *references;
  size_t reference_count;
  size_t reference_capacity;
  uint32_t slot_count;
  lt_PackNode *nodes; /* node 0 is unused */
  size_t node_count;
  size_t node_capacity;
  lt_AddressMap met; /* the nodes, by address */
  lt_PackFrame *frames;
  size_t depth;
  size_t frame_capacity;
  size_t (*late)[2]; /* nodes: a table and the metatable that was still open */
  size_t late_count;
  size_t late_capacity;
  lt_PackModule *modules; /* number 0 is unused; see pack_module.c */
  size_t module_count;
  size_t module_capacity;
  size_t *bodies; /* the nodes of values that may have to go along */
  size_t body_count;
  size_t body_capacity;
  size_t body;      /* the node of the one that is packed now; or 0 */
  bool optional;    /* what is packed now may be left out */
  bool absent_grew; /* packing must start over */
  size_t module;    /* of which a field is packed now; or 0 */
  uint32_t field;
  size_t ruled; /* the node of the innermost object that is packed by a rule, or 0 */
  int root;
  size_t rest;     /* where in the bytes begins what follows the values */
  bool list_taken; /* a function has been met, with which the chosen globals go along */
  int anchors; /* where on the stack the table is that keeps what nodes stand for; 0: there is none
                */
  size_t late_value_count;
  size_t waiting_values; /* of these */
  bool starts_over;
  bool needs_anchors; /* to start over with */
  bool has_function;
  bool moves;                  /* one of the references is a move */
  bool has_variables;          /* of classes: see pack_object_data.c */
  bool is_metatable;           /* what is packed now */
  const void *plain_metatable; /* the last one without __call */
  uint64_t number;             /* of this packing, if it has classes or asks for modules; or 0 */
  bool refers_to_classes;      /* by their definitions */
  const void *copied; /* the metatable of which it was last found that its tables are copied */
  const void *asked;  /* the environment that was last asked whether it stands for the globals */
  bool answer;
  size_t text_size; /* of the long strings that are not lent */
  unsigned string_count;
  uint32_t own_places[2 * LT_PACKER_NODES];
  lt_RecentString recent[LT_RECENT_STRINGS]; /* all 0 from the string on after the uncounted ones */
  lt_PackNode own_nodes[LT_PACKER_NODES];
  lt_PackFrame own_frames[LT_PACKER_FRAMES];
  lt_Reference own_references[LT_PACKER_REFERENCES];
  unsigned char own_bytes[LT_PACKER_BYTES];
} lt_Packer;

/*
** Bytes
*/

/* Makes room for so many bytes, and for more to come. */
void lt_packer_grow_bytes(lua_State *L, lt_Packer *packer, size_t size);

/* Makes room for so many bytes. */
static inline void lt_packer_reserve(lua_State *L, lt_Packer *packer, size_t size) {
  if (size > packer->capacity - packer->size)
    lt_packer_grow_bytes(L, packer, size);
}

/* Room for what follows must have been reserved. */
static inline void lt_packer_put(lt_Packer *packer, const void *bytes, size_t size) {
  memcpy(packer->bytes + packer->size, bytes, size);
  packer->size += size;
}

static inline void lt_packer_write(lua_State *L, lt_Packer *packer, const void *bytes,
                                   size_t size) {
  lt_packer_reserve(L, packer, size);
  lt_packer_put(packer, bytes, size);
}

static inline void lt_packer_put_tag(lt_Packer *packer, lt_Tag tag) {
  packer->bytes[packer->size++] = (unsigned char)tag;
}

static inline void lt_packer_write_tag(lua_State *L, lt_Packer *packer, lt_Tag tag) {
  lt_packer_reserve(L, packer, 1);
  lt_packer_put_tag(packer, tag);
}

static inline void lt_packer_write_tagged(lua_State *L, lt_Packer *packer, lt_Tag tag,
                                          const void *bytes, size_t size) {
  lt_packer_reserve(L, packer, 1 + size);
  lt_packer_put_tag(packer, tag);
  lt_packer_put(packer, bytes, size);
}

/* The name of a global, or a step of a path. */
static inline void lt_packer_write_string(lua_State *L, lt_Packer *packer, const char *string,
                                          size_t length) {
  lt_packer_reserve(L, packer, sizeof(length) + length);
  lt_packer_put(packer, &length, sizeof(length));
  lt_packer_put(packer, string, length);
}

static inline void lt_packer_write_same(lua_State *L, lt_Packer *packer, uint32_t slot) {
  lt_packer_write_tagged(L, packer, LT_TAG_SAME, &slot, sizeof(slot));
}

static inline void lt_packer_patch(lt_Packer *packer, size_t offset, uint32_t value) {
  memcpy(packer->bytes + offset, &value, sizeof(value));
}

/*
** References
*/

/* Makes room for one more. Called before the target is taken, so that nothing can fail between. */
void lt_packer_reserve_reference(lua_State *L, lt_Packer *packer);

/* The same for so many. */
void lt_packer_reserve_references(lua_State *L, lt_Packer *packer, size_t count);

/* Returns the number of the reference; room for it must have been reserved. */
static inline uint32_t lt_packer_add_reference(lt_Packer *packer, const lthread_Transfer *rule,
                                               void *target) {
  packer->references[packer->reference_count] = (lt_Reference){rule, target};
  return (uint32_t)packer->reference_count++;
}

/* The same for a shared object, which is retained. */
uint32_t lt_packer_add_object(lua_State *L, lt_Packer *packer, lt_Object *object);

/* Gives back what they refer to. */
void lt_packer_release_references(const lt_Reference *references, size_t count);

/* Code of the state is about to run: then packing must keep what it meets. */
static inline void lt_packer_demand_anchors(lt_Packer *packer) {
  packer->starts_over = true;
  packer->needs_anchors = true;
}

/*
** Nodes
*/

static inline uint32_t *lt_packer_place(const lt_Packer *packer, const void *address) {
  return lt_address_map_place(&packer->met, packer->nodes, sizeof(lt_PackNode), address);
}

/* Returns 0 where the address has not been met. */
static inline size_t lt_packer_find_address(const lt_Packer *packer, const void *address) {
  return *lt_packer_place(packer, address);
}

/* The node is of an upvalue cell that is not there any more. */
static inline void lt_packer_forget_cell(lt_Packer *packer, size_t node) {
  packer->nodes[node].address = NULL;
}

/*
** The same for what is not an upvalue cell. Unlike those all else stays what it is: see find_cell.
*/
static inline size_t lt_packer_find_node(lt_Packer *packer, const void *address) {
  size_t node = lt_packer_find_address(packer, address);
  if (node == 0 || packer->nodes[node].upvalue == 0)
    return node;
  lt_packer_forget_cell(packer, node);
  return 0;
}

/*
** A new node, whose slot is written here as 0 until the value comes again. On the top is what has
** the address: the value, or a function that has the upvalue cell or the name.
*/
size_t lt_packer_add_node(lua_State *L, lt_Packer *packer, const void *address, bool open);

/* Only so many stay, as if the others had not been met. */
void lt_packer_forget_nodes(lt_Packer *packer, size_t count);

/*
** The value of a node comes again. The receiver makes an object with a rule when it has all that
** the rule has returned, so this must not hold what still is to hold the object, directly or not.
** Raises ValueError then.
**
** For that, the 'low' of a node that is not open any more is the outermost of those that were open
** and that it led to, if there are such; of a frame, what is known by now. What is open and not
** later than packer->ruled holds the object that is packed by its rule.
*/
void lt_packer_refer_by_rule(lua_State *L, lt_Packer *packer, size_t node);

static inline void lt_packer_refer(lua_State *L, lt_Packer *packer, size_t node) {
  if (packer->anchors != 0) /* without anchors no rule is followed */
    lt_packer_refer_by_rule(L, packer, node);
}

/* What the node stands for is packed, in this frame. */
void lt_packer_close_node(lt_Packer *packer, size_t node, const lt_PackFrame *frame);

/* The slot of a value that comes again. */
static inline uint32_t lt_packer_slot_of(lt_Packer *packer, size_t node) {
  lt_PackNode *known = &packer->nodes[node];
  if (known->slot == 0) {
    known->slot = ++packer->slot_count;
    lt_packer_patch(packer, known->slot_offset, known->slot);
  }
  return known->slot;
}

/*
** Names
*/

/*
** Looks for the value with this address among those that every state can get (see module_names.h).
*/
bool lt_packer_find_path(lua_State *L, const void *address, lt_ModulePath *path);

/*
** Frames
*/

/* Opens a frame for the table or function on the top. It is valid until the next one is opened. */
lt_PackFrame *lt_packer_push_frame(lua_State *L, lt_Packer *packer, size_t node);

/* Its contents are packed: pops it and what lies on the stack from its base on. */
void lt_packer_close_frame(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame);

/* Pushes the name of the global that the function of the frame is at. */
static inline void lt_packer_push_global_name(lua_State *L, const lt_PackFrame *frame) {
  if (frame->takes_list) {
    lua_rawgeti(L, LT_CHOICE_PLACE, frame->position);
  } else {
    lt_GlobalName name = frame->code->names.list[frame->position - 1];
    lua_pushlstring(L, (const char *)frame->code->bytes + name.offset, name.length);
  }
}

/*
** The metatable of a table is not complete yet: it is set when everything is, or before a function
** of a rule is called.
*/
void lt_packer_note_late_metatable(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame,
                                   size_t metatable);

/* Writes and forgets those that are complete by now. */
void lt_packer_write_late_metatables(lua_State *L, lt_Packer *packer);

/*
** The packer itself
*/

void lt_packer_init(lt_Packer *packer, lt_StringsRule strings, lt_DescribeValue describe,
                    const lt_PackBatch *batch);

/* Frees its memory and releases the references that no message has taken. */
void lt_packer_free(lt_Packer *packer);

/* The same, and begins anew. */
void lt_packer_restart(lt_Packer *packer);

/*
** pack_refusal.c
*/

/* Raises the TypeError "cannot transfer <what> (args[1].job.co)". */
_Noreturn void lt_pack_refuse(lua_State *L, lt_Packer *packer, const char *what);

/* The same by any class, with a way out: "cannot transfer <what> (<path>); <advice>". */
_Noreturn void lt_pack_refuse_advised(lua_State *L, lt_Packer *packer, lt_Class *class_object,
                                      const char *what, const char *advice);

/* The same where Lua's stack has no room for what is nested still deeper. */
_Noreturn void lt_pack_refuse_depth(lua_State *L, lt_Packer *packer);

/*
** The value on the top can't cross. Pops it and writes nil for it, if it may be left out here.
*/
bool lt_pack_leave_out(lua_State *L, lt_Packer *packer);

/*
** pack_rule.c
*/

/* Raises the ValueError of lt_packer_refer. */
_Noreturn void lt_pack_refuse_circle(lua_State *L, lt_Packer *packer);

/* Pushes what an object is called in errors: "a table", "a Point userdata". */
const char *lt_pack_push_kind(lua_State *L, int object);

/*
** The metatable of the table whose frame is given, which has just been opened, is on the top. If it
** has a rule the frame goes on with that, or packing starts over. Otherwise the table is copied,
** and false returned; raises where it must not be.
*/
bool lt_pack_rule_for_table(lua_State *L, lt_Packer *packer, lt_PackFrame *frame);

/* The same for the userdata on the top; false: it has no rule in Lua. */
bool lt_pack_rule_for_userdata(lua_State *L, lt_Packer *packer);

/*
** pack_userdata.c
*/

/* Packs the userdata on the top, which it pops, or has packing start over. */
void lt_pack_userdata(lua_State *L, lt_Packer *packer);

/* Packs the next value that the rule has returned, or a late one, or closes the frame. */
void lt_pack_rule_step(lua_State *L, lt_Packer *packer, lt_PackFrame *frame);

/*
** pack_late.c
*/

/*
** The value of the node, which is open, comes again within objects with rules; through_code: what
** is closed and leads there has functions or classes. Returns whether one of the objects can be
** late: then packing starts over.
*/
bool lt_pack_late_find_kind(lua_State *L, lt_Packer *packer, size_t node, bool through_code);

/*
** Notes the value on the top as a late one and pops it, if it is one; else returns false. It is in
** the field whose key lies below it, of the table of the frame, or in the upvalue of a cell.
*/
bool lt_pack_late_field(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame);
bool lt_pack_late_upvalue(lua_State *L, lt_Packer *packer, size_t cell);

/* Packs a late value that can be made by now; its frame may go on with it. False: there is none. */
bool lt_pack_late_next(lua_State *L, lt_Packer *packer);

/*
** pack_environment.c
*/

/*
** Finds the upvalues of the function that stand for the state's globals, and returns how many it
** has in all; or packing must start over, because it runs code to find out.
*/
int lt_pack_environment_find(lua_State *L, lt_Packer *packer, int function, lt_UpvalueSet *globals);

/*
** Whether the value on the top could be packed, which is tried; and whether code has run for that.
** pack.c
*/
bool lt_pack_crosses(lua_State *L, const lt_Packer *packer, bool *runs_code);

/* Whether code may run where a field of the environment on the top is read. */
bool lt_pack_environment_runs_code(lua_State *L);

/*
** pack_class.c
*/

/* The record of the table on the top, if it is a class; or NULL. */
lt_ClassRecord *lt_pack_class_record(lua_State *L, lt_Packer *packer);

/* Packs the table on the top, and pops it, if it is a class; else returns false. */
bool lt_pack_if_class(lua_State *L, lt_Packer *packer);

/* Whether that is worth a call, for the table with this address. */
static inline bool lt_pack_may_be_class(const lt_Packer *packer, const void *address) {
  return packer->is_metatable || packer->looks_for_classes || packer->anchors != 0 ||
         lt_class_may_be(address);
}

/* The metatable of the table whose frame is the last, which is at 'table', is on the top. */
void lt_pack_class_look(lua_State *L, lt_Packer *packer, int table);

/* The table that is packed now is a class: it starts over unless that was known. */
void lt_pack_class_found(lt_Packer *packer);

/* It starts over, and the message will hold its classes whole. */
void lt_pack_classes_whole(lt_Packer *packer);

/*
** pack_object_data.c
*/

/* The table on the top is a variable of a class that is in the message, or that it refers to. */
void lt_pack_note_variable(lua_State *L, lt_Packer *packer);

/* The table at 'object' may have something in such a variable. */
void lt_pack_note_object(lua_State *L, const lt_Packer *packer, int object);

/* All values are packed: packs what the variables have for the objects among them. */
void lt_pack_object_data(lua_State *L, lt_Packer *packer);

/*
** pack.c: makes a message of the class on the top alone and pops it. NULL: it can't be transferred.
** Sets whether code of the state may have run.
*/
lt_Message *lt_pack_class_alone(lua_State *L, bool *runs_code);

/*
** pack_function.c and pack_value.c. A value that is packed lies on the top and is popped; a table
** or a Lua function stays there until its frame is closed.
*/

/* A function that has not come before and has no name. */
void lt_pack_function(lua_State *L, lt_Packer *packer);

/* The code of a function that has none yet, which the state keeps, and the message. */
const lt_Bytecode *lt_pack_new_code(lua_State *L, lt_Packer *packer, int function,
                                    const lt_UpvalueSet *globals, uint32_t *reference);

/*
** pack_library.c
*/

/* Whether what this path leads to goes by its name. */
bool lt_pack_library_is_named(lua_State *L, const lt_ModulePath *path);

/* Packs and pops the function in C on the top, if it is one of Lua's libraries. */
bool lt_pack_library_function(lua_State *L, lt_Packer *packer, const void *address);

/* Packs the next upvalue or global of the function whose frame is the last, or closes the frame. */
void lt_pack_function_step(lua_State *L, lt_Packer *packer, lt_PackFrame *frame);

/*
** The value on the top, if it goes by its name: then it is popped; or packing is to start over.
*/
bool lt_pack_if_named(lua_State *L, lt_Packer *packer, const void *address);

/* Pushes what leads to the field of a module that is packed now. */
void lt_pack_push_field_path(lua_State *L, const lt_Packer *packer);

/* What goes along with the modules that have been named, up to an END. */
void lt_pack_modules(lua_State *L, lt_Packer *packer);

/* The code of a function, with its reference; NULL: packing is to start over. */
const lt_Bytecode *lt_pack_code(lua_State *L, lt_Packer *packer, int function, int *upvalue_count,
                                uint32_t *reference);

/* The scalar or string on the top, which stays there; false: it is none. */
bool lt_pack_scalar(lua_State *L, lt_Packer *packer);

/* The table or function on the top, with all that it holds, also if it has a name. */
void lt_pack_body(lua_State *L, lt_Packer *packer, size_t node);

/* Returns whether the value is done; otherwise its frame is. */
bool lt_pack_value(lua_State *L, lt_Packer *packer);

/* Opens a frame for the table on the top. */
lt_PackFrame *lt_pack_open_table(lua_State *L, lt_Packer *packer);

/* Packs what the open frames still hold, unless packing is to start over. */
void lt_pack_frames(lua_State *L, lt_Packer *packer);

/* Packs the value with all that it holds, unless packing is to start over. */
void lt_pack_root(lua_State *L, lt_Packer *packer);

#endif
