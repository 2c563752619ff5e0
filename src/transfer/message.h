/*
** Messages: values on their way from one state to another.
**
** A message is a string of bytes and a list of references; it points into no state. It is not
** changed once it is packed, so any number of threads may unpack it; one with strings that are lent
** (see lent_string.h) is for one thread.
**
** The bytes hold the values one after the other, each a tag and what belongs to it:
**
**   a kind of scalar                 the content, for those that have one
**   CFUNCTION                        the address
**   STRING                           slot, length (4 bytes), bytes
**   LONG_STRING                      slot, number of the reference: from LT_LEAST_LENT_BYTES on
**   OBJECT CLASS_METATABLE           number of the reference
**   USERDATA FULL_USERDATA           slot, number of the reference: a token of a lthread_Transfer, or
**                                    of those of a lthread_Transfer2
**   CLASS                            slot, references of its definition and its identity
**   CLASS_CONTENT                    reference of its identity, version (8 bytes); then the TABLE
**   VARIABLE_CONTENT                 reference of its identity; then the TABLE
**   NAMED                            slot, reference of the module or LT_NO_REFERENCE, number of
**                                    steps, strings; instead of a string's length LT_NO_STEP: to
**                                    the metatable
**   METHOD                           slot, the lt_Method
**   LIBRARY_FUNCTION                 the address, strings: the library, the field
**   HIDDEN_FUNCTION                  slot, the lt_LibraryFunction (1 byte)
**   SAME                             slot of a value that came before
**   TABLE                            slot, array size, hash size, has a metatable?; the metatable;
**                                    values of 1, 2, 3...; KEYED, keys and values in turn; END
**   FUNCTION                         slot, reference of the code, number of upvalues; for each one
**                                      CELL, slot, value; or ENVIRONMENT
**                                      SAME_CELL, slot of one that came before
**                                      ENVIRONMENT: the globals of the receiver
**                                    then any number of GLOBAL, slot (unused), lt_GlobalStamp,
**                                    name, value; END
**   RULED                            slot, number of values, has a rule?; the rule, if it has one,
**                                    a function, its arguments; late metatables, as below; END
**   MEMBER                           slot, slot and reference of the module, content (8 bytes),
**                                    steps as of NAMED; what stands for the value if the receiver
**                                    lacks it: TABLE, CLASS and its identity, FUNCTION and its
**                                    code, CFUNCTION, or END: nothing
**
** A slot is the number under which the receiver keeps a value that comes again; 0 for one that does
** not. The values are followed by what variables of classes hold for objects: OBJECT_DATUM, reference
** of the variable's identity, the object, the value; then by the metatables that were still incomplete when they were needed:
** LATE_METATABLE, slot of the table, slot of the metatable; END.
**
** Then comes what goes along with the modules of members, up to an END:
**
**   MODULE    its slot, number of fields; for each one the number of keys that lead to it, these,
**             its content (see module_tables.h)
**   VALUES    slot of a module; the values of its fields, each followed by late metatables
**   BODY      slot of a member; a TABLE, CLASS_CONTENT or FUNCTION with that slot; late metatables
**   FALLBACK  the rest is only for a receiver that lacks something of what came before
**
** Instead of a value there may be ABSENT, and why it can't cross.
*/
#ifndef lt_message_h
#define lt_message_h

#include <stdbool.h>
#include <stdint.h>

#include "lthread.h"
#include "src/base/scalar.h"
#include "src/base/stack_room.h"
#include "src/object/cycles.h"
#include "src/object/object.h"
#include "src/state/lent_string.h"
#include "src/transfer/module_names.h"
#include "src/transfer/received_globals.h"

typedef enum lt_Tag {
  LT_TAG_CFUNCTION = LT_SCALAR_KINDS,
  LT_TAG_STRING,
  LT_TAG_LONG_STRING,
  LT_TAG_OBJECT,
  LT_TAG_USERDATA,
  LT_TAG_FULL_USERDATA,
  LT_TAG_CLASS_METATABLE,
  LT_TAG_CLASS,
  LT_TAG_CLASS_CONTENT,
  LT_TAG_VARIABLE_CONTENT,
  LT_TAG_OBJECT_DATUM,
  LT_TAG_NAMED,
  LT_TAG_METHOD,
  LT_TAG_LIBRARY_FUNCTION,
  LT_TAG_HIDDEN_FUNCTION,
  LT_TAG_SAME,
  LT_TAG_TABLE,
  LT_TAG_KEYED,
  LT_TAG_FUNCTION,
  LT_TAG_CELL,
  LT_TAG_SAME_CELL,
  LT_TAG_ENVIRONMENT,
  LT_TAG_GLOBAL,
  LT_TAG_RULED,
  LT_TAG_MEMBER,
  LT_TAG_MODULE,
  LT_TAG_VALUES,
  LT_TAG_BODY,
  LT_TAG_FALLBACK,
  LT_TAG_ABSENT,
  LT_TAG_LATE_METATABLE,
  LT_TAG_LATE_FIELD,
  LT_TAG_LATE_UPVALUE,
  LT_TAG_END
} lt_Tag;

#define LT_NO_STEP SIZE_MAX
#define LT_NO_REFERENCE UINT32_MAX

/* A string of so many bytes is an lt_LentString, shorter ones are copied into the message. */
#define LT_LEAST_LENT_BYTES ((size_t)4096)

/*
** A shared object, or, where there is a rule, the token of a userdata, a shared object that such a
** token has, or an lt_LentString.
*/
typedef struct lt_Reference {
  const lthread_Transfer *rule;
  void *target;
} lt_Reference;

/* The rule of a reference that the token before it has, which alone gives it back. */
extern const lthread_Transfer lt_pack_of_token;

/* The shared object that it is to, or NULL. */
static inline const lt_Object *lt_reference_object(const lt_Reference *reference) {
  return reference->rule == NULL || reference->rule == &lt_pack_of_token
             ? (const lt_Object *)reference->target
             : NULL;
}

typedef struct lt_Message {
  int count;     /* of values */
  bool moves;    /* one of its references is a move */
  bool has_rest; /* something follows the values; else nothing does, not even an END */
  uint32_t slot_count;
  size_t reference_count;
  size_t size;
  size_t text_size; /* of the long strings that are not lent */
  const unsigned char *bytes;
  void *block; /* the memory of the bytes; NULL: they lie behind the references */
  lt_Reference references[];
} lt_Message;

/*
** Packs the 'count' values on the top of the stack and pops them. 'describe' pushes the name of one
** of them, counted from 0, for an error; it may be NULL. Raises TypeError for what can't be
** transferred; then nothing has changed.
*/
typedef void (*lt_DescribeValue)(lua_State *L, int value);

lt_Message *lt_pack(lua_State *L, int count, lt_StringsRule strings, lt_DescribeValue describe);

/*
** The same for one message of a batch: the index of the state's modules (see module_index.h) has
** been looked up once for all of them, and 'describe' counts values from 'first' on. NULL is for a
** message alone, whose sender can't choose which globals go along: those that its functions name.
*/
typedef struct lt_PackBatch {
  int names; /* where on the stack the index is; 0: it has not been looked up */
  int first;
  int globals; /* where on the stack the choice is: false for none, or a list; 0 or nil for those */
  bool leaves_out; /* what can't cross of the fields of tables */
} lt_PackBatch;

lt_Message *lt_pack_in_batch(lua_State *L, int count, lt_StringsRule strings,
                             lt_DescribeValue describe, const lt_PackBatch *batch);

/*
** Pushes the values of a message, and raises what goes wrong in making them. The globals that its
** functions name are set where the receiver has none of that name; with LT_TAKE_GLOBALS also in the
** place of older ones, see received_globals.h.
*/
int lt_unpack(lua_State *L, const lt_Message *message, lt_GlobalsRule globals);

/* The same; returns a status of Lua instead, with the values or what went wrong on the top. */
int lt_try_unpack(lua_State *L, const lt_Message *message, lt_GlobalsRule globals);

/*
** A move is the rule of a value that stands for another, of which it makes that the sender has it
** no more. There is one, which comes from above: see lib/socketlib.c.
**
** take: the message is complete. It may raise; then it is freed.
** give_back: the message reaches nobody. It may raise.
*/
typedef struct lt_Move {
  lthread_Transfer rule;
  void (*take)(lua_State *L, void *token);
  void (*give_back)(lua_State *L, void *token);
} lt_Move;

extern const lt_Move *lt_message_move;

/* Before a message is freed that the sender's state could not send; never raises. */
void lt_message_give_back(lua_State *L, const lt_Message *message);

void lt_message_free(lt_Message *message); /* NULL is fine */

/* Gives its references back: it can't be unpacked any more. */
void lt_message_drop_references(lt_Message *message);

/*
** For the 'traverse' of objects that have a message: visits what it refers to, from *position on.
** No lock is needed, as a message does not change.
*/
void lt_message_traverse(const lt_Message *message, size_t *position, lt_Visit visit,
                         void *context);

/* How many bytes of memory it has. */
size_t lt_message_size(const lt_Message *message);

/*
** Makes the Lua stack large enough for one level more of nested values, with 'depth' around it; for
** some levels at once, each of which keeps up to so many values there. False: there is no room.
*/
enum { LT_LEVELS_AT_ONCE = 8, LT_ROOM_FOR_LEVELS = 20 + LT_LEVELS_AT_ONCE * 4 };

static inline bool lt_message_room_for_level(lua_State *L, size_t depth) {
  return depth % LT_LEVELS_AT_ONCE != 0 || lt_stack_room(L, LT_ROOM_FOR_LEVELS);
}

/* The same for a level that keeps so many values besides. */
static inline bool lt_message_room_for_values(lua_State *L, int count) {
  return lt_stack_room(L, count + LT_ROOM_FOR_LEVELS);
}

#endif
