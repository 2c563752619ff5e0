/*
** Futures, as Lua sees them.
*/
#include "lib/libs.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/diagnose/trace.h"
#include "src/thread/excepthook.h"
#include "src/thread/future.h"
#include "src/thread/interrupt.h"
#include "src/thread/kept_traceback.h"
#include "src/thread/wait.h"

static const lt_Type future_type;

LT_CLASS(lt_CancelledError, "CancelledError", &lt_Exception, NULL);
LT_CLASS(lt_InvalidStateError, "InvalidStateError", &lt_Exception, NULL);

/*
** Future() -> future
** A future that nobody has completed yet. Executors make them; others may, to complete them by hand.
** Follows concurrent.futures.Future.
*/
static int new_future(lua_State *L) {
  lt_check_most(L, 0, 0);
  lt_cycles_collect_if_due();
  lt_Future *future = lt_future_new(&future_type);
  if (future == NULL)
    return lt_raise_memory(L);
  lt_object_push_own(L, &future->traced.object);
  return 1;
}

LT_CLASS(lt_FutureType, "concurrent.futures.Future", NULL, new_future);

static lt_Future *check_future(lua_State *L) {
  return (lt_Future *)lt_check_object(L, 1, &future_type);
}

static const char *future_state_name(lt_Future *future) {
  switch (lt_future_state(future)) {
  case LT_FUTURE_PENDING:
    return "pending";
  case LT_FUTURE_RUNNING:
    return "running";
  case LT_FUTURE_CANCELLED:
    return "cancelled";
  case LT_FUTURE_FINISHED:
    break;
  }
  return future->failed ? "finished with an error" : "finished";
}

static _Noreturn int raise_invalid_state(lua_State *L, lt_Future *future) {
  lt_raise(L, &lt_InvalidStateError, "the future is %s", future_state_name(future));
}

/*
** Telling: a listener's values are a callback, or a queue and a tag
*/

typedef struct Telling {
  lt_Future *future;
  const lt_FutureListener *listener;
} Telling;

static void put_into_queue(lua_State *L, lt_Future *future, int queue) {
  lua_getfield(L, queue, "put");
  lua_pushvalue(L, queue);
  lua_createtable(L, 2, 0);
  lt_object_push(L, &future->traced.object);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, queue + 1);
  lua_rawseti(L, -2, 2);
  lua_call(L, 2, 0);
}

static int tell_listener(lua_State *L) {
  const Telling *telling = lua_touserdata(L, 1);
  int first = lua_gettop(L) + 1;
  lt_unpack(L, telling->listener->message, LT_KEEP_GLOBALS);
  if (telling->listener->is_callback) {
    lt_object_push(L, &telling->future->traced.object);
    lua_call(L, 1, 0);
  } else {
    put_into_queue(L, telling->future, first);
  }
  return 0;
}

/* Pops the error, which nobody else gets. */
static void report_listener_error(lua_State *L, lt_Thread *self) {
  int error = lua_gettop(L);
  lt_push_kept_traceback(L);
  lt_excepthook_call(L, self, error, error + 1);
  lua_settop(L, error - 1);
}

static void tell_reporting(lua_State *L, lt_Thread *self, const Telling *telling) {
  lua_pushcfunction(L, lt_keep_traceback);
  lua_pushcfunction(L, tell_listener);
  lua_pushlightuserdata(L, (void *)telling);
  if (lua_pcall(L, 1, 0, -3) != LUA_OK)
    report_listener_error(L, self);
  lua_pop(L, 1);
}

/*
** Tells them all, also where one fails. An interrupt waits until that is done, so that none is left
** out.
*/
static void tell_all(lua_State *L, lt_Future *future, lt_FutureListener *listeners) {
  lt_Thread *self = lt_self(L);
  if (listeners == NULL)
    return;
  lt_interrupt_shield_begin(self);
  bool has_room = lt_stack_room(L, LUA_MINSTACK);
  while (listeners != NULL) {
    lt_FutureListener *next = listeners->next;
    const Telling telling = {future, listeners};
    if (has_room)
      tell_reporting(L, self, &telling);
    lt_future_free_listener(listeners);
    listeners = next;
  }
  lt_interrupt_shield_end(self);
}

/*
** Packing
*/

static void describe_future_result(lua_State *L, int value) {
  lua_pushfstring(L, "result[%d]", value + 1);
}

static void describe_future_error(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "error");
}

typedef struct Outcome {
  lt_Message *message; /* NULL: there is no memory for it */
  bool failed;
} Outcome;

/* The arguments: an Outcome, the values. */
static int pack_outcome(lua_State *L) {
  Outcome *outcome = lua_touserdata(L, 1);
  outcome->message = lt_pack(L, lua_gettop(L) - 1, LT_COPY_STRINGS,
                             outcome->failed ? describe_future_error : describe_future_result);
  return 0;
}

/*
** Of the values on the top, which are popped. What can't be transferred is replaced by the error
** that says so.
*/
static Outcome make_outcome(lua_State *L, int count, bool failed) {
  Outcome outcome = {NULL, failed};
  if (lt_protected_call(L, pack_outcome, &outcome, count, 0) == LUA_OK)
    return outcome;
  outcome.failed = true;
  if (lt_protected_call(L, pack_outcome, &outcome, 1, 0) != LUA_OK)
    lua_pop(L, 1);
  return outcome;
}

/* False: the future was done before, and has kept what it had. */
static bool complete_future(lua_State *L, lt_Future *future, const Outcome *outcome) {
  lt_FutureListener *listeners;
  if (!lt_future_complete(future, outcome->message, outcome->failed, &listeners)) {
    lt_message_free(outcome->message);
    return false;
  }
  tell_all(L, future, listeners);
  return true;
}

/*
** Running a task
*/

static int deliver_late(lua_State *L) {
  lt_interrupt_deliver(L, lua_touserdata(L, 1), 0);
  return 0;
}

/*
** An interrupt that was accepted while the task ran is raised in it, also if it came with its end:
** no other task may get it.
*/
static int take_late_interrupts(lua_State *L, lt_Thread *self, int bottom, int status) {
  while (lt_interrupted(self) && atomic_load(&self->shields) == 0) {
    if (lt_protected_call(L, deliver_late, self, 0, 0) == LUA_OK)
      break;
    lua_replace(L, bottom);
    lua_settop(L, bottom);
    status = LUA_ERRRUN;
  }
  return status;
}

typedef struct Call {
  lt_Message *message;
  int bottom;     /* where its results begin on the stack */
  uint64_t slice; /* in a trace, see trace.h */
} Call;

/* In a trace the task is a slice, at the place of its function. */
static uint64_t open_task(lua_State *L, lt_Thread *self) {
  lua_Debug function;
  lt_TraceEvent slice = {.begin = plat_now(), .what = "task", .category = LT_TRACE_TASK};
  if (lua_isfunction(L, 1)) {
    lua_pushvalue(L, 1);
    lua_getinfo(L, ">S", &function);
    snprintf(slice.text, sizeof(slice.text), "%s:%d", function.short_src, function.linedefined);
  }
  return lt_trace_open(self, &slice);
}

/* What can't be received is an error of the task. */
static int run_call(lua_State *L) {
  Call *call = lua_touserdata(L, 1);
  lua_settop(L, 0);
  int count = lt_unpack(L, call->message, LT_TAKE_GLOBALS);
  if (lt_trace_runs())
    call->slice = open_task(L, lt_thread_of(L));
  lua_call(L, count - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Replaces the results by the error that they are too many to be packed. */
static int refuse_too_many(lua_State *L, int bottom) {
  int count = lua_gettop(L) - bottom + 1;
  lua_settop(L, bottom);
  const char *message =
      lua_pushfstring(L, "too many results (%d) for Lua's stack; return them in one table", count);
  lt_exception_push(L, &lt_ValueError, message, 1);
  lua_replace(L, bottom);
  lua_settop(L, bottom);
  return LUA_ERRRUN;
}

/* Leaves the results on the stack, or the error and its traceback; returns whether it failed. */
static bool run_task(lua_State *L, lt_Future *future, lt_Thread *self, Call *call) {
  lua_pushcfunction(L, run_call);
  lua_pushlightuserdata(L, call);
  int status = lua_pcall(L, 1, LUA_MULTRET, call->bottom - 1);
  lt_trace_close(self, call->slice, status == LUA_OK ? NULL : "error");
  lt_future_leave_runner(future);
  if (!lt_stack_room(L, lt_working_room(lua_gettop(L))))
    status = refuse_too_many(L, call->bottom);
  status = take_late_interrupts(L, self, call->bottom, status);
  if (status != LUA_OK)
    lt_push_kept_traceback(L);
  return status != LUA_OK;
}

/*
** future:_run() -> boolean
** For executors: runs what the future was made for, and completes it by what that returns or raises.
** Interrupts of the future reach this task, and no other. False: it was cancelled before. Raises
** InvalidStateError if it is running or done.
*/
static int future_run(lua_State *L) {
  enum { HANDLER = 2, BOTTOM };
  bool told;
  Call call = {NULL, BOTTOM, 0};
  lt_Future *future = check_future(L);
  lt_Thread *self = lt_self(L);
  lua_settop(L, 1);
  lt_check_stack(L, 2 * LUA_MINSTACK);
  lua_pushcfunction(L, lt_keep_traceback);
  lt_FutureState before = lt_future_begin(future, self, &told, &call.message);
  if (before == LT_FUTURE_CANCELLED && !told) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (before != LT_FUTURE_PENDING || call.message == NULL)
    raise_invalid_state(L, future);
  bool failed = run_task(L, future, self, &call);
  lt_message_free(call.message);
  Outcome outcome = make_outcome(L, lua_gettop(L) - BOTTOM + 1, failed);
  complete_future(L, future, &outcome);
  lua_pushboolean(L, 1);
  return 1;
}

static void describe_call(lua_State *L, int value) {
  if (value == 0)
    lua_pushliteral(L, "function");
  else
    lua_pushfstring(L, "argument %d", value);
}

/*
** prepare(f, ...) -> future
** A future for f(...), which is copied now, as for the start of a thread. Raises TypeError for what
** can't be called or transferred.
*/
int lt_prepare_future(lua_State *L) {
  lt_check_callable(L, 1);
  int count = lua_gettop(L);
  lt_check_stack(L, LUA_MINSTACK);
  lt_cycles_collect_if_due();
  lt_Message *call = lt_pack(L, count, LT_LEND_STRINGS, describe_call);
  lt_Future *future = lt_future_new(&future_type);
  if (future == NULL) {
    lt_message_free(call);
    return lt_raise_memory(L);
  }
  future->call = call;
  lt_object_push_own(L, &future->traced.object);
  return 1;
}

/*
** Waiting
*/

static void await_future(lua_State *L, lt_Future *future) {
  static const char *const names[] = {"timeout", NULL};
  lt_check_most(L, 1, 1);
  lt_spread_keywords(L, 2, names);
  plat_Time deadline = lt_opt_deadline(L, 2);
  lua_settop(L, 1);
  if (!lt_future_is_done(future)) {
    lt_Wait wait = lt_future_wait(future, deadline);
    if (!lt_wait(L, lt_self(L), &wait))
      lt_raise(L, &lt_TimeoutError, "the future is %s", future_state_name(future));
  }
  if (lt_future_state(future) == LT_FUTURE_CANCELLED)
    lt_raise(L, &lt_CancelledError, "the future was cancelled");
}

/* Of one that has failed: pushes the error, and the traceback above it. */
static void push_error(lua_State *L, const lt_Future *future) {
  if (future->result == NULL)
    lt_raise_memory(L);
  int top = lua_gettop(L);
  lt_unpack(L, future->result, LT_KEEP_GLOBALS);
  lua_settop(L, top + 2);
}

/*
** future:result([timeout]) -> what the task returned
** Waits until the future is done, with a timeout at most so many seconds; a negative one is none.
** Returns copies of the results, others each time. Raises what the task has raised, TimeoutError,
** or CancelledError. By name: future:result{timeout = 0.5}. Follows Future.result.
*/
static int future_result(lua_State *L) {
  lt_Future *future = check_future(L);
  await_future(L, future);
  if (future->failed) {
    push_error(L, future);
    lua_pop(L, 1);
    return lua_error(L);
  }
  return future->result == NULL ? lt_raise_memory(L)
                                : lt_unpack(L, future->result, LT_TAKE_GLOBALS);
}

/*
** future:exception([timeout]) -> what the task has raised, or false
** Waits as result does; raises TimeoutError, or CancelledError. Follows Future.exception.
*/
static int future_exception(lua_State *L) {
  lt_Future *future = check_future(L);
  await_future(L, future);
  if (!future->failed) {
    lua_pushboolean(L, 0);
    return 1;
  }
  push_error(L, future);
  lua_pop(L, 1);
  return 1;
}

/*
** future:traceback() -> string, or nil
** Where the task has raised its error, in the thread that ran it; nil if it is not done, or has
** raised nothing.
*/
static int future_traceback(lua_State *L) {
  lt_Future *future = check_future(L);
  if (lt_future_state(future) != LT_FUTURE_FINISHED || !future->failed)
    lua_pushnil(L);
  else
    push_error(L, future);
  return 1;
}

/* future:done() -> boolean. Whether it has ended or was cancelled. Follows Future.done. */
static int future_done(lua_State *L) {
  lua_pushboolean(L, lt_future_is_done(check_future(L)));
  return 1;
}

/* future:running() -> boolean. Whether it is being run at this moment. Follows Future.running. */
static int future_running(lua_State *L) {
  lua_pushboolean(L, lt_future_state(check_future(L)) == LT_FUTURE_RUNNING);
  return 1;
}

/* future:cancelled() -> boolean. Follows Future.cancelled. */
static int future_cancelled(lua_State *L) {
  lua_pushboolean(L, lt_future_state(check_future(L)) == LT_FUTURE_CANCELLED);
  return 1;
}

/*
** Ending it
*/

/*
** future:cancel() -> boolean
** Cancels it, if it has not begun: it is done then, and who waits for it gets CancelledError. Returns
** whether it is cancelled. Follows Future.cancel.
*/
static int future_cancel(lua_State *L) {
  lt_Future *future = check_future(L);
  lt_FutureListener *listeners;
  bool cancelled = lt_future_cancel(future, &listeners);
  tell_all(L, future, listeners);
  lua_pushboolean(L, cancelled || lt_future_state(future) == LT_FUTURE_CANCELLED);
  return 1;
}

/*
** future:interrupt([exception = SystemExit]) -> boolean
** Raises an exception in the task, if a thread runs it at this moment, and returns whether one does;
** it never reaches another task. Raises TypeError for what is no exception or can't be transferred.
*/
static int future_interrupt(lua_State *L) {
  bool alive;
  lt_Message *message;
  lt_Future *future = check_future(L);
  lua_settop(L, 2);
  lt_Class *class_object = lt_check_interrupt(L, 2, &message);
  if (!lt_future_interrupt(future, class_object, message, &alive))
    return lt_raise_memory(L);
  lua_pushboolean(L, alive);
  return 1;
}

/*
** future:set_result(...)
** Completes it with these results. Raises InvalidStateError if it is done, TypeError for what can't
** be transferred. Follows Future.set_result.
*/
static int future_set_result(lua_State *L) {
  lt_Future *future = check_future(L);
  Outcome outcome = {NULL, false};
  int count = lua_gettop(L) - 1;
  lt_check_stack(L, LUA_MINSTACK);
  outcome.message = lt_pack(L, count, LT_COPY_STRINGS, describe_future_result);
  if (!complete_future(L, future, &outcome))
    raise_invalid_state(L, future);
  return 0;
}

/*
** future:set_exception(error)
** Completes it with an error, which may be any value but nil. Raises InvalidStateError if it is done,
** TypeError for what can't be transferred. Follows Future.set_exception.
*/
static int future_set_exception(lua_State *L) {
  lt_Future *future = check_future(L);
  Outcome outcome = {NULL, true};
  lt_check_any(L, 2);
  lua_settop(L, 2);
  outcome.message = lt_pack(L, 1, LT_COPY_STRINGS, describe_future_error);
  if (!complete_future(L, future, &outcome))
    raise_invalid_state(L, future);
  return 0;
}

/*
** future:set_running_or_notify_cancel() -> boolean
** Says that it is being run from now on: true; false: it was cancelled. Raises InvalidStateError if
** it is running or done, or has said so before. Follows Future.set_running_or_notify_cancel.
*/
static int future_set_running(lua_State *L) {
  bool told;
  lt_Future *future = check_future(L);
  lt_FutureState before = lt_future_begin(future, NULL, &told, NULL);
  if (before != LT_FUTURE_PENDING && (before != LT_FUTURE_CANCELLED || told))
    return raise_invalid_state(L, future);
  lua_pushboolean(L, before == LT_FUTURE_PENDING);
  return 1;
}

/*
** Being told
*/

/* Of the values on the top, which it pops. */
static void listen(lua_State *L, lt_Future *future, int count, bool is_callback,
                   lt_DescribeValue describe) {
  lt_check_stack(L, LUA_MINSTACK);
  lt_Message *message = lt_pack(L, count, LT_COPY_STRINGS, describe);
  lt_FutureListener *listener = malloc(sizeof(*listener));
  if (listener == NULL) {
    lt_message_free(message);
    lt_raise_memory(L);
  }
  *listener = (lt_FutureListener){NULL, message, is_callback};
  if (!lt_future_listen(future, listener))
    tell_all(L, future, listener);
}

static void describe_callback(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "callback");
}

/*
** future:add_done_callback(f)
** Has a copy of f, made now, called with the future when it is done: in the thread that completes it,
** or here and now if that has been. What it raises goes to the excepthook. Raises TypeError for what
** can't be called or transferred. Follows Future.add_done_callback.
*/
static int future_add_done_callback(lua_State *L) {
  lt_Future *future = check_future(L);
  lt_check_callable(L, 2);
  lua_settop(L, 2);
  listen(L, future, 1, true, describe_callback);
  return 0;
}

static void describe_tag(lua_State *L, int value) {
  lua_pushstring(L, value == 0 ? "queue" : "tag");
}

/*
** future:notify(queue [, tag])
** Puts {future, tag} into the queue when it is done, or now if it is. For who wants to be told in his
** own thread. Raises TypeError for what has no method put, or can't be transferred.
*/
static int future_notify(lua_State *L) {
  lt_Future *future = check_future(L);
  lua_settop(L, 3);
  if (lt_object_at(L, 2) == NULL || luaL_getmetafield(L, 2, "methods") != LUA_TTABLE ||
      lua_getfield(L, -1, "put") == LUA_TNIL)
    lt_arg_type_error(L, 2, "queue");
  lua_settop(L, 3);
  listen(L, future, 2, false, describe_tag);
  return 0;
}

static int future_tostring(lua_State *L) {
  lt_Future *future = check_future(L);
  lua_pushfstring(L, "<Future at %p: %s>", (void *)future, future_state_name(future));
  return 1;
}

static lt_Sight future_sight(lt_Object *object) {
  return lt_future_sight((lt_Future *)object);
}

static const luaL_Reg future_methods[] = {{"result", future_result},
                                          {"exception", future_exception},
                                          {"traceback", future_traceback},
                                          {"done", future_done},
                                          {"running", future_running},
                                          {"cancelled", future_cancelled},
                                          {"cancel", future_cancel},
                                          {"interrupt", future_interrupt},
                                          {"set_result", future_set_result},
                                          {"set_exception", future_set_exception},
                                          {"set_running_or_notify_cancel", future_set_running},
                                          {"add_done_callback", future_add_done_callback},
                                          {"notify", future_notify},
                                          {"_run", future_run},
                                          {NULL, NULL}};

static const luaL_Reg future_metamethods[] = {{"__tostring", future_tostring}, {NULL, NULL}};

static const lt_Face future_face = {&lt_FutureType, future_methods, future_metamethods, NULL,
                                    future_sight};
static const lt_Type future_type = {"concurrent.futures.Future", &future_face, lt_future_destroy,
                                    &lt_future_tracing};
