/*
** What a state itself writes to the standard error: warnings, and the message of an error that
** nobody catches. luaL_newstate sets that up for its states; this does the same for those that are
** made otherwise.
*/
#ifndef lt_error_output_h
#define lt_error_output_h

#include <lua.h>

/* Has the main coroutine's state write them; warnings are off. */
void lt_error_output_set(lua_State *L);

#endif
