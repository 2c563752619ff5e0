/*
** The function that a thread has set to take its interrupts (on_interrupt), which runs where they
** would be raised.
*/
#ifndef lt_on_interrupt_h
#define lt_on_interrupt_h

#include "src/thread/thread.h"

/* Sets the function on the top, which it pops, or none for nil; pushes the one before, or nil. */
void lt_on_interrupt_set(lua_State *L, lt_Thread *thread);

static inline bool lt_on_interrupt_is_set(const lt_Thread *thread) {
  return thread->has_on_interrupt;
}

/*
** Calls it, if it is set, with the exception on the top. True: it has returned, and the exception
** is popped. False: on the top is what is to be raised, the exception or the function's own error.
** Shielded, which the caller sees to.
*/
bool lt_on_interrupt_call(lua_State *L, const lt_Thread *thread);

#endif
