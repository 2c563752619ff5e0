/*
** Values from the shared data space into Lua: the reader takes what it finds in a table with the
** table's lock held, and pushes it when the lock is free.
*/
#ifndef lt_from_shared_h
#define lt_from_shared_h

#include "src/shared/shared_table.h"
#include "src/shared/stored_value.h"

#define LT_TAKEN_BYTES 64

typedef struct lt_TakenValue {
  lt_SharedValue value;
  bool has_reference;
  int place; /* on the stack, if the state has it already; or 0 */
  size_t length;
  char bytes[LT_TAKEN_BYTES]; /* of a short string, which needs no reference */
} lt_TakenValue;

/* Takes a value; may leave something on the stack, for which there must be 4 slots. */
void lt_from_shared_take(lua_State *L, const lt_SharedValue *value, lt_TakenValue *taken);

/* The value of a field, or nil. */
void lt_from_shared_take_field(lua_State *L, lt_BiasUser user, lt_SharedTable *shared,
                               const lt_SharedKey *key, lt_TakenValue *taken);

/* Pushes a value; it remains the caller's. */
void lt_from_shared_push(lua_State *L, const lt_SharedValue *value);

/* Pushes so many of them, and gives their references back, also when it raises. */
void lt_from_shared_push_taken(lua_State *L, lt_TakenValue *taken, int count);

/*
** Remembers what the state has made of a stored value: the value on the top, of the field whose key
** is at 'key'. It is kept with the proxy of the table, so every read of the field gives the same
** value, and it goes with the proxy even if it refers to that.
*/
void lt_from_shared_remember(lua_State *L, lt_BiasUser user, int proxy, int key);

/* The field has no stored value any more. */
void lt_from_shared_forget(lua_State *L, int proxy, int key);

/* As lt_to_shared, for the value at 'index' that is about to be set in the field. */
lt_SharedValue lt_from_shared_store(lua_State *L, lt_BiasUser user, int proxy, int key, int index);

#endif
