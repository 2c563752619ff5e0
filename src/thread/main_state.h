/*
** Main states: the state of the interpreter or the host in which lthread is required. A runtime
** begins and ends with it.
*/
#ifndef lt_main_state_h
#define lt_main_state_h

#include <lua.h>

#include "src/thread/runtime_options.h"

/*
** Opens a runtime with these options whose main thread uses L, where there is none. It ends when L
** is closed, after all its threads. Raises RuntimeError, and for want of memory.
*/
void lt_main_state_open(lua_State *L, const lt_RuntimeOptions *options);

#endif
