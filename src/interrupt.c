/*
** A request is a flag in the thread's parker. The one who asks sets it, unparks the thread, and
** pokes it: a handler then runs on that very thread and sets a hook on its coroutines, as lua.c
** does for Ctrl-C. The hook raises. While nobody asks there is no hook.
**
** Shared state: 'reachable' and 'os_thread', under the thread's guard; the flag is atomic.
** 'attached' is of one OS thread, which changes it while its handler may read it.
*/
#include "src/interrupt.h"

#include "src/exception.h"

/* The threads whose states run on this OS thread: several, if a host has several main states. */
static _Thread_local lt_Thread *volatile attached;

static void hook(lua_State *L, lua_Debug *event);

PLAT_IN_HANDLER static void on_poke(void) {
  for (lt_Thread *thread = attached; thread != NULL; thread = thread->next_on_os_thread)
    if (atomic_load(&thread->parker->interrupted) && thread->coroutines != NULL)
      lt_coroutines_arm(thread->coroutines, hook);
}

static void hook(lua_State *L, lua_Debug *event) {
  lt_Thread *thread = lt_thread_of(L);
  (void)event;
  if (thread == NULL)
    lua_sethook(L, NULL, 0, 0);
  else if (lt_interrupted(thread))
    lt_interrupt_raise(L, thread);
  else
    lt_coroutines_disarm(thread->coroutines, L, hook);
}

int lt_interrupt_attach(lt_Thread *thread) {
  int error = plat_poke_setup(on_poke);
  if (error != 0)
    return error;
  thread->next_on_os_thread = attached;
  attached = thread;
  plat_mutex_lock(&thread->guard);
  thread->os_thread = plat_thread_self();
  thread->native_id = plat_native_id();
  thread->reachable = true;
  plat_mutex_unlock(&thread->guard);
  plat_poke_accept();
  return 0;
}

/* A main state may be closed by another OS thread than the one that opened it. */
void lt_interrupt_detach(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  thread->reachable = false;
  plat_mutex_unlock(&thread->guard);
  if (attached == thread) {
    attached = thread->next_on_os_thread;
  } else {
    for (lt_Thread *before = attached; before != NULL; before = before->next_on_os_thread)
      if (before->next_on_os_thread == thread)
        before->next_on_os_thread = thread->next_on_os_thread;
  }
}

void lt_interrupt(lt_Thread *thread) {
  lt_parker_interrupt(thread->parker);
  plat_mutex_lock(&thread->guard);
  if (thread->reachable)
    plat_poke(thread->os_thread);
  plat_mutex_unlock(&thread->guard);
}

bool lt_interrupted(const lt_Thread *thread) {
  return atomic_load(&thread->parker->interrupted);
}

void lt_interrupt_clear(lua_State *L, lt_Thread *thread) {
  atomic_store(&thread->parker->interrupted, false);
  lt_coroutines_disarm(thread->coroutines, L, hook);
}

int lt_interrupt_raise(lua_State *L, lt_Thread *thread) {
  if (!atomic_load(&thread->must_end))
    lt_interrupt_clear(L, thread);
  lt_exception_push(L, &lt_SystemExit, "", 0);
  lt_throw(L);
}
