/*
** Deadlocks: all threads of a runtime wait, without a deadline, for what only one of them could do.
**
** The last one to block finds it, a moment later. Nothing is counted while threads run: the thread
** that looks reads of each one whether it is blocked, twice, and what has not changed in between
** was so for all of them at once.
*/
#ifndef lt_deadlock_h
#define lt_deadlock_h

#include "src/thread/thread.h"

/* Turns the check on or off, for the whole process. LTHREAD_DEADLOCK=1 has it on at the start. */
void lt_deadlock_set_check(bool on);

/* On the waiting thread: looks if it is time to, and returns when to be called again. */
plat_Time lt_deadlock_attend(lt_Thread *thread, const lt_Wait *wait, plat_Time since);

#endif
