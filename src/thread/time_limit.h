/*
** How long a thread may run: from its first instruction, waits included. When that time is over
** TimeLimitError is raised in it, again every 20 ms if it goes on, and before every instruction once
** it has heard so many that it could have ended. So no handler, shield or on_interrupt outlasts it.
** What comes after its function (the excepthook, finalizers) has a quarter of a second more.
**
** An OS thread looks when whose time is over. It is there only while some thread has a limit.
*/
#ifndef lt_time_limit_h
#define lt_time_limit_h

#include "src/thread/thread.h"

/*
** Before the start, by the starter: the limit is so long (0: none of its own), and it does not last
** longer than that of the starter. 0, or an errno if there can be no OS thread that looks.
*/
int lt_time_limit_set(lt_Thread *thread, plat_Time length, const lt_Thread *starter);

/* On the thread itself: its time begins; its function has ended. */
void lt_time_limit_begin(lt_Thread *thread);
void lt_time_limit_function_ended(lt_Thread *thread);

/* It is not asked any more when this returns. Also for one that has not begun, or has no limit. */
void lt_time_limit_end(lt_Thread *thread);

/* The child goes on without a limit. */
void lt_time_limits_after_fork(void);

#endif
