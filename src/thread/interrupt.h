/*
** Interrupts: making a thread raise an exception, wherever it is.
**
** Requests are delivered one at a time: SystemExit first, then KeyboardInterrupt, then all others,
** each in the order in which they came. A class that is pending already is not entered again,
** exception objects always are.
*/
#ifndef lt_interrupt_h
#define lt_interrupt_h

#include "src/object/exception.h"
#include "src/thread/thread.h"

/* Before all else here; any number of calls. 0 or an errno. */
int lt_interrupt_setup(void);

/*
** The calling OS thread runs this thread's state, and is its home; false without memory. Whichever
** OS thread has the state may detach it.
*/
bool lt_interrupt_attach(lt_Thread *thread);
void lt_interrupt_detach(lt_Thread *thread);

/*
** Asks a thread to raise an exception of a class or, with a message, that one; takes the message.
** In a wait of ours it does so at once, in Lua code before the next instruction, elsewhere
** when it is back in Lua; in a __close or __gc handler when that has ended. Returns false when
** there is no memory; 'alive' tells whether the thread will still see it.
*/
bool lt_interrupt(lt_Thread *thread, lt_Class *class_object, lt_Message *message, bool *alive);

/*
** The runtime is being closed: asks for SystemExit, with 'must_end' before every instruction. Also
** while the excepthook runs or the state is being closed.
*/
void lt_interrupt_to_exit(lt_Thread *thread, bool must_end);

/*
** Raises what the thread of the caller has been asked to raise. Returns if there is nothing, or,
** with true, if it is in a handler that must finish first. 'level' is the stack level of the
** function that is interrupted, counted from the caller.
*/
bool lt_interrupt_deliver(lua_State *L, lt_Thread *thread, int level);

/*
** Whether L has the hook that is set for a request; and takes it from all coroutines of the thread,
** unless it is asked at the moment.
*/
bool lt_interrupt_armed(lua_State *L);
void lt_interrupt_disarm(lua_State *L, lt_Thread *thread);

/* Replaces debug.sethook, if it is Lua's own, by one that keeps the thread reachable. */
void lt_interrupt_replace_sethook(lua_State *L);

/*
** What the caller returns must reach the next instruction of its caller, which takes care of it.
** Of no thread nothing is asked.
*/
static inline void lt_interrupt_spare_next(lt_Thread *thread) {
  if (thread != NULL)
    thread->spares_next = true;
}

/*
** The function of the thread has ended: from now on none is accepted. Raises what has come before,
** so that none is lost.
*/
void lt_interrupt_finish(lua_State *L, lt_Thread *thread);

/* Interrupts are accepted again. */
void lt_interrupt_accept(lt_Thread *thread);

/*
** Forgets all requests, and takes the hook away. With 'for_good' no others are accepted, but for
** the one to exit while the thread has a home. The first leaves the hook to a state that is closed.
*/
void lt_interrupt_forget(lt_Thread *thread, bool for_good);
void lt_interrupt_clear(lua_State *L, lt_Thread *thread, bool for_good);

/*
** In the child of a fork, where this OS thread is the only one: the runtimes that it works for lose
** their other threads. Returns whether there were none in the process.
*/
bool lt_interrupt_after_fork(void);

#endif
