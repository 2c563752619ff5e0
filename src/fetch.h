/*
** From the shared data space into Lua: what is found in a table is taken with its lock held, and
** pushed when the lock is free.
*/
#ifndef lt_fetch_h
#define lt_fetch_h

#include "src/shared.h"
#include "src/stored.h"

#define LT_SHORT_STRING 64

typedef struct lt_Taken {
  lt_Value value;
  bool has_reference;
  int place; /* on the stack, if the state has it already; or 0 */
  size_t length;
  char bytes[LT_SHORT_STRING]; /* of a short string, which needs no reference */
} lt_Taken;

/* Takes a value; may leave something on the stack, for which there must be 4 slots. */
void lt_take(lua_State *L, const lt_Value *value, lt_Taken *taken);

/* The value of a field, or nil. */
void lt_take_field(lua_State *L, const lt_Thread *self, lt_Shared *shared, const lt_Key *key,
                   lt_Taken *taken);

/* Pushes a value; it remains the caller's. */
void lt_push_value(lua_State *L, const lt_Value *value);

/* Pushes so many of them, and gives their references back, also when it raises. */
void lt_push_taken(lua_State *L, lt_Taken *taken, int count);

/*
** What a state makes of a stored value is kept as long as the proxy of the table from which it
** was read, by its key: so it is the same for every read, and goes with the proxy even if it
** refers to it. Keeps the value on the top, of the field whose key is at 'key'.
*/
void lt_keep(lua_State *L, const lt_Thread *self, int proxy, int key);

/* The field that had a stored value has one no more. */
void lt_forget(lua_State *L, int proxy, int key);

/* As lt_share, for the value at 'index' that is about to be set in the field. */
lt_Value lt_share_field(lua_State *L, const lt_Thread *self, int proxy, int key, int index);

#endif
