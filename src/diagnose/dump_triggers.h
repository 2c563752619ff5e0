/*
** What triggers a dump of a runtime: a time that has passed, or a signal. Watchers, OS threads
** without a state, wait for it.
*/
#ifndef lt_dump_triggers_h
#define lt_dump_triggers_h

#include "src/thread/runtime.h"

/*
** After 'span', and again each time it has passed if 'repeat', what all threads of the runtime do
** is written to the error stream. Replaces the one before. 0 or an errno.
*/
int lt_dump_triggers_later(lt_Runtime *runtime, plat_Time span, bool repeat);
void lt_dump_triggers_cancel(lt_Runtime *runtime);

/*
** Enters the runtime among those that are dumped on the signal that LTHREAD_DUMP names, if it names
** one. False: that can't be done, for this reason.
*/
bool lt_dump_triggers_enter(lt_Runtime *runtime, char *reason, size_t size);
void lt_dump_triggers_leave(lt_Runtime *runtime);

/* In the child of a fork: its signals are nobody's until the next runtime is opened there. */
void lt_dump_triggers_after_fork(void);

#endif
