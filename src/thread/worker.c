/*
** Shared state: the list of the workers that stay, their count and the count of open runtimes,
** under the guard of this file. So is a worker's 'state'. A starter writes a worker's work while
** it finds the worker OFFERED or READY; the worker reads it once it is GIVEN.
**
** The guard is taken within the mutex of a bucket (by a 'validate') and within the guard of a
** runtime (by an offer); so nobody is woken while it is held. Whoever ends what a wait is for wakes
** the waiter: a starter or a dismissal the worker that waits for work; a worker that goes or gets
** work, and a runtime that opens, the main thread that waits until no worker stays.
** spec/model/workers.pml shows that nothing else is needed.
*/
#include "src/thread/worker.h"

#include <stdlib.h>

typedef enum State {
  BUSY,     /* not in the list */
  OFFERED,  /* in the list, and about to be ready */
  READY,    /* in the list, parked or about to be */
  GIVEN,    /* taken off the list, with work */
  DISMISSED /* taken off the list, to go */
} State;

#define BETWEEN_LOOKS ((plat_Time)500)

struct lt_Worker {
  lt_Worker *next;
  State state;
  size_t stack_size;
  lt_Work work;
  void *argument;
  plat_Origin origin;
  const lt_Preparation *keep;
  void *kept;
  lt_Parker *parker;
};

static plat_Mutex worker_guard = PLAT_MUTEX_INIT;
static lt_Worker *staying;
static size_t staying_count; /* of them, and of those that are about to go */
static size_t runtime_count;

static void worker_unlist(lt_Worker *worker, State state) {
  lt_Worker **place = &staying;
  while (*place != worker)
    place = &(*place)->next;
  *place = worker->next;
  worker->state = state;
}

/*
** A worker's life
*/

void lt_worker_offer(lt_Worker *worker) {
  plat_mutex_lock(&worker_guard);
  if (runtime_count > 0 && staying_count < LT_WORKERS_STAYING) {
    staying_count++;
    worker->state = OFFERED;
    worker->next = staying;
    staying = worker;
  }
  plat_mutex_unlock(&worker_guard);
}

static bool is_ready(void *context) {
  const lt_Worker *worker = context;
  plat_mutex_lock(&worker_guard);
  bool ready = worker->state == READY && runtime_count > 0;
  plat_mutex_unlock(&worker_guard);
  return ready;
}

static bool is_wanted(void *context) {
  return !is_ready(context);
}

static bool was_offered(lt_Worker *worker) {
  plat_mutex_lock(&worker_guard);
  bool offered = worker->state != BUSY;
  plat_mutex_unlock(&worker_guard);
  return offered;
}

static void be_ready(lt_Worker *worker) {
  worker->kept = worker->keep->make(worker->kept);
  plat_mutex_lock(&worker_guard);
  if (worker->state == OFFERED)
    worker->state = READY;
  plat_mutex_unlock(&worker_guard);
}

static bool spin_for_work(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, PLAT_FOREVER, BETWEEN_LOOKS, is_wanted, wait->context);
}

/* Returns whether there is work. */
static bool await_work(lt_Worker *worker) {
  lt_Wait wait = {.address = worker,
                  .context = worker,
                  .spin = spin_for_work,
                  .validate = is_ready,
                  .deadline = plat_now() + LT_WORKER_STAYS,
                  .deaf = LT_BRIEF,
                  .what = "work"};
  lt_await(worker->parker, &wait);
  plat_mutex_lock(&worker_guard);
  bool given = worker->state == GIVEN;
  if (worker->state == READY)
    worker_unlist(worker, DISMISSED);
  else
    worker->state = BUSY;
  plat_mutex_unlock(&worker_guard);
  return given;
}

static void end_stay(void) {
  plat_mutex_lock(&worker_guard);
  staying_count--;
  plat_mutex_unlock(&worker_guard);
  lt_unpark_all(&staying_count);
}

static void free_worker(lt_Worker *worker) {
  if (worker->kept != NULL)
    worker->keep->discard(worker->kept);
  lt_parker_release(worker->parker);
  free(worker);
}

static void live(void *context) {
  lt_Worker *worker = context;
  bool stays;
  for (;;) {
    worker->work(worker, &worker->kept, worker->argument);
    stays = was_offered(worker);
    if (!stays)
      break;
    be_ready(worker);
    if (!await_work(worker))
      break;
    plat_thread_renew(&worker->origin);
  }
  free_worker(worker);
  if (stays)
    end_stay();
}

/*
** Giving work
*/

/* One that is ready, else one that soon will be. */
static lt_Worker *worker_find(size_t stack_size) {
  lt_Worker *found = NULL;
  for (lt_Worker *worker = staying; worker != NULL; worker = worker->next)
    if (worker->stack_size == stack_size &&
        (found == NULL || (worker->state == READY && found->state != READY)))
      found = worker;
  return found;
}

static bool worker_give(size_t stack_size, lt_Work work, void *argument) {
  plat_mutex_lock(&worker_guard);
  lt_Worker *worker = worker_find(stack_size);
  bool is_awaited = runtime_count == 0;
  if (worker != NULL) {
    worker_unlist(worker, GIVEN);
    staying_count--;
    worker->work = work;
    worker->argument = argument;
    plat_origin_get(&worker->origin);
  }
  plat_mutex_unlock(&worker_guard);
  if (worker == NULL)
    return false;
  lt_unpark_all(worker); /* it may have found its work by itself, and even be gone */
  if (is_awaited)
    lt_unpark_all(&staying_count);
  return true;
}

int lt_worker_start(size_t stack_size, const lt_Preparation *keep, lt_Work work, void *argument) {
  if (worker_give(stack_size, work, argument))
    return 0;
  lt_Worker *worker = calloc(1, sizeof(*worker));
  lt_Parker *parker = worker == NULL ? NULL : lt_parker_new();
  if (parker == NULL) {
    free(worker);
    return PLAT_NO_MEMORY;
  }
  worker->state = BUSY;
  worker->stack_size = stack_size;
  worker->work = work;
  worker->argument = argument;
  worker->keep = keep;
  worker->parker = parker;
  int error = plat_thread_start(stack_size, live, worker);
  if (error != 0)
    free_worker(worker);
  return error;
}

/*
** Runtimes
*/

void lt_workers_open(void) {
  plat_mutex_lock(&worker_guard);
  runtime_count++;
  plat_mutex_unlock(&worker_guard);
  lt_unpark_all(&staying_count);
}

static lt_Worker *dismiss_one(void) {
  plat_mutex_lock(&worker_guard);
  lt_Worker *worker = runtime_count > 0 ? NULL : staying;
  while (worker != NULL && worker->state != READY)
    worker = worker->next;
  if (worker != NULL)
    worker_unlist(worker, DISMISSED);
  plat_mutex_unlock(&worker_guard);
  return worker;
}

static bool some_stay(void *context) {
  (void)context;
  plat_mutex_lock(&worker_guard);
  bool stay = runtime_count == 0 && staying_count > 0;
  plat_mutex_unlock(&worker_guard);
  return stay;
}

void lt_workers_close(lt_Parker *parker) {
  lt_Wait wait = {.address = &staying_count,
                  .validate = some_stay,
                  .deadline = PLAT_FOREVER,
                  .deaf = LT_BRIEF,
                  .what = "workers"};
  plat_mutex_lock(&worker_guard);
  runtime_count--;
  plat_mutex_unlock(&worker_guard);
  for (lt_Worker *worker = dismiss_one(); worker != NULL; worker = dismiss_one())
    lt_unpark_all(worker);
  lt_await(parker, &wait);
}

void lt_workers_after_fork(void) {
  plat_mutex_init(&worker_guard);
  staying = NULL;
  staying_count = 0;
}
