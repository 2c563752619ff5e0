/*
** The module 'memory' of the host: allocations that fail on demand.
*/
#ifndef memory_h
#define memory_h

#include <lua.h>

int luaopen_memory(lua_State *L);

#endif
