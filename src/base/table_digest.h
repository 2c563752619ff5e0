/*
** A number that tells whether the fields of a table are still what they were.
**
** It buys a start of a thread that does not go through the fields of all libraries with lua_next,
** which would take 37,000 instructions of the 120,000 of a whole start and join: a digest of the
** same fields takes 2,000. Lua tells nobody where a table keeps its fields, so they are read as
** Lua 5.4 lays them out, but only after tables of a fresh state have been found to lie like that.
** Where they do not, lua_next goes through them. To switch it off, let lt_table_digest do that
** always: the digests differ, and what they tell does not.
*/
#ifndef lt_table_digest_h
#define lt_table_digest_h

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

/*
** Of the table at 'index', without what lies in its array part. If it is the same as before, so
** are its metatable and all keys and values, but for the contents of objects, as long as those that
** were there before are kept alive; if it is another one, they may be the same nevertheless. Runs
** no code of the state. Needs 3 free slots of the stack.
*/
uint64_t lt_table_digest(lua_State *L, int index);

#endif
