/*
** The Lua states of threads: fresh ones, with the full standard library.
*/
#ifndef lt_state_h
#define lt_state_h

#include "src/thread/runtime.h"
#include "src/base/library_functions.h"

/*
** Makes a thread's context known to its state, and lets the thread follow the state's coroutines.
** 'on_close' runs when the state is closed, with the context as its argument. May raise.
*/
void lt_state_adopt(lua_State *L, lt_Thread *thread, lua_CFunction on_close);

/*
** A state for threads that will come: with the libraries, as a thread needs them, and with
** 'modules' in package.preload. 'again': it shall serve for several threads, one after the other.
** NULL without memory.
*/
typedef struct lt_FreshState lt_FreshState;

lt_FreshState *lt_state_make(const luaL_Reg *modules, bool again);

/* Gives the state to a thread. */
lua_State *lt_state_take(lt_FreshState *fresh, lt_Thread *thread);

/* Closes it. True: it can be renewed; otherwise it is gone. */
bool lt_state_close(lt_FreshState *fresh);

/* Makes one that is closed what it was when it was made. False without memory: it is gone. */
bool lt_state_renew(lt_FreshState *fresh);

/* Frees one that no thread has, closed or not. */
void lt_state_discard(lt_FreshState *fresh);

/* Replaces a function of a library by another, if the state has Lua's own there. */
void lt_state_replace(lua_State *L, const char *library, const char *name, lt_LibraryFunction which,
                      lua_CFunction function);

/* Replaces Lua's own 'print', if the state has it, by one that writes a line in one piece. */
void lt_state_replace_print(lua_State *L);

#endif
