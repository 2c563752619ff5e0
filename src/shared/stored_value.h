/*
** Stored values: what a shared table can't hold as it is, such as a function. It is packed once,
** into a message that never changes, and each state that reads it makes a value of its own out of
** that.
**
** Of a function or a userdata a state makes one value, and gets the same one as long as it keeps
** it; the state that stored it gets back the very value. A table is stored if it has a metatable or
** belongs to a module; of that every read makes another one.
*/
#ifndef lt_stored_value_h
#define lt_stored_value_h

#include "src/object/cycles.h"
#include "src/transfer/message.h"

typedef struct lt_StoredValue {
  lt_Traced traced;
  lt_Message *message; /* of one value */
  size_t size;         /* of the message */
  bool has_identity;   /* a state makes one value of it */
} lt_StoredValue;

extern const lt_Type lt_stored_value_type;

/*
** The stored value, if any, that the function at 'index' is in this state; or NULL.
*/
lt_StoredValue *lt_stored_value_of(lua_State *L, int index);

/*
** As lt_stored_value_of, also for tables that were made out of one, however they have been changed
** since.
*/
lt_StoredValue *lt_stored_value_origin(lua_State *L, int index);

/*
** Stores the value at 'index': the reference is the caller's. Raises TypeError for what can't be
** transferred; 'describe' as for lt_pack.
*/
lt_StoredValue *lt_stored_value_new(lua_State *L, int index, lt_DescribeValue describe);

/*
** Pushes the value that the state has of a stored one, if it has, and returns whether. Neither
** allocates nor raises nor collects, so a native lock may be held.
*/
bool lt_stored_value_push_known(lua_State *L, const lt_StoredValue *stored);

/* Pushes the value, which is made if the state has none. Raises what goes wrong in making it. */
void lt_stored_value_push(lua_State *L, lt_StoredValue *stored);

#endif
