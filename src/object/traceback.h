/*
** Tracebacks. One is made for each exception, so it is short and made without a search: names are
** those that the calling code has for a function. That of an error which leaves a thread, or ends
** the script of the interpreter, is of the whole stack, and has the names that modules give.
*/
#ifndef lt_traceback_h
#define lt_traceback_h

#include <stdbool.h>
#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>

/*
** Pushes the calls from 'level' on up to the function that has called the nearest pcall or xpcall,
** the innermost ones only. 'place' becomes the length of "file:line: ", which stands at
** LT_TRACEBACK_PLACE; 0 if the level is none of a Lua function.
*/
const char *lt_traceback_push(lua_State *L, int level, size_t *place);
#define LT_TRACEBACK_PLACE (sizeof("stack traceback:\n\t") - 1)

/*
** For a message handler: pushes the stack from 'level' on, where the exception at index 'error' is
** raised. If that was made elsewhere, as in another thread, its own traceback comes before that. 0:
** the error is no exception.
*/
void lt_traceback_push_whole(lua_State *L, int error, int level);

/* Whether the running function was called by the message handler of the interpreter. */
bool lt_traceback_in_handler(lua_State *L);

#endif
