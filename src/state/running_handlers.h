/*
** Whether a __close or __gc handler is running, which an interrupt must let finish.
*/
#ifndef lt_running_handlers_h
#define lt_running_handlers_h

#include <stdbool.h>

#include "src/state/coroutines.h"

/*
** Whether L, the running coroutine, or one of those that wait for it, is within a __close or __gc
** handler. 'bottom' is the function at the bottom of the main coroutine, NULL if it is not known.
** Raises nothing and makes nothing.
*/
bool lt_running_handlers_in(lua_State *L, lt_Coroutines *coroutines, lua_CFunction bottom);

#endif
