/*
** Workers: the OS threads of lthread. A worker that has run one thread stays for a moment, and may
** be given the next one: that is faster than a new OS thread.
**
** At most LT_WORKERS_STAYING stay at a time, each for LT_WORKER_STAYS at most. All are gone when
** the last runtime is closed.
*/
#ifndef lt_worker_h
#define lt_worker_h

#include "src/sync/park.h"

#define LT_WORKERS_STAYING 8
#define LT_WORKER_STAYS PLAT_SECOND

typedef struct lt_Worker lt_Worker;

/*
** What a worker does. '*kept' is what the worker had made ready for it, or NULL; what it leaves
** there serves to make the next.
*/
typedef void (*lt_Work)(lt_Worker *worker, void **kept, void *argument);

/* What a worker makes ready while nobody waits for it, and frees if it is not needed. */
typedef struct lt_Preparation {
  void *(*make)(void *left);
  void (*discard)(void *kept);
} lt_Preparation;

/* Has the work done by a worker with a stack of this size. 0 or an errno. */
int lt_worker_start(size_t stack_size, const lt_Preparation *keep, lt_Work work, void *argument);

/*
** Called by the work when it is about to tell others that it is done: the worker can be given the
** next from now on, so nothing that takes long may follow.
*/
void lt_worker_offer(lt_Worker *worker);

/* A runtime opens, and closes: the last one then waits until those that stay are gone. */
void lt_workers_open(void);
void lt_workers_close(lt_Parker *parker);

/* In the child of a fork: the workers are not there. */
void lt_workers_after_fork(void);

#endif
