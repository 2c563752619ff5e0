/*
** On which processors threads may run. A thread that is told none may run on those of the process,
** also where it was started by one that is told some, or runs on the OS thread of such a one.
*/
#ifndef lt_affinity_h
#define lt_affinity_h

#include "src/thread/thread.h"

/* Tells the calling OS thread. 0 or an errno. */
int lt_affinity_set(const plat_Processors *processors);

/* Whether the calling OS thread could be told; it is left as it is. 0 or an errno. */
int lt_affinity_try(const plat_Processors *processors);

/* At the beginning of a thread of ours, on its OS thread. */
void lt_affinity_begin(const lt_Thread *thread);

#endif
