#include "src/thread/future.h"

#include <stdlib.h>

#include "src/thread/interrupt.h"

lt_Future *lt_future_new(const lt_Type *type) {
  lt_Future *future = calloc(1, sizeof(*future));
  if (future == NULL)
    return NULL;
  plat_mutex_init(&future->guard);
  atomic_init(&future->state, LT_FUTURE_PENDING);
  lt_traced_init(&future->traced, type);
  return future;
}

void lt_future_free_listener(lt_FutureListener *listener) {
  lt_message_free(listener->message);
  free(listener);
}

static void free_listeners(lt_FutureListener *listeners) {
  while (listeners != NULL) {
    lt_FutureListener *next = listeners->next;
    lt_future_free_listener(listeners);
    listeners = next;
  }
}

void lt_future_destroy(lt_Object *object) {
  lt_Future *future = (lt_Future *)object;
  lt_traced_finish(&future->traced);
  free_listeners(future->listeners);
  lt_message_free(future->result);
  lt_message_free(future->call);
  plat_mutex_destroy(&future->guard);
  free(future);
}

/*
** The collector
*/

/* The messages of the future, counted; some may be NULL. False: there are no more. */
static bool message_at(const lt_Future *future, size_t number, const lt_Message **message) {
  enum { OWN = 2 };
  const lt_FutureListener *listener = future->listeners;
  if (number < OWN) {
    *message = number == 0 ? future->result : future->call;
    return true;
  }
  for (number -= OWN; listener != NULL && number > 0; number--)
    listener = listener->next;
  *message = listener == NULL ? NULL : listener->message;
  return listener != NULL;
}

/* One message in each call: listeners are few. */
static uint64_t future_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                void *context) {
  lt_Future *future = (lt_Future *)object;
  plat_mutex_lock(&future->guard);
  if (*position == 0)
    future->visited = 0;
  const lt_Message *message;
  size_t within = *position > 0 ? *position - 1 : 0;
  if (message_at(future, future->visited, &message) && message != NULL)
    lt_message_traverse(message, &within, visit, context);
  else
    within = LT_TRAVERSE_END;
  if (within != LT_TRAVERSE_END)
    *position = within + 1;
  else
    *position = message_at(future, ++future->visited, &message) ? 1 : LT_TRAVERSE_END;
  uint64_t changes = future->changes;
  plat_mutex_unlock(&future->guard);
  return changes;
}

/* Nobody else has it any more: what it refers to may be destroyed without the guard. */
static void future_clear(lt_Object *object) {
  lt_Future *future = (lt_Future *)object;
  plat_mutex_lock(&future->guard);
  lt_FutureListener *listeners = future->listeners;
  lt_Message *result = future->result;
  lt_Message *call = future->call;
  future->listeners = NULL;
  future->call = NULL;
  future->changes++;
  plat_mutex_unlock(&future->guard);
  free_listeners(listeners);
  lt_message_free(call);
  if (result != NULL)
    lt_message_drop_references(result);
}

const lt_Tracing lt_future_tracing = {future_traverse, future_clear};

/*
** Its states
*/

static lt_FutureState guarded_state(const lt_Future *future) {
  /* Relaxed: it is written under the guard, which the caller holds. */
  return (lt_FutureState)atomic_load_explicit(&future->state, memory_order_relaxed);
}

lt_FutureState lt_future_begin(lt_Future *future, lt_Thread *runner, bool *told,
                               lt_Message **call) {
  plat_mutex_lock(&future->guard);
  lt_FutureState before = guarded_state(future);
  *told = future->cancel_is_told;
  if (before == LT_FUTURE_PENDING) {
    /* Relaxed: nothing is read because of it. */
    atomic_store_explicit(&future->state, LT_FUTURE_RUNNING, memory_order_relaxed);
    future->runner = runner;
    if (call != NULL) {
      *call = future->call;
      future->call = NULL;
      future->changes++;
    }
  } else if (before == LT_FUTURE_CANCELLED) {
    future->cancel_is_told = true;
  }
  plat_mutex_unlock(&future->guard);
  return before;
}

void lt_future_leave_runner(lt_Future *future) {
  plat_mutex_lock(&future->guard);
  future->runner = NULL;
  plat_mutex_unlock(&future->guard);
}

/* The runner's guard is taken within that of the future; it can't leave meanwhile. */
bool lt_future_interrupt(lt_Future *future, lt_Class *class_object, lt_Message *message,
                         bool *alive) {
  bool done = true;
  *alive = false;
  plat_mutex_lock(&future->guard);
  lt_Thread *runner = future->runner;
  if (runner != NULL)
    done = lt_interrupt(runner, class_object, message, alive);
  plat_mutex_unlock(&future->guard);
  if (runner == NULL)
    lt_message_free(message);
  return done;
}

static lt_FutureListener *take_listeners(lt_Future *future) {
  lt_FutureListener *listener = future->listeners;
  lt_FutureListener *first = NULL;
  while (listener != NULL) {
    lt_FutureListener *next = listener->next;
    listener->next = first;
    first = listener;
    listener = next;
  }
  future->listeners = NULL;
  future->changes++;
  return first;
}

/* With the guard, which this releases. */
static void end(lt_Future *future, lt_FutureState state, lt_FutureListener **listeners) {
  *listeners = take_listeners(future);
  /* Release: who finds it sees the result. */
  atomic_store_explicit(&future->state, state, memory_order_release);
  bool is_looked_at = future->is_looked_at;
  plat_mutex_unlock(&future->guard);
  lt_unpark_all(&future->state);
  if (is_looked_at)
    lt_look_wake(&future->state);
}

bool lt_future_cancel(lt_Future *future, lt_FutureListener **listeners) {
  *listeners = NULL;
  plat_mutex_lock(&future->guard);
  if (guarded_state(future) != LT_FUTURE_PENDING) {
    plat_mutex_unlock(&future->guard);
    return false;
  }
  lt_Message *call = future->call;
  future->call = NULL;
  end(future, LT_FUTURE_CANCELLED, listeners);
  lt_message_free(call);
  return true;
}

bool lt_future_complete(lt_Future *future, lt_Message *result, bool failed,
                        lt_FutureListener **listeners) {
  *listeners = NULL;
  plat_mutex_lock(&future->guard);
  if (guarded_state(future) >= LT_FUTURE_CANCELLED) {
    plat_mutex_unlock(&future->guard);
    return false;
  }
  future->result = result;
  future->failed = failed;
  end(future, LT_FUTURE_FINISHED, listeners);
  return true;
}

bool lt_future_listen(lt_Future *future, lt_FutureListener *listener) {
  plat_mutex_lock(&future->guard);
  bool listens = guarded_state(future) < LT_FUTURE_CANCELLED;
  if (listens) {
    listener->next = future->listeners;
    future->listeners = listener;
    future->changes++;
  }
  plat_mutex_unlock(&future->guard);
  return listens;
}

/*
** Waiting
*/

static bool is_still_awaited(void *context) {
  return !lt_future_is_done(context);
}

static bool has_been_done(void *context) {
  return lt_future_is_done(context);
}

static bool spin_for_future(lt_Parker *parker, const lt_Wait *wait) {
  enum { BETWEEN_LOOKS = 500 };
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, has_been_done, wait->context);
}

lt_Wait lt_future_wait(lt_Future *future, plat_Time deadline) {
  return (lt_Wait){.address = &future->state,
                   .context = future,
                   .take = has_been_done,
                   .spin = spin_for_future,
                   .validate = is_still_awaited,
                   .deadline = deadline,
                   .what = "Future",
                   .shown = future};
}

/*
** Looking
*/

static bool future_is_seen(const lt_Sight *sight) {
  return lt_future_is_done(sight->thing);
}

static bool announce_future_looker(const lt_Sight *sight) {
  lt_Future *future = sight->thing;
  plat_mutex_lock(&future->guard);
  future->is_looked_at = true;
  bool waits = guarded_state(future) < LT_FUTURE_CANCELLED;
  plat_mutex_unlock(&future->guard);
  return waits;
}

lt_Sight lt_future_sight(lt_Future *future) {
  return (lt_Sight){.address = &future->state,
                    .thing = future,
                    .is_ready = future_is_seen,
                    .announce = announce_future_looker};
}
