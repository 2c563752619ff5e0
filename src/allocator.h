/*
** The memory of a thread's Lua state: small blocks from a pool of the state's own, large ones
** from malloc.
**
** A state that has shrunk keeps free at most a megabyte or three times what it uses, whichever is
** more; unless it uses blocks all over its memory, since only whole chunks of it are given back.
*/
#ifndef lt_allocator_h
#define lt_allocator_h

#include <lua.h>

typedef struct lt_Allocator lt_Allocator;

/*
** A new state without libraries, as luaL_newstate makes it but with an allocator of its own; NULL
** without memory. Any thread may use it, one at a time. lua_close frees the allocator, too.
*/
lua_State *lt_allocator_new_state(lt_Allocator **allocator);

/* The state is being closed: what it frees is soon given back as a whole. */
void lt_allocator_closing(lt_Allocator *allocator);

#endif
