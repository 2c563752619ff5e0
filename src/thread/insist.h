/*
** Insisting: an interrupt that its thread has not heard is followed by more pokes.
**
** A poke may be lost: the hook that it sets is overlooked by an instruction of Lua that has just
** looked for one, or a C function is about to enter the system call that the poke was to break. So
** it is repeated, for a bounded time, by an OS thread that is there only while somebody insists.
*/
#ifndef lt_insist_h
#define lt_insist_h

#include "src/thread/thread.h"

/* Whoever calls this holds no guard. Without memory, or an OS thread for it, nothing is repeated.
 */
void lt_insist(lt_Thread *thread);

/* When the thread has no home any more. */
void lt_insist_cease(lt_Thread *thread);

void lt_insist_after_fork(void);

#endif
