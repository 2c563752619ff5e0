/*
** The descriptor by which an event loop of others sees that its thread is to be interrupted: it is
** readable while there is a request, until the exception has been raised. A thread has one only if
** it asks for it; then it costs two system calls for each interrupt.
*/
#ifndef lt_interrupt_descriptor_h
#define lt_interrupt_descriptor_h

#include "src/thread/thread.h"

/* Of the calling thread, made at the first call. 0 or an errno. */
int lt_interrupt_descriptor(lt_Thread *thread, int *descriptor);

/* After each change of the parker's urgency, under the thread's guard. */
void lt_interrupt_show(lt_Thread *thread);

void lt_interrupt_descriptor_close(lt_Thread *thread);

/* In the child of a fork, where nobody has the guard: not the parent's any more. */
void lt_interrupt_descriptor_renew(lt_Thread *thread);

#endif
