/*
** The excepthook: what is called with an error that nobody has caught in a thread.
*/
#ifndef lt_excepthook_h
#define lt_excepthook_h

#include "src/thread/thread.h"

/*
** Calls the hook of the runtime for the error value and the traceback, a string, at these indices;
** without one, or when it fails, writes to the error stream. Never raises.
*/
void lt_excepthook_call(lua_State *L, lt_Thread *thread, int error, int traceback);

/* Makes the function on the top, or with nil the default, the hook of the runtime; pops it. */
void lt_excepthook_set(lua_State *L, lt_Runtime *runtime);

/* Replaces the list {type, value, traceback, thread} on the top by the arguments of a hook. */
void lt_excepthook_args(lua_State *L);

/* Writes the arguments of a hook, at index 1, to the error stream. */
int lt_excepthook_default(lua_State *L);

/* For a thread that could not even get a state. */
void lt_excepthook_no_memory(lt_Thread *thread);

#endif
