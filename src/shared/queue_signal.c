/*
** The descriptor of a queue: readable while a getter would not wait. An event loop looks at it.
**
** Invariant: when nobody changes the queue any more, the event is set if and only if the queue is
** readable. Who changes a queue that has LT_QUEUE_SIGNALS comes here afterwards, and sets or clears
** the event by what the queue is then, under the guard: the last one to come sees all changes. Both
** ends have the bit before the event is put right for the first time, and who changes an end reads
** its bits after the change, as for those who wait.
**
** Shared state:
**   signal   of a queue: set once, under the guard of the list; NULL before
**   event, is_set   of a signal: under its guard
**   next            under the guard of the list, of all signals of the process: for a fork
*/
#include "src/shared/queue.h"

#include <errno.h>
#include <stdlib.h>

typedef struct lt_QueueSignal {
  struct lt_QueueSignal *next;
  plat_Mutex guard;
  plat_Event event;
  bool is_set;
} QueueSignal;

static plat_Mutex signals_guard = PLAT_MUTEX_INIT;
static QueueSignal *signals;

/* Under the guard of the list. 0 or an errno. */
static int make_signal(lt_Queue *queue) {
  QueueSignal *signal = malloc(sizeof(*signal));
  if (signal == NULL)
    return ENOMEM;
  signal->event = (plat_Event)PLAT_NO_EVENT;
  signal->is_set = false;
  int error = plat_event_open(&signal->event);
  if (error != 0) {
    free(signal);
    return error;
  }
  plat_mutex_init(&signal->guard);
  signal->next = signals;
  signals = signal;
  /* Sequentially consistent, as all of 'waiting': who finds a bit finds the signal. */
  atomic_store(&queue->signal, signal);
  atomic_fetch_or(&queue->tail.waiting, LT_QUEUE_SIGNALS);
  atomic_fetch_or(&queue->head.waiting, LT_QUEUE_SIGNALS);
  return 0;
}

void lt_queue_signal(lt_Queue *queue) {
  QueueSignal *signal = atomic_load(&queue->signal);
  plat_mutex_lock(&signal->guard);
  bool is_readable = lt_queue_is_readable(queue);
  if (is_readable && !signal->is_set)
    plat_event_set(&signal->event);
  else if (!is_readable && signal->is_set)
    plat_event_clear(&signal->event);
  signal->is_set = is_readable;
  plat_mutex_unlock(&signal->guard);
}

int lt_queue_descriptor(lt_Queue *queue, int *descriptor) {
  int error = 0;
  plat_mutex_lock(&signals_guard);
  if (atomic_load(&queue->signal) == NULL)
    error = make_signal(queue);
  plat_mutex_unlock(&signals_guard);
  if (error != 0)
    return error;
  lt_queue_signal(queue);
  *descriptor = (int)atomic_load(&queue->signal)->event.readable;
  return 0;
}

void lt_queue_signal_free(lt_Queue *queue) {
  QueueSignal *signal = atomic_load(&queue->signal);
  if (signal == NULL)
    return;
  plat_mutex_lock(&signals_guard);
  QueueSignal **place = &signals;
  while (*place != signal)
    place = &(*place)->next;
  *place = signal->next;
  plat_mutex_unlock(&signals_guard);
  plat_event_close(&signal->event);
  plat_mutex_destroy(&signal->guard);
  free(signal);
}

/* The events are the parent's, too: each gets another in its place, with the same number. */
void lt_queue_signals_after_fork(void) {
  plat_mutex_init(&signals_guard);
  for (QueueSignal *signal = signals; signal != NULL; signal = signal->next) {
    plat_mutex_init(&signal->guard);
    plat_event_renew(&signal->event);
    if (signal->is_set && plat_event_is_open(&signal->event))
      plat_event_set(&signal->event);
  }
}
