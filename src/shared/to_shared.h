/*
** Values from Lua into the shared data space: what a shared table is to hold is made here.
*/
#ifndef lt_to_shared_h
#define lt_to_shared_h

#include "src/shared/shared_table.h"
#include "src/shared/stored_value.h"

/*
** Makes a value for a shared table out of the one at 'index'; its reference is the caller's. A
** plain table becomes a shared one, with all that is in it; an exception, or one that a module has,
** is stored like a function. Raises TypeError for what can't be shared.
*/
lt_SharedValue lt_to_shared(lua_State *L, lt_BiasUser user, int index);

/*
** The same for a table, which is taken for plain, though it may have a metatable or a module may
** have it. Fields that the table at 'without' has, too, are left out; 0: there is none.
*/
lt_SharedTable *lt_to_shared_table(lua_State *L, lt_BiasUser user, int index, int without);

/* The key at 'index'; raises TypeError for what can't be one, ValueError for NaN. */
void lt_to_shared_key(lua_State *L, int index, lt_SharedKey *key);

/* The stored value that this is, if the states keep what they make of it; or NULL. */
lt_StoredValue *lt_to_shared_known(const lt_SharedValue *value);

#endif
