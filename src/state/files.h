/*
** Files: the functions of the module io that lthread replaces.
**
** Lua's own turn EINTR, the error of a system call that an interrupt has broken off, into an error
** of Lua, which would take the place of the interrupt; these raise the interrupt. When a command
** starts, what was written before is there, without waiting for other threads. And a line that is
** printed is one piece to the other threads.
*/
#ifndef lt_files_h
#define lt_files_h

#include <stdbool.h>

#include <lua.h>

/* Replaces them, where they are Lua's own. May raise. */
void lt_files_replace(lua_State *L);

/* What io.lines and file:lines return then. */
int lt_files_iterator(lua_State *L);

/* Whether the value is the message of an error that a signal has caused. */
bool lt_files_tells_of_signal(lua_State *L, int index);

/* The file at 'index' is written to by this state, and is one of those that are flushed. */
void lt_files_enter(lua_State *L, int index);

/*
** Flushes the files that the state writes to, and the standard streams. fflush(NULL) would wait for
** every file that any thread reads from, and nobody could open or close one meanwhile.
*/
void lt_files_flush(lua_State *L);

#endif
