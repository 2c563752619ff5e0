/*
** The asker enters a request, wakes the thread and pokes it. The poke runs a signal handler on
** that very thread, which sets a hook on its coroutines, as lua.c does for Ctrl-C; the hook
** raises. While nobody asks there is no hook.
**
** Shared state: 'accepts', 'exit_requested', 'requests', 'home' and 'attachment' of a thread, under
** its guard. So is the urgency of its parker: it is never calm while there is a request.
** 'attachments' belongs to one OS thread, which changes it while its handler may read it; which
** thread an attachment stands for is changed under 'moving', within which a thread's guard may be
** taken.
*/
#include "src/thread/interrupt.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/state/replacement.h"
#include "src/state/running_handlers.h"
#include "src/thread/observer.h"
#include "src/thread/repeated_poke.h"
#include "src/thread/runtime_threads.h"

/* The threads whose states run on this OS thread: several, if a host has several main states. */
typedef struct lt_Attachment {
  struct lt_Attachment *volatile next;
  const plat_Target *home;
  _Atomic(lt_Thread *) thread; /* NULL: detached */
  atomic_uint in_handlers;     /* how many are looking at the thread; one may interrupt another */
} lt_Attachment;

static PLAT_THREAD_LOCAL lt_Attachment *volatile attachments;
static plat_Mutex moving = PLAT_MUTEX_INIT;

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
  lt_thread_poke_to_interrupt(thread, again);
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
    thread->spares_next = false; /* what was to be spared is over: the thread is here */
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
  if (thread->accepts || atomic_load(&thread->home) != NULL) {
    thread->exit_requested = true;
    if (must_end)
      atomic_store(&thread->must_end, true);
    interrupt_ask(thread, must_end ? LT_MUST_END : LT_INTERRUPT, true);
  }
  plat_mutex_unlock(&thread->guard);
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

PLAT_IN_HANDLER static void arm_if_asked(lt_Attachment *attachment) {
  atomic_fetch_add(&attachment->in_handlers, 1);
  const lt_Thread *thread = atomic_load(&attachment->thread);
  if (thread != NULL && thread->coroutines != NULL &&
      (atomic_load(&thread->parker->urgency) != LT_CALM || atomic_load(&thread->parker->asked)))
    lt_coroutines_arm(thread->coroutines, hook, 1);
  atomic_fetch_sub(&attachment->in_handlers, 1);
}

PLAT_IN_HANDLER static void interrupt_on_poke(void) {
  for (lt_Attachment *each = attachments; each != NULL; each = each->next)
    arm_if_asked(each);
}

bool lt_interrupt_armed(lua_State *L) {
  return lua_gethook(L) == hook;
}

/* A poke may come between the look and the disarming, so it looks again. */
void lt_interrupt_disarm(lua_State *L, lt_Thread *thread) {
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

static void hook(lua_State *L, lua_Debug *event) {
  lt_Thread *thread = lt_thread_of(L);
  if (thread == NULL) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (!thread->spares_next)
    atomic_store(&thread->heard, true); /* else the next instruction may be a system call */
  lt_coroutines_forward(thread->coroutines, L, event);
  lt_observer->attend(L, thread, NULL, 0);
  if (!lt_interrupted(thread))
    lt_interrupt_disarm(L, thread);
  else if (event->event != LUA_HOOKCOUNT)
    count_anew(thread);
  else if (thread->spares_next)
    thread->spares_next = false;
  else if (lt_interrupt_deliver(L, thread, 0))
    lt_coroutines_arm(thread->coroutines, hook, NEXT_LOOK);
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

/* Takes the next one; false: there is none. The exit comes without a request. */
static bool take_request(lt_Thread *thread, lt_InterruptRequest **request) {
  plat_mutex_lock(&thread->guard);
  bool found = thread->exit_requested || thread->requests != NULL;
  *request = NULL;
  if (thread->exit_requested) {
    thread->exit_requested = false;
  } else if (thread->requests != NULL) {
    *request = thread->requests;
    thread->requests = (*request)->next;
  }
  if (thread->requests == NULL)
    atomic_store(&thread->parker->urgency, LT_CALM);
  plat_mutex_unlock(&thread->guard);
  return found;
}

/* Arguments: the request, or NULL for the exit; the stack level that is interrupted. */
static int make_exception(lua_State *L) {
  const lt_InterruptRequest *request = lua_touserdata(L, 1);
  int level = (int)lua_tointeger(L, 2);
  if (request != NULL && request->message != NULL)
    return lt_unpack(L, request->message, LT_KEEP_GLOBALS);
  lt_exception_push(L, request == NULL ? &lt_SystemExit : request->class_object, "", level);
  return 1;
}

static void put_back(lt_Thread *thread, lt_InterruptRequest *request) {
  plat_mutex_lock(&thread->guard);
  if (request == NULL) {
    thread->exit_requested = true;
  } else {
    request->next = thread->requests;
    thread->requests = request;
  }
  interrupt_ask(thread, LT_INTERRUPT, false);
  plat_mutex_unlock(&thread->guard);
}

/* At the end of the stack the exception can't be made, but it can when some of it has been left. */
static bool is_overflow(lua_State *L, int status) {
  return status == LUA_ERRERR ||
         (lua_type(L, -1) == LUA_TSTRING && strstr(lua_tostring(L, -1), "stack overflow") != NULL);
}

/* Raises the exception or, if it can't be made, the error that says why. */
static _Noreturn void raise_request(lua_State *L, lt_Thread *thread, lt_InterruptRequest *request,
                                    int level) {
  lua_pushinteger(L, level + 1);
  int status = lt_protected_call(L, make_exception, request, 1, 1);
  if (status == LUA_ERRMEM || (status != LUA_OK && is_overflow(L, status)))
    put_back(thread, request);
  else if (request != NULL)
    free_request(request);
  if (status == LUA_OK)
    lt_context_base(L)->raised = lua_topointer(L, -1);
  lt_throw(L);
}

bool lt_interrupt_deliver(lua_State *L, lt_Thread *thread, int level) {
  lt_InterruptRequest *request;
  atomic_store(&thread->heard, true);
  lt_check_stack(L, 6);
  if (atomic_load(&thread->must_end))
    raise_request(L, thread, NULL, level);
  if (atomic_load(&thread->shields) > 0 ||
      lt_running_handlers_in(L, thread->coroutines, thread->bottom))
    return true;
  bool found = take_request(thread, &request);
  lt_interrupt_disarm(L, thread);
  if (found)
    raise_request(L, thread, request, level);
  return false;
}

/* What was not to break a system call is repeated for the one that may come next. */
void lt_interrupt_shield_end(lt_Thread *thread) {
  if (atomic_fetch_sub(&thread->shields, 1) > 1)
    return;
  if (thread->held != NULL)
    lua_sethook(lt_coroutines_main(thread->coroutines), thread->held, thread->held_mask, 1);
  thread->held = NULL;
  if (!lt_interrupted(thread))
    return;
  lt_coroutines_arm(thread->coroutines, hook, 1);
  atomic_store(&thread->heard, false);
  lt_repeated_poke_begin(thread);
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
  if (for_good)
    thread->accepts = false;
  atomic_store(&thread->parker->urgency, LT_CALM);
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
  bool pending = thread->exit_requested || thread->requests != NULL;
  thread->accepts = pending;
  plat_mutex_unlock(&thread->guard);
  if (pending)
    (void)lt_interrupt_deliver(L, thread, 0);
}

/*
** The OS thread
*/

/* Frees what was detached, which only the OS thread itself may do. */
static void drop_detached(void) {
  lt_Attachment *before = NULL;
  lt_Attachment *each = attachments;
  while (each != NULL) {
    lt_Attachment *next = each->next;
    if (atomic_load(&each->thread) != NULL) {
      before = each;
    } else {
      if (before == NULL)
        attachments = next;
      else
        before->next = next;
      atomic_signal_fence(memory_order_seq_cst);
      free(each);
    }
    each = next;
  }
}

/* One that stands for no thread; NULL: no memory. */
static lt_Attachment *find_attachment(void) {
  for (lt_Attachment *each = attachments; each != NULL; each = each->next)
    if (atomic_load(&each->thread) == NULL)
      return each;
  lt_Attachment *attachment = malloc(sizeof(*attachment));
  if (attachment == NULL)
    return NULL;
  atomic_init(&attachment->thread, NULL);
  atomic_init(&attachment->in_handlers, 0);
  attachment->home = &plat_own_target;
  attachment->next = attachments;
  atomic_signal_fence(memory_order_seq_cst); /* it is complete before the handler finds it */
  attachments = attachment;
  return attachment;
}

bool lt_interrupt_attach(lt_Thread *thread) {
  lt_Attachment *attachment = find_attachment();
  if (attachment == NULL || plat_poke_accept() != 0)
    return false;
  plat_mutex_lock(&moving);
  atomic_store(&attachment->thread, thread);
  plat_mutex_lock(&thread->guard);
  thread->attachment = attachment;
  thread->native_id = plat_native_id();
  atomic_store(&thread->home, &plat_own_target);
  plat_mutex_unlock(&thread->guard);
  plat_mutex_unlock(&moving);
  return true;
}

/* Under 'moving'. */
static lt_Attachment *unlink_attachment(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  lt_Attachment *attachment = thread->attachment;
  thread->attachment = NULL;
  atomic_store(&thread->home, NULL);
  plat_mutex_unlock(&thread->guard);
  if (attachment != NULL)
    atomic_store(&attachment->thread, NULL);
  return attachment;
}

/*
** A main state may be closed, or go on, in another OS thread than the one that it is attached to,
** in whose handler it may just be in use. Sequentially consistent: either the handler sees that it
** is detached, or this sees that the handler is in it.
*/
void lt_interrupt_detach(lt_Thread *thread) {
  plat_mutex_lock(&moving);
  const lt_Attachment *attachment = unlink_attachment(thread);
  if (attachment != NULL && attachment->home != &plat_own_target)
    while (atomic_load(&attachment->in_handlers) > 0)
      plat_yield();
  plat_mutex_unlock(&moving);
  lt_repeated_poke_end(thread);
  drop_detached();
}

/* Without memory it is not reached, until the next call. */
void lt_thread_move(lt_Thread *thread) {
  lt_interrupt_detach(thread);
  if (!lt_interrupt_attach(thread))
    return;
  plat_mutex_lock(&thread->guard);
  if (lt_interrupted(thread))
    lt_thread_poke_to_interrupt(thread, true);
  if (atomic_load(&thread->parker->asked))
    lt_thread_poke(thread, PLAT_POKE_LETS_GO_ON, true);
  plat_mutex_unlock(&thread->guard);
}

/* This OS thread ends, and main states that it has run may go on in another. */
static void end_home(void) {
  plat_mutex_lock(&moving);
  for (lt_Attachment *each = attachments; each != NULL; each = each->next) {
    lt_Thread *thread = atomic_load(&each->thread);
    if (thread != NULL) {
      unlink_attachment(thread);
      lt_repeated_poke_end(thread);
    }
  }
  plat_mutex_unlock(&moving);
  drop_detached();
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
  return plat_poke_setup(interrupt_on_poke, end_home);
}

int lt_interrupt_setup(void) {
  static plat_Once once = PLAT_ONCE_INIT;
  return plat_once(&once, interrupt_set_up);
}

bool lt_interrupt_after_fork(void) {
  bool was_alone = true;
  unsigned runtimes = 0;
  plat_mutex_init(&moving);
  for (lt_Attachment *each = attachments; each != NULL; each = each->next) {
    lt_Thread *thread = atomic_load(&each->thread);
    if (thread != NULL && thread->runtime != NULL) {
      was_alone = lt_runtime_threads_after_fork(thread) && was_alone;
      runtimes++;
    }
  }
  return was_alone && runtimes == lt_runtimes_open();
}
