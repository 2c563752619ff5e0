/*
** How threads of Lua wait. They run lt_await, as all do, and besides: an interrupt ends the wait,
** hooks that signal handlers of the host set are called, and meanwhile the thread answers dumps
** and looks for deadlocks.
*/
#ifndef lt_wait_h
#define lt_wait_h

#include "src/thread/thread.h"

/* Has the thread attend to all this while it waits; its OS thread does so before its first wait. */
void lt_wait_setup(lt_Thread *thread);

/* The thread that waits with the parker, on itself; NULL: one that has no state. */
lt_Thread *lt_wait_thread(const lt_Parker *parker);

/*
** Waits in L, as lt_await does. True: what is waited for has come; false: the time is up. Raises
** what the thread is asked to raise meanwhile, in a handler that must finish first after the wait.
*/
bool lt_wait(lua_State *L, lt_Thread *thread, lt_Wait *wait);

/* The same for one who takes care of interrupts and signals himself. */
lt_Parked lt_wait_unless_interrupted(lua_State *L, lt_Thread *thread, lt_Wait *wait);

/*
** What such a one does before he waits on: raises what the thread is asked to raise, or makes the
** wait deaf to it. 'level' is the stack level of the function that waits.
*/
void lt_wait_attend(lua_State *L, lt_Thread *thread, lt_Wait *wait, int level);

#endif
