/*
** Files, for threads that are interrupted in a system call: the functions of the module io that
*turn
** its error, EINTR, into one of Lua, which would take the place of the interrupt.
*/
#ifndef lt_files_h
#define lt_files_h

#include <stdbool.h>

#include <lua.h>

/* Replaces them in the module io, where they are Lua's own. */
void lt_files_replace(lua_State *L);

/* Whether the value is the message of an error that a signal has caused. */
bool lt_tells_of_signal(lua_State *L, int index);

#endif
