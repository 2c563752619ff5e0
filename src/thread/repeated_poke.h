/*
** Pokes that are repeated until their thread has heard the interrupt.
**
** A poke may be lost: an instruction of Lua that has just looked for a hook overlooks the one that
** the poke sets, or a C function is about to enter the system call that the poke was to break. So
** an OS thread repeats it, for a bounded time. That OS thread is there only while there are such
** pokes. It also wakes blocking sections of C modules, and repeats the poke as long as one lasts.
**
** Few are lost, none of 20,000 on a plain loop or a loop of reads; but without this, who loses one
** computes or reads on for ever.
*/
#ifndef lt_repeated_poke_h
#define lt_repeated_poke_h

#include "src/thread/thread.h"

/* The caller holds no guard. Without memory, or an OS thread for it, nothing is repeated. */
void lt_repeated_poke_begin(lt_Thread *thread);

/* When the thread has no home any more. */
void lt_repeated_poke_end(lt_Thread *thread);

void lt_repeated_pokes_after_fork(void);

#endif
