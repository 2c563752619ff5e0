/*
** How threads of Lua wait: a wait can be interrupted, it heeds the hooks that signal handlers of
** the host set, and meanwhile the thread answers dumps and looks for deadlocks.
*/
#ifndef lt_wait_h
#define lt_wait_h

#include "src/runtime.h"

/* Has the thread attend to all this while it waits; its OS thread does so before its first wait. */
void lt_wait_setup(lt_Thread *thread);

/* Before a wait in L: the parker to wait with. After one that was broken: may raise. */
lt_Parker *lt_wait_begin(lua_State *L, lt_Thread *thread);
void lt_wait_broken(lua_State *L, lt_Thread *thread);

#endif
