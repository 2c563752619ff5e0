/*
** Interrupts: making a thread raise an exception, wherever it is.
**
** Requests are delivered one at a time: SystemExit first, then TimeLimitError, KeyboardInterrupt, all others,
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
** Between the two an interrupt is held, as in a handler that must finish first: waits and system
** calls go on, and nothing is raised until the thread must end. They nest. What is pending after
** the outermost one is raised before the next instruction, in Lua code or by lt_interrupt_deliver.
*/
static inline void lt_interrupt_shield_begin(lt_Thread *thread) {
  atomic_fetch_add(&thread->shields, 1);
}
void lt_interrupt_shield_end(lt_Thread *thread);

/* Begins, but raises first what is pending before the outermost one, in the caller's caller. */
void lt_interrupt_shield_enter(lua_State *L, lt_Thread *thread);

/*
** Asks a thread to raise an exception: a new one of the class, or the one in the message, which is
** taken over. The thread raises it at once in a wait of lthread, before the next instruction in Lua
** code, in a C function when that returns, and in a __close or __gc handler when that has ended.
** False without memory; 'alive' tells whether the thread will still see it.
*/
bool lt_interrupt(lt_Thread *thread, lt_Class *class_object, lt_Message *message, bool *alive);

/*
** The runtime is being closed: asks for SystemExit, with 'must_end' before every instruction. Also
** while the excepthook runs or the state is being closed.
*/
void lt_interrupt_to_exit(lt_Thread *thread, bool must_end);

/*
** The thread's time is over: asks for TimeLimitError, with 'must_end' before every instruction, also
** when its function has ended. The second, on the thread itself: not any more.
*/
void lt_interrupt_for_time(lt_Thread *thread, bool must_end);
void lt_interrupt_end_of_time(lt_Thread *thread);

/*
** Raises what the calling thread has been asked to raise. Returns false if that is nothing, and
** true if it is shielded or in a handler that must finish first. 'level' is the stack level of the
** interrupted function, counted from the caller.
*/
bool lt_interrupt_deliver(lua_State *L, lt_Thread *thread, int level);

/* Whether what is asked for is not to be raised now: a shield or a handler holds it back. */
bool lt_interrupt_is_held(lua_State *L, lt_Thread *thread);

/* The calling thread, which has been asked, hears it again: before the next instruction. */
void lt_interrupt_remind(lt_Thread *thread);

/*
** Whether L has the hook that a poke sets; and takes that hook from all coroutines of the thread,
** unless somebody asks it for something at the moment.
*/
bool lt_interrupt_armed(lua_State *L);
void lt_interrupt_disarm(lua_State *L, lt_Thread *thread);

/* Replaces debug.sethook, if it is Lua's own, by one that keeps the thread reachable. */
void lt_interrupt_replace_sethook(lua_State *L);

/*
** So many of the next instructions are not interrupted: they take what the calling C function
** returns, which must not be lost. NULL, for a state without a thread, is fine.
*/
static inline void lt_interrupt_spare(lt_Thread *thread, unsigned instructions) {
  if (thread != NULL)
    thread->spared = instructions;
}

static inline void lt_interrupt_spare_next(lt_Thread *thread) {
  lt_interrupt_spare(thread, 1);
}

/*
** The thread's function has ended: no interrupt is accepted from now on. Raises those that were
** accepted before.
*/
void lt_interrupt_finish(lua_State *L, lt_Thread *thread);

/* Interrupts are accepted again. */
void lt_interrupt_accept(lt_Thread *thread);

/*
** Both forget all requests; the second takes the hook away, too, the first is for a state that is
** closed. With 'for_good' no others are accepted, but for the one to exit while the thread has a
** home.
*/
void lt_interrupt_forget(lt_Thread *thread, bool for_good);
void lt_interrupt_clear(lua_State *L, lt_Thread *thread, bool for_good);

#endif
