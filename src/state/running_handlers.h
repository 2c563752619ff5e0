/*
** Whether a __close or __gc handler is running, which an interrupt must let finish.
**
** Nobody pays but who is interrupted. Half of it is for handlers that run after an error or in
** coroutine.close: 7 of the 16 ways into a handler in spec/thread/interrupt_handler_spec.lua. It
** holds from Lua 5.4.4 on. Before, any hook breaks off a handler in coroutine.close, since Lua takes
** the coroutine for one that the hook has suspended: lua_traits.c refuses those.
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
