/*
** The Lua states of threads: fresh ones, with the full standard library, made ready before a thread
** needs them where that is possible.
*/
#ifndef lt_state_h
#define lt_state_h

#include <lauxlib.h>

#include "src/state/context.h"

/*
** What C modules of others find in the registry of each state, under that name. Written once, before
** the first state is opened.
*/
typedef struct lt_CFunctions {
  const char *name;
  const void *table;
} lt_CFunctions;

extern lt_CFunctions lt_c_functions;

void lt_state_offer_c_functions(lua_State *L);

/*
** Makes a context without a thread, known to its state, whose coroutines it follows. 'on_close'
** runs when the state is closed, with the context as its argument. May raise.
*/
lt_Context *lt_state_open_context(lua_State *L, lua_CFunction on_close);

/*
** A state for threads that will come: with the libraries, as a thread needs them, and with
** 'modules' in package.preload, and with a context as above. 'again': it shall serve for several
** threads, one after the other. NULL without memory.
*/
typedef struct lt_FreshState lt_FreshState;

lt_FreshState *lt_state_make(const luaL_Reg *modules, lua_CFunction on_close, bool again);

/* For the thread that is to use it, with its context. */
lua_State *lt_state_take(const lt_FreshState *fresh, lt_Context **context);

/* Closes it. True: it can be renewed; otherwise it is gone. */
bool lt_state_close(lt_FreshState *fresh);

/* Makes one that is closed what it was when it was made. False without memory: it is gone. */
bool lt_state_renew(lt_FreshState *fresh);

/* Frees one that no thread has, closed or not. */
void lt_state_discard(lt_FreshState *fresh);

#endif
