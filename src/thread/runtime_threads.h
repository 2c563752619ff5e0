/*
** The list of a runtime's threads: those that are alive, in the order in which they were started.
*/
#ifndef lt_runtime_threads_h
#define lt_runtime_threads_h

#include "src/thread/thread.h"
#include "src/thread/worker.h"

/*
** Enters a thread into the list and gives it its ident, its runtime and a name, if it has none.
** False: the runtime is closing.
*/
bool lt_runtime_threads_enter(lt_Runtime *runtime, lt_Thread *thread);

/*
** Takes a thread off the list and, in one step, sets its status. Those who wait for either are
** woken. With the last thread goes what is in the shared globals.
**
** Before anybody can see the status, 'worker', unless it is NULL, is offered for the next thread.
** But not if it has the globals to clear: a thread of another runtime would wait for that.
*/
void lt_runtime_threads_leave(lt_Runtime *runtime, lt_Thread *thread, lt_ThreadStatus status,
                              lt_Worker *worker);

/*
** All threads that are alive, with a reference each: to be released, and freed. NULL: no memory.
*/
lt_Thread **lt_runtime_threads_list(lt_Runtime *runtime, size_t *count);

/* The thread that has this ident, with a reference, or NULL. */
lt_Thread *lt_runtime_threads_find(lt_Runtime *runtime, uint64_t ident);

/* Whether any thread of the process ever had this ident. */
bool lt_runtime_threads_had_ident(uint64_t ident);

/*
** No thread may start any more. Only if there is no other one than this that is no daemon, or 'at
** any rate'; else returns false.
*/
bool lt_runtime_threads_close(lt_Runtime *runtime, const lt_Thread *than, bool at_any_rate);

/*
** In the child of a fork, where this thread is the only one, and so the main one: the others have
** ended. Their states are left alone, and what they refer to is never freed. Returns whether there
** were none.
*/
bool lt_runtime_threads_after_fork(lt_Thread *survivor);

size_t lt_runtime_threads_count(lt_Runtime *runtime);

/* Whether another thread than this and the main one is there. */
bool lt_runtime_threads_has_others(lt_Runtime *runtime, const lt_Thread *than, bool daemons_too);

#endif
