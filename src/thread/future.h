/*
** Futures: what becomes of a task. One thread completes it, any number wait for it, and who wants to
** be told is told once.
**
** All but 'state' is under the guard, which is held for a few instructions, and never while Lua is
** called. 'state' is written under it, too, and read without: once it is one of the last two, it and
** the result do not change any more.
*/
#ifndef lt_future_h
#define lt_future_h

#include "src/sync/look.h"
#include "src/thread/thread.h"

typedef enum lt_FutureState {
  LT_FUTURE_PENDING,
  LT_FUTURE_RUNNING,
  LT_FUTURE_CANCELLED,
  LT_FUTURE_FINISHED
} lt_FutureState;

/* What is done when the future is: the message is for who made it. */
typedef struct lt_FutureListener lt_FutureListener;

struct lt_FutureListener {
  lt_FutureListener *next;
  lt_Message *message;
  bool is_callback;
};

typedef struct lt_Future {
  lt_Traced traced;
  plat_Mutex guard;
  atomic_int state;
  bool cancel_is_told; /* set_running_or_notify_cancel has returned false */
  bool failed;         /* the result is an error and its traceback */
  bool is_looked_at;   /* since it was made: who completes it wakes those who look */
  lt_Message *call;    /* what is to be run, a function and its arguments; or NULL */
  lt_Message *result;  /* NULL: none yet, or no memory for it */
  lt_Thread *runner;   /* that runs the task at this moment, and can be interrupted in it */
  lt_FutureListener *listeners; /* the last one first */
  uint64_t changes;             /* of what it refers to */
  size_t visited;               /* the collector's: how many messages it is through with */
} lt_Future;

lt_Future *lt_future_new(const lt_Type *type); /* NULL without memory */
void lt_future_destroy(lt_Object *object);
extern const lt_Tracing lt_future_tracing;

static inline lt_FutureState lt_future_state(lt_Future *future) {
  /* Acquire: who finds it done sees the result. */
  return (lt_FutureState)atomic_load_explicit(&future->state, memory_order_acquire);
}

static inline bool lt_future_is_done(lt_Future *future) {
  return lt_future_state(future) >= LT_FUTURE_CANCELLED;
}

/*
** From PENDING to RUNNING. 'runner' is the thread that interrupts of the task go to, until
** lt_future_leave_runner; or NULL. Returns the state that there was; where it was CANCELLED,
** 'told' says whether that was found before. '*call' is the caller's from then on, unless 'call' is
** NULL.
*/
lt_FutureState lt_future_begin(lt_Future *future, lt_Thread *runner, bool *told, lt_Message **call);
void lt_future_leave_runner(lt_Future *future);

/* Interrupts the task, if a thread runs it; as lt_interrupt, which takes the message. */
bool lt_future_interrupt(lt_Future *future, lt_Class *class_object, lt_Message *message,
                         bool *alive);

/*
** Both end it, unless that has been done, and wake who waits. Then '*listeners' are the caller's,
** the first one first. A result that is not taken stays the caller's.
*/
bool lt_future_cancel(lt_Future *future, lt_FutureListener **listeners);
bool lt_future_complete(lt_Future *future, lt_Message *result, bool failed,
                        lt_FutureListener **listeners);

/* Takes the listener; false: the future is done, and who wants to be told has been told so. */
bool lt_future_listen(lt_Future *future, lt_FutureListener *listener);

void lt_future_free_listener(lt_FutureListener *listener);

/* Until it is done. */
lt_Wait lt_future_wait(lt_Future *future, plat_Time deadline);
lt_Sight lt_future_sight(lt_Future *future);

#endif
