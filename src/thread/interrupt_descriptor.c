/*
** Shared state: 'pending' and 'pending_is_set' of a thread, under its guard, as the requests are.
*/
#include "src/thread/interrupt_descriptor.h"

void lt_interrupt_show(lt_Thread *thread) {
  bool is_pending = atomic_load(&thread->parker->urgency) != LT_CALM;
  if (!plat_event_is_open(&thread->pending) || is_pending == thread->pending_is_set)
    return;
  if (is_pending)
    plat_event_set(&thread->pending);
  else
    plat_event_clear(&thread->pending);
  thread->pending_is_set = is_pending;
}

int lt_interrupt_descriptor(lt_Thread *thread, int *descriptor) {
  int error = 0;
  plat_mutex_lock(&thread->guard);
  if (!plat_event_is_open(&thread->pending))
    error = plat_event_open(&thread->pending);
  lt_interrupt_show(thread);
  *descriptor = thread->pending.readable;
  plat_mutex_unlock(&thread->guard);
  return error;
}

void lt_interrupt_descriptor_close(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  plat_event_close(&thread->pending);
  thread->pending_is_set = false;
  plat_mutex_unlock(&thread->guard);
}

void lt_interrupt_descriptor_renew(lt_Thread *thread) {
  plat_event_renew(&thread->pending);
  thread->pending_is_set = false;
  lt_interrupt_show(thread);
}
