/*
** The memory of a thread's Lua state: small blocks from a pool of the state's own, large ones
** from malloc.
*/
#ifndef lt_allocator_h
#define lt_allocator_h

#include <lua.h>

/*
** A new state, without libraries, as luaL_newstate makes it, but with such an allocator; NULL
** without memory. Any thread may use it, one at a time. lua_close gives all of its memory back.
*/
lua_State *lt_allocator_new_state(void);

#endif
