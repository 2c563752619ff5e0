/*
** The libraries of threads' states: what luaL_openlibs opens, be it Lua's or a host's own.
**
** Only a state that holds nothing but Lua's own may come back from a snapshot (see pool.h). Whether
** it does is found out once in a process, which takes 0.24 ms. Without that there could be no
** snapshots: a host's library might own more than the state's memory, which would be there twice.
*/
#ifndef lt_libraries_h
#define lt_libraries_h

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "src/state/pool.h"

/*
** Opens them in a new state of ours; raises what that raises. The trace is for the next function.
*/
uint64_t lt_libraries_open(lua_State *L, lt_Pool *pool);

/*
** Whether they are exactly what Lua's own libraries make, and nothing else: then the state holds
** nothing but its own memory, and nothing that is only for one state. False in doubt.
*/
bool lt_libraries_are_standard(uint64_t trace);

/* Opens Lua's own libraries, those that the program has. May raise. */
void lt_libraries_open_own(lua_State *L);

#endif
