/*
** Which values a thread can take over from its starter.
*/
#ifndef lt_inheritable_h
#define lt_inheritable_h

#include <stdbool.h>

#include <lua.h>

/*
** Whether the value on the top can be transferred. Raises what ends the thread, and want of memory,
** which says nothing about the value.
*/
bool lt_inheritable(lua_State *L);

#endif
