/*
** Shared state: 'closing', 'threads' and 'count' of a runtime, under its guard, which is held for a
** few instructions, and never while Lua is called. Idents are given in order and never twice.
*/
#include "src/thread/runtime_threads.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/thread/at_exit.h"
#include "src/thread/interrupt_descriptor.h"

static atomic_uint_least64_t last_ident;

static void link_thread(lt_Runtime *runtime, lt_Thread *thread) {
  thread->next = runtime->threads;
  thread->previous = NULL;
  if (thread->next != NULL)
    thread->next->previous = thread;
  runtime->threads = thread;
}

static void unlink_thread(lt_Runtime *runtime, lt_Thread *thread) {
  if (thread->previous != NULL)
    thread->previous->next = thread->next;
  else
    runtime->threads = thread->next;
  if (thread->next != NULL)
    thread->next->previous = thread->previous;
}

bool lt_runtime_threads_enter(lt_Runtime *runtime, lt_Thread *thread) {
  uint64_t ident = atomic_fetch_add(&last_ident, 1) + 1;
  if (thread->name[0] == '\0')
    snprintf(thread->name, LT_NAME_BYTES, "Thread-%llu", (unsigned long long)ident);
  plat_mutex_lock(&runtime->guard);
  bool open = !runtime->closing;
  if (open) {
    link_thread(runtime, thread);
    runtime->count += !thread->is_main;
    lt_object_retain(&thread->object);
    thread->runtime = runtime;
    lt_runtime_retain(runtime);
    atomic_store(&thread->ident, ident);
    plat_mutex_lock(&thread->guard);
    thread->accepts = true;
    plat_mutex_unlock(&thread->guard);
  }
  plat_mutex_unlock(&runtime->guard);
  return open;
}

static void clear_shared(lt_Object *table) {
  if (table != NULL)
    table->type->tracing->clear(table);
}

/* Nobody can see them any more, and what refers to them would keep them. */
static void clear_globals(lt_Runtime *runtime, lt_Parker *parker) {
  lt_at_exit_free(runtime);
  clear_shared(runtime->globals);
  clear_shared(runtime->registry);
  lt_cycles_collect(parker, NULL);
}

void lt_runtime_threads_leave(lt_Runtime *runtime, lt_Thread *thread, lt_ThreadStatus status,
                              lt_Worker *worker) {
  lt_bias_slot_give(thread->slot);
  thread->slot = 0;
  plat_mutex_lock(&runtime->guard);
  unlink_thread(runtime, thread);
  bool clears = runtime->threads == NULL && !runtime->is_forked;
  if (worker != NULL && !clears)
    lt_worker_offer(worker);
  runtime->count -= !thread->is_main;
  atomic_store(&thread->status, status);
  plat_mutex_unlock(&runtime->guard);
  lt_thread_tell_status(thread);
  lt_unpark_all(runtime);
  if (clears)
    clear_globals(runtime, thread->parker);
  lt_object_release(&thread->object);
}

lt_Thread **lt_runtime_threads_list(lt_Runtime *runtime, size_t *count) {
  lt_Thread **threads = NULL;
  size_t needed = lt_runtime_threads_count(runtime) + 1;
  do { /* more of them may start meanwhile */
    size_t capacity = needed + 8;
    free(threads);
    threads = malloc(capacity * sizeof(lt_Thread *));
    if (threads == NULL)
      return NULL;
    *count = 0;
    plat_mutex_lock(&runtime->guard);
    needed = runtime->count + 1;
    if (needed <= capacity) {
      for (lt_Thread *thread = runtime->threads; thread != NULL; thread = thread->next) {
        lt_object_retain(&thread->object);
        threads[(*count)++] = thread;
      }
    }
    plat_mutex_unlock(&runtime->guard);
  } while (*count == 0);
  return threads;
}

lt_Thread *lt_runtime_threads_find(lt_Runtime *runtime, uint64_t ident) {
  plat_mutex_lock(&runtime->guard);
  lt_Thread *thread = runtime->threads;
  while (thread != NULL && atomic_load(&thread->ident) != ident)
    thread = thread->next;
  if (thread != NULL)
    lt_object_retain(&thread->object);
  plat_mutex_unlock(&runtime->guard);
  return thread;
}

bool lt_runtime_threads_had_ident(uint64_t ident) {
  return ident != 0 && ident <= atomic_load(&last_ident);
}

static bool has_other_threads(const lt_Runtime *runtime, const lt_Thread *than, bool daemons_too) {
  const lt_Thread *thread = runtime->threads;
  while (thread != NULL && (thread == than || thread->is_main || (thread->daemon && !daemons_too)))
    thread = thread->next;
  return thread != NULL;
}

bool lt_runtime_threads_has_others(lt_Runtime *runtime, const lt_Thread *than, bool daemons_too) {
  plat_mutex_lock(&runtime->guard);
  bool found = has_other_threads(runtime, than, daemons_too);
  plat_mutex_unlock(&runtime->guard);
  return found;
}

bool lt_runtime_threads_close(lt_Runtime *runtime, const lt_Thread *than, bool at_any_rate) {
  plat_mutex_lock(&runtime->guard);
  runtime->closing = at_any_rate || !has_other_threads(runtime, than, false);
  bool closing = runtime->closing;
  plat_mutex_unlock(&runtime->guard);
  return closing;
}

bool lt_runtime_threads_after_fork(lt_Thread *survivor) {
  lt_Runtime *runtime = survivor->runtime;
  bool was_alone = survivor->next == NULL && survivor->previous == NULL;
  plat_mutex_init(&runtime->guard);
  for (lt_Thread *thread = runtime->threads; thread != NULL; thread = thread->next) {
    plat_mutex_init(&thread->guard);
    plat_mutex_init(&thread->sections.guard);
    lt_parker_end_polling(thread->parker);
    if (thread != survivor) {
      plat_event_close(&thread->pending);
      atomic_store(&thread->home, NULL);
      thread->attachment = NULL; /* what it is attached by is left alone, too */
      thread->accepts = false;
      thread->is_main = false;
      atomic_store(&thread->status, LT_DONE);
    }
  }
  lt_interrupt_descriptor_renew(survivor);
  survivor->next = NULL;
  survivor->previous = NULL;
  survivor->native_id = plat_native_id();
  survivor->is_main = true;
  runtime->main_ident = atomic_load(&survivor->ident);
  runtime->is_forked = runtime->is_forked || !was_alone;
  runtime->threads = survivor;
  runtime->count = 0;
  return was_alone;
}

size_t lt_runtime_threads_count(lt_Runtime *runtime) {
  plat_mutex_lock(&runtime->guard);
  size_t count = runtime->count;
  plat_mutex_unlock(&runtime->guard);
  return count;
}
