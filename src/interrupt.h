/*
** Interrupts: making a thread raise SystemExit, wherever it is.
*/
#ifndef lt_interrupt_h
#define lt_interrupt_h

#include "src/runtime.h"

/* Lets the calling OS thread, which runs this thread's state, be interrupted; 0 or an errno. */
int lt_interrupt_attach(lt_Thread *thread);
void lt_interrupt_detach(lt_Thread *thread);

/*
** Asks a thread to raise SystemExit. In a wait of ours it does so at once, in Lua code before
** the next instruction, elsewhere when it is back in Lua.
*/
void lt_interrupt(lt_Thread *thread);

/* Whether the thread of the caller has been asked. */
bool lt_interrupted(const lt_Thread *thread);

/* Raises what the thread of the caller has been asked to raise. */
_Noreturn int lt_interrupt_raise(lua_State *L, lt_Thread *thread);

/* Forgets the request; there is no other from then on if 'detach' came before. */
void lt_interrupt_clear(lua_State *L, lt_Thread *thread);

#endif
