/*
** The asker enters a request, wakes the thread and pokes it. The poke runs a signal handler on
** that very thread, which sets a hook on its coroutines, as lua.c does for Ctrl-C; the hook
** raises. While nobody asks there is no hook.
**
** Shared state: 'accepts', 'exit_requested', 'time_requested' and 'requests' of a thread, under its
** guard. So is the urgency of its parker: it is never calm while there is a request.
*/
#include "src/thread/interrupt.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/library_functions.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/state/foreign_loop.h"
#include "src/state/replacement.h"
#include "src/state/running_handlers.h"
#include "src/thread/home.h"
#include "src/thread/interrupt_descriptor.h"
#include "src/thread/observer.h"
#include "src/thread/on_interrupt.h"
#include "src/thread/repeated_poke.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/section_list.h"

typedef struct lt_InterruptRequest {
  struct lt_InterruptRequest *next;
  lt_Class *class_object; /* a reference */
  lt_Message *message;    /* the exception; NULL: a new one of the class */
} lt_InterruptRequest;

/*
** Requests
*/

static void free_request(lt_InterruptRequest *request) {
  lt_object_release(&request->class_object->object);
  lt_message_free(request->message);
  free(request);
}

static int rank(const lt_Class *class_object) {
  if (lt_is_subclass(class_object, &lt_SystemExit))
    return 0;
  return lt_is_subclass(class_object, &lt_KeyboardInterrupt) ? 1 : 2;
}

/* Returns whether it is entered: it is not if the same class is there already. */
static bool enter_request(lt_Thread *thread, lt_InterruptRequest *request) {
  lt_InterruptRequest **place = &thread->requests;
  while (*place != NULL && rank((*place)->class_object) <= rank(request->class_object)) {
    if (request->message == NULL && (*place)->message == NULL &&
        (*place)->class_object == request->class_object)
      return false;
    place = &(*place)->next;
  }
  request->next = *place;
  *place = request;
  return true;
}

/* Under its guard, so that its home does not end meanwhile. */
static void interrupt_ask(lt_Thread *thread, lt_Urgency urgency, bool again) {
  lt_parker_interrupt(thread->parker, urgency);
  lt_interrupt_show(thread);
  lt_thread_poke_to_interrupt(thread, again);
}

/* Under its guard. */
static void calm_down(lt_Thread *thread) {
  atomic_store(&thread->parker->urgency, LT_CALM);
  lt_interrupt_show(thread);
}

bool lt_interrupt(lt_Thread *thread, lt_Class *class_object, lt_Message *message, bool *alive) {
  lt_InterruptRequest *request = malloc(sizeof(*request));
  if (request == NULL) {
    lt_message_free(message);
    return false;
  }
  lt_object_retain(&class_object->object);
  request->class_object = class_object;
  request->message = message;
  plat_mutex_lock(&thread->guard);
  *alive = thread->accepts;
  bool entered = thread->accepts && enter_request(thread, request);
  if (thread->accepts) {
    atomic_store(&thread->heard, false);
    interrupt_ask(thread, LT_INTERRUPT, false);
  }
  if (atomic_load(&thread->home) == &plat_own_target)
    thread->spared = 0; /* what was to be spared is over: the thread is here */
  plat_mutex_unlock(&thread->guard);
  if (*alive && atomic_load(&thread->home) != &plat_own_target)
    lt_repeated_poke_begin(thread);
  if (!entered)
    free_request(request);
  return true;
}

/* Its function may have ended, but not its excepthook or its finalizers. */
void lt_interrupt_to_exit(lt_Thread *thread, bool must_end) {
  plat_mutex_lock(&thread->guard);
  bool asks = must_end || atomic_load(&thread->exit_taken) != LT_TAKEN;
  if (asks && (thread->accepts || atomic_load(&thread->home) != NULL)) {
    thread->exit_requested = true;
    if (must_end)
      atomic_store(&thread->must_end, true);
    interrupt_ask(thread, must_end ? LT_MUST_END : LT_INTERRUPT, true);
  }
  plat_mutex_unlock(&thread->guard);
  if (asks && atomic_load(&thread->sections.innermost) != NULL)
    lt_repeated_poke_begin(thread);
}

void lt_interrupt_for_time(lt_Thread *thread, bool must_end) {
  plat_mutex_lock(&thread->guard);
  if (thread->accepts || must_end) {
    thread->time_requested = true;
    if (must_end) {
      atomic_store(&thread->out_of_time, true);
      atomic_store(&thread->must_end, true);
    }
    interrupt_ask(thread, must_end ? LT_MUST_END : LT_INTERRUPT, true);
  }
  plat_mutex_unlock(&thread->guard);
  if (atomic_load(&thread->sections.innermost) != NULL)
    lt_repeated_poke_begin(thread);
}

void lt_interrupt_end_of_time(lt_Thread *thread) {
  if (atomic_exchange(&thread->out_of_time, false))
    atomic_store(&thread->must_end, false);
}

/*
** Hooks
*/

/*
** While a handler has to finish, the hook looks once in so many instructions whether it has. The
** instructions of a hook of the script count too, but there ours is not called; the number is a
** prime, so that not every look of a loop falls there.
*/
#define NEXT_LOOK 997

static void hook(lua_State *L, lua_Debug *event);

PLAT_IN_HANDLER static void arm_if_asked(lt_Thread *thread) {
  bool interrupted = atomic_load(&thread->parker->urgency) != LT_CALM;
  if (thread->coroutines != NULL && (interrupted || atomic_load(&thread->parker->asked)))
    lt_coroutines_arm(thread->coroutines, hook, 1);
  if (thread->coroutines != NULL && interrupted)
    lt_sections_find_place(thread);
}

PLAT_IN_HANDLER static void interrupt_on_poke(void *place) {
  lt_home_each(place, arm_if_asked);
}

bool lt_interrupt_armed(lua_State *L) {
  return lua_gethook(L) == hook;
}

/* A poke may come between the look and the disarming, so it looks again. */
void lt_interrupt_disarm(lua_State *L, lt_Thread *thread) {
  lt_sections_settle(thread);
  lt_coroutines_disarm(thread->coroutines, L, hook);
  if (lt_interrupted(thread) || atomic_load(&thread->parker->asked))
    lt_coroutines_arm(thread->coroutines, hook, 1);
}

/*
** Where the script has a hook for lines, a poke may be overwritten: it comes after Lua has read the
** old count of instructions and before it stores the new one. So the events of the script's hook
** start the count again, though seldom enough for a longer count to run out.
*/
static void count_anew(lt_Thread *thread) {
  if (++thread->other_events % 16 == 0)
    lt_coroutines_arm(thread->coroutines, hook, 1);
}

/* A loop that calls back may be run again soon after it has returned, so this is seen. */
static void look_again(const lt_Thread *thread) {
  lua_State *caller = thread->loop.coroutine;
  lt_coroutines_arm(thread->coroutines, hook, NEXT_LOOK);
  if (thread->loop.function != NULL)
    lua_sethook(caller, hook, lua_gethookmask(caller) | LUA_MASKRET, NEXT_LOOK);
}

static bool is_return_of_loop(lua_State *L, const lt_Thread *thread, lua_Debug *event) {
  return event->event == LUA_HOOKRET && thread->loop.function != NULL &&
         lt_function_of_call(L, event) == thread->loop.function;
}

static void hook(lua_State *L, lua_Debug *event) {
  lt_Thread *thread = lt_thread_of(L);
  if (thread == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  lt_sections_settle(thread);
  if (thread->spared == 0)
    atomic_store(&thread->heard, true); /* else the next instruction may be a system call */
  lt_coroutines_forward(thread->coroutines, L, event);
  lt_observer->attend(L, thread, NULL, 0);
  if (!lt_interrupted(thread))
    lt_interrupt_disarm(L, thread);
  else if (is_return_of_loop(L, thread, event))
    lt_coroutines_arm(thread->coroutines, hook, 1);
  else if (event->event != LUA_HOOKCOUNT)
    count_anew(thread);
  else if (thread->spared > 0)
    thread->spared--;
  else if (lt_interrupt_deliver(L, thread, 0))
    look_again(thread);
}

/* Stands for debug.sethook, which may take away the hook that has been set for a request. */
static int sethook(lua_State *L) {
  int count = lt_library_function(LT_LIBRARY_SETHOOK)(L);
  lt_Thread *thread = lt_thread_of(L);
  if (thread != NULL && (lt_interrupted(thread) || atomic_load(&thread->parker->asked)))
    lt_coroutines_arm(thread->coroutines, hook, 1);
  return count;
}

void lt_interrupt_replace_sethook(lua_State *L) {
  lt_replacement_put(L, "debug", "sethook", LT_LIBRARY_SETHOOK, sethook);
}

/*
** Delivering
*/

/* What is raised next. */
typedef struct Asked {
  lt_Class *class_object;
  lt_InterruptRequest
      *request; /* NULL: it came without one, for the exit or by the limit of time */
} Asked;

/* Takes it; false: there is none. */
static bool take_request(lt_Thread *thread, Asked *asked) {
  *asked = (Asked){NULL, NULL};
  plat_mutex_lock(&thread->guard);
  if (thread->exit_requested) {
    thread->exit_requested = false;
    asked->class_object = &lt_SystemExit;
  } else if (thread->time_requested) {
    thread->time_requested = false;
    asked->class_object = &lt_TimeLimitError;
  } else if (thread->requests != NULL) {
    asked->request = thread->requests;
    asked->class_object = asked->request->class_object;
    thread->requests = asked->request->next;
  }
  if (thread->requests == NULL && !thread->time_requested)
    calm_down(thread);
  plat_mutex_unlock(&thread->guard);
  return asked->class_object != NULL;
}

/* Arguments: what is asked for; the stack level that is interrupted. */
static int make_exception(lua_State *L) {
  const Asked *asked = lua_touserdata(L, 1);
  int level = (int)lua_tointeger(L, 2);
  if (asked->request != NULL && asked->request->message != NULL)
    return lt_unpack(L, asked->request->message, LT_KEEP_GLOBALS);
  bool is_limit = asked->request == NULL && asked->class_object == &lt_TimeLimitError;
  lt_exception_push(L, asked->class_object, is_limit ? "the thread's time is over" : "", level);
  return 1;
}

static void put_back(lt_Thread *thread, const Asked *asked) {
  plat_mutex_lock(&thread->guard);
  if (asked->request != NULL) {
    asked->request->next = thread->requests;
    thread->requests = asked->request;
  } else if (asked->class_object == &lt_SystemExit) {
    thread->exit_requested = true;
  } else {
    thread->time_requested = true;
  }
  interrupt_ask(thread, LT_INTERRUPT, false);
  plat_mutex_unlock(&thread->guard);
}

/* At the end of the stack the exception can't be made, but it can when some of it has been left. */
static bool is_overflow(lua_State *L, int status) {
  return status == LUA_ERRERR ||
         (lua_type(L, -1) == LUA_TSTRING && strstr(lua_tostring(L, -1), "stack overflow") != NULL);
}

static bool call_on_interrupt(lua_State *L, lt_Thread *thread, bool is_exit) {
  int not_taken = LT_NOT_TAKEN;
  if (is_exit && !atomic_compare_exchange_strong(&thread->exit_taken, &not_taken, LT_TAKEN))
    return false;
  lt_interrupt_shield_begin(thread);
  bool taken = lt_on_interrupt_call(L, thread);
  lt_interrupt_shield_end(thread);
  return taken;
}

/*
** Raises the exception or, if it can't be made, the error that says why; returns if the thread's
** on_interrupt has taken it. In a thread that has not called its function yet the request stays: a
** module that is loaded for the function may have taken the exception for an error of its own.
*/
static void raise_request(lua_State *L, lt_Thread *thread, Asked *asked, int level) {
  bool is_exit = asked->request == NULL && asked->class_object == &lt_SystemExit;
  lt_observer->interrupted(thread, asked->class_object);
  lua_pushinteger(L, level + 1);
  int status = lt_protected_call(L, make_exception, asked, 1, 1);
  bool is_starting = atomic_load(&thread->status) == LT_STARTING;
  if (is_starting || status == LUA_ERRMEM || (status != LUA_OK && is_overflow(L, status)))
    put_back(thread, asked);
  else if (asked->request != NULL)
    free_request(asked->request);
  if (status == LUA_OK) {
    lt_context_base(L)->raised = lua_topointer(L, -1);
    if (!atomic_load(&thread->must_end) && lt_on_interrupt_is_set(thread) &&
        call_on_interrupt(L, thread, is_exit))
      return;
  }
  lt_throw(L);
}

bool lt_interrupt_is_held(lua_State *L, lt_Thread *thread) {
  return !atomic_load(&thread->must_end) &&
         (atomic_load(&thread->shields) > 0 ||
          lt_running_handlers_in(L, thread->coroutines, thread->bottom));
}

/* Whether what is asked for is not to be raised now. */
static bool is_held_back(lua_State *L, lt_Thread *thread) {
  bool must_end = atomic_load(&thread->must_end);
  bool is_raised = must_end || !lt_on_interrupt_is_set(thread) ||
                   atomic_load(&thread->exit_taken) == LT_TAKEN_LONG;
  thread->loop = (lt_ForeignLoop){0};
  if (is_raised)
    thread->loop = lt_foreign_loop_stop(L, thread->coroutines);
  if (thread->loop.function != NULL)
    return true;
  return lt_interrupt_is_held(L, thread);
}

/* Once 'must_end' is seen to be set: what is out of time was so before. */
static Asked what_must_be_raised(const lt_Thread *thread) {
  return (Asked){atomic_load(&thread->out_of_time) ? &lt_TimeLimitError : &lt_SystemExit, NULL};
}

bool lt_interrupt_deliver(lua_State *L, lt_Thread *thread, int level) {
  Asked asked;
  atomic_store(&thread->heard, true);
  lt_check_stack(L, 6);
  if (is_held_back(L, thread))
    return true;
  if (atomic_load(&thread->must_end)) {
    asked = what_must_be_raised(thread);
    raise_request(L, thread, &asked, level);
  }
  while (take_request(thread, &asked)) {
    lt_interrupt_disarm(L, thread);
    raise_request(L, thread, &asked, level);
  }
  lt_interrupt_disarm(L, thread);
  return false;
}

void lt_interrupt_remind(lt_Thread *thread) {
  lt_coroutines_arm(thread->coroutines, hook, 1);
  atomic_store(&thread->heard, false);
  lt_repeated_poke_begin(thread);
}

/* What was not to break a system call is repeated for the one that may come next. */
void lt_interrupt_shield_end(lt_Thread *thread) {
  if (atomic_fetch_sub(&thread->shields, 1) > 1)
    return;
  if (thread->held != NULL)
    lua_sethook(lt_coroutines_main(thread->coroutines), thread->held, thread->held_mask, 1);
  thread->held = NULL;
  if (lt_interrupted(thread))
    lt_interrupt_remind(thread);
}

/* What is pending before must not break system calls within, so it is raised first. */
void lt_interrupt_shield_enter(lua_State *L, lt_Thread *thread) {
  bool held = false;
  lt_interrupt_shield_begin(thread);
  while (!held && atomic_load(&thread->shields) == 1 && lt_interrupted(thread)) {
    lt_interrupt_shield_end(thread);
    held = lt_interrupt_deliver(L, thread, 1);
    lt_interrupt_shield_begin(thread);
  }
}

void lt_interrupt_accept(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  thread->accepts = true;
  plat_mutex_unlock(&thread->guard);
}

void lt_interrupt_forget(lt_Thread *thread, bool for_good) {
  plat_mutex_lock(&thread->guard);
  lt_InterruptRequest *request = thread->requests;
  thread->requests = NULL;
  thread->exit_requested = false;
  thread->time_requested = false;
  if (for_good)
    thread->accepts = false;
  calm_down(thread);
  plat_mutex_unlock(&thread->guard);
  while (request != NULL) {
    lt_InterruptRequest *next = request->next;
    free_request(request);
    request = next;
  }
}

void lt_interrupt_clear(lua_State *L, lt_Thread *thread, bool for_good) {
  lt_interrupt_forget(thread, for_good);
  if (thread->coroutines != NULL)
    lt_interrupt_disarm(L, thread);
}

void lt_interrupt_finish(lua_State *L, lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  bool pending = thread->exit_requested || thread->time_requested || thread->requests != NULL;
  thread->accepts = pending;
  plat_mutex_unlock(&thread->guard);
  if (pending && !lt_interrupt_deliver(L, thread, 0))
    lt_interrupt_finish(L, thread);
}

/*
** For the functions in the place of Lua's own
*/

static void heed_interrupt(lua_State *L) {
  lt_Thread *thread = lt_thread_of(L);
  if (thread != NULL && lt_interrupted(thread))
    (void)lt_interrupt_deliver(L, thread, 1);
}

static bool thread_is_alone(lua_State *L) {
  const lt_Thread *thread = lt_thread_of(L);
  return thread != NULL && thread->is_main && lt_runtimes_open() == 1 &&
         lt_runtime_threads_count(thread->runtime) == 0;
}

static const lt_StateUser state_user = {heed_interrupt, thread_is_alone};

static int interrupt_set_up(void) {
  lt_state_user = &state_user;
  return plat_poke_setup(interrupt_on_poke, lt_home_end);
}

int lt_interrupt_setup(void) {
  static plat_Once once = PLAT_ONCE_INIT;
  return plat_once(&once, interrupt_set_up);
}
