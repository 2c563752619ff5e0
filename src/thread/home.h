/*
** The home of a thread: the OS thread that runs its state now, where pokes reach it.
*/
#ifndef lt_home_h
#define lt_home_h

#include "src/thread/thread.h"

/*
** The calling OS thread, which runs the thread's state, becomes its home: it can be reached. False
** without memory. Whichever OS thread has the state may leave it again.
*/
bool lt_home_enter(lt_Thread *thread);
void lt_home_leave(lt_Thread *thread);

/*
** Calls 'visit' for each thread that is at home in the OS thread that is poked, of which this is the
** place; for the handler.
*/
typedef void (*lt_VisitHome)(lt_Thread *thread);

void lt_home_each(void *place, lt_VisitHome visit);

/* The thread whose state the calling OS thread runs; NULL: none, or one of several. */
lt_Thread *lt_home_thread(void);

/* This OS thread ends, and main states that it has run may go on in another. */
void lt_home_end(void);

/*
** In the child of a fork, where this OS thread is the only one: the runtimes whose threads it runs
** lose all others. Returns whether the process had no other thread of any runtime.
*/
bool lt_home_after_fork(void);

#endif
