/*
** Which of its threads an OS thread runs now is what the poke that it gets is for.
**
** Shared state: 'home' and 'attachment' of a thread, under its guard. 'attachments' belongs to one
** OS thread, which changes it while its handler may read it; which thread an attachment stands for
** is changed under 'moving', within which a thread's guard may be taken.
*/
#include "src/thread/home.h"

#include <stdlib.h>

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

PLAT_IN_HANDLER static void visit_attachment(lt_Attachment *attachment, lt_VisitHome visit) {
  atomic_fetch_add(&attachment->in_handlers, 1);
  lt_Thread *thread = atomic_load(&attachment->thread);
  if (thread != NULL)
    visit(thread);
  atomic_fetch_sub(&attachment->in_handlers, 1);
}

PLAT_IN_HANDLER void lt_home_each(void *place, lt_VisitHome visit) {
  lt_Attachment *volatile *of_thread = place;
  for (lt_Attachment *each = of_thread == NULL ? NULL : *of_thread; each != NULL; each = each->next)
    visit_attachment(each, visit);
}

/* With several it is not known which of them runs. */
lt_Thread *lt_home_thread(void) {
  lt_Thread *found = NULL;
  for (lt_Attachment *each = attachments; each != NULL; each = each->next) {
    lt_Thread *thread = atomic_load(&each->thread);
    if (thread != NULL && found != NULL)
      return NULL;
    if (thread != NULL)
      found = thread;
  }
  return found;
}

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

bool lt_home_enter(lt_Thread *thread) {
  lt_Attachment *attachment = find_attachment();
  if (attachment == NULL || plat_poke_accept((void *)&attachments) != 0)
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
void lt_home_leave(lt_Thread *thread) {
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
  lt_home_leave(thread);
  if (!lt_home_enter(thread))
    return;
  plat_mutex_lock(&thread->guard);
  if (lt_interrupted(thread))
    lt_thread_poke_to_interrupt(thread, true);
  if (atomic_load(&thread->parker->asked))
    lt_thread_poke(thread, PLAT_POKE_LETS_GO_ON, true);
  plat_mutex_unlock(&thread->guard);
}

/* This OS thread ends, and main states that it has run may go on in another. */
void lt_home_end(void) {
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

bool lt_home_after_fork(void) {
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
