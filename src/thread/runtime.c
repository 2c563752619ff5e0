/*
** Shared state: see the fields of lt_Runtime and lt_Thread. The guards are held for a few
** instructions, and never while Lua is called.
**
** 'status' of a thread only grows. Idents are given in order and never twice.
*/
#include "src/thread/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/object/cycles.h"
#include "src/object/exception.h"
#include "src/shared/stored_value.h"
#include "src/sync/biased_lock.h"

static atomic_uint_least64_t last_ident;
static atomic_uint open_runtimes;

/*
** Threads
*/

lt_Thread *lt_thread_new(void) {
  lt_Thread *thread = calloc(1, sizeof(*thread));
  if (thread == NULL)
    return NULL;
  thread->parker = lt_parker_new();
  if (thread->parker == NULL) {
    free(thread);
    return NULL;
  }
  atomic_init(&thread->status, LT_UNSTARTED);
  atomic_init(&thread->ident, 0);
  atomic_init(&thread->must_end, false);
  atomic_init(&thread->heard, false);
  atomic_init(&thread->home, NULL);
  plat_mutex_init(&thread->guard);
  lt_traced_init(&thread->traced, &lt_thread_type);
  return thread;
}

static void thread_destroy(lt_Object *object) {
  lt_Thread *thread = (lt_Thread *)object;
  lt_traced_finish(&thread->traced);
  lt_message_free(thread->message);
  if (thread->package != NULL)
    lt_object_release(thread->package);
  lt_message_free(thread->result);
  if (thread->coroutines != NULL)
    lt_coroutines_free(thread->coroutines);
  plat_mutex_destroy(&thread->guard);
  lt_parker_release(thread->parker);
  if (thread->runtime != NULL)
    lt_runtime_release(thread->runtime);
  free(thread);
}

void lt_thread_signal(lt_Thread *thread, int number) {
  plat_mutex_lock(&thread->guard);
  const plat_Target *home = atomic_load(&thread->home);
  if (home != NULL)
    plat_signal_deliver(home->thread, number);
  plat_mutex_unlock(&thread->guard);
}

void lt_thread_name(lt_Thread *thread, char *name) {
  plat_mutex_lock(&thread->guard);
  memcpy(name, thread->name, LT_NAME_BYTES);
  plat_mutex_unlock(&thread->guard);
}

/*
** What a thread has returned refers to things once it is done; it does not change any more then.
*/
static uint64_t runtime_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                 void *context) {
  const lt_Thread *thread = (const lt_Thread *)object;
  bool done = atomic_load(&thread->status) == LT_DONE;
  if (done && thread->result != NULL)
    lt_message_traverse(thread->result, position, visit, context);
  else
    *position = LT_TRAVERSE_END;
  return done;
}

static void runtime_clear(lt_Object *object) {
  lt_Thread *thread = (lt_Thread *)object;
  if (thread->result != NULL)
    lt_message_drop_references(thread->result);
}

static const lt_Tracing thread_tracing = {runtime_traverse, runtime_clear};

lt_Type lt_thread_type = {"_thread._ThreadHandle", NULL, thread_destroy, &thread_tracing};

uint64_t lt_thread_native_id(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  uint64_t native_id = thread->native_id;
  plat_mutex_unlock(&thread->guard);
  return native_id;
}

lt_Thread *lt_thread_of(lua_State *L) {
  lt_context_push(L);
  lt_Context *context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return context == NULL ? NULL : context->thread;
}

lt_Thread *lt_self(lua_State *L) {
  lt_Context *context = lua_touserdata(L, lua_upvalueindex(1));
  if (context == NULL || context->thread == NULL)
    lt_raise(L, &lt_RuntimeError, "the main state of this thread is being closed");
  lt_thread_come_home(context->thread);
  return context->thread;
}

/*
** Runtimes
*/

lt_Runtime *lt_runtime_new(lt_Thread *main) {
  lt_Runtime *runtime = calloc(1, sizeof(*runtime));
  if (runtime == NULL)
    return NULL;
  atomic_init(&runtime->references, 0); /* its threads have them */
  atomic_init(&runtime->stack_size, 0);
  atomic_init(&runtime->deadlocked, false);
  plat_mutex_init(&runtime->guard);
  runtime->is_first = atomic_fetch_add(&open_runtimes, 1) == 0;
  strcpy(main->name, "MainThread");
  main->is_main = true;
  lt_runtime_enter(runtime, main);
  runtime->main_ident = atomic_load(&main->ident);
  return runtime;
}

void lt_runtime_retain(lt_Runtime *runtime) {
  /* Relaxed: who retains already has a reference to go by. */
  atomic_fetch_add_explicit(&runtime->references, 1, memory_order_relaxed);
}

void lt_runtime_release(lt_Runtime *runtime) {
  /* Acquire and release: the last one sees all that the others did before it frees. */
  if (atomic_fetch_sub_explicit(&runtime->references, 1, memory_order_acq_rel) != 1)
    return;
  if (runtime->excepthook != NULL)
    lt_object_release(runtime->excepthook);
  if (runtime->globals != NULL)
    lt_object_release(runtime->globals);
  plat_mutex_destroy(&runtime->guard);
  atomic_fetch_sub(&open_runtimes, 1);
  free(runtime);
}

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

bool lt_runtime_enter(lt_Runtime *runtime, lt_Thread *thread) {
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

/* Nobody can see them any more, and what refers to them would keep them. */
static void clear_globals(lt_Object *globals, lt_Parker *parker) {
  if (globals != NULL)
    globals->type->tracing->clear(globals);
  lt_cycles_collect(parker, NULL);
}

void lt_runtime_leave(lt_Runtime *runtime, lt_Thread *thread, lt_Status status, lt_Worker *worker) {
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
  lt_unpark_all(&thread->status);
  lt_unpark_all(runtime);
  if (clears)
    clear_globals(runtime->globals, thread->parker);
  lt_object_release(&thread->object);
}

lt_Thread **lt_runtime_threads(lt_Runtime *runtime, size_t *count) {
  lt_Thread **threads = NULL;
  size_t needed = lt_runtime_count(runtime) + 1;
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

lt_Thread *lt_runtime_find(lt_Runtime *runtime, uint64_t ident) {
  plat_mutex_lock(&runtime->guard);
  lt_Thread *thread = runtime->threads;
  while (thread != NULL && atomic_load(&thread->ident) != ident)
    thread = thread->next;
  if (thread != NULL)
    lt_object_retain(&thread->object);
  plat_mutex_unlock(&runtime->guard);
  return thread;
}

bool lt_ident_was_given(uint64_t ident) {
  return ident != 0 && ident <= atomic_load(&last_ident);
}

static bool has_others(const lt_Runtime *runtime, const lt_Thread *than, bool daemons_too) {
  const lt_Thread *thread = runtime->threads;
  while (thread != NULL && (thread == than || thread->is_main || (thread->daemon && !daemons_too)))
    thread = thread->next;
  return thread != NULL;
}

bool lt_runtime_has_others(lt_Runtime *runtime, const lt_Thread *than, bool daemons_too) {
  plat_mutex_lock(&runtime->guard);
  bool found = has_others(runtime, than, daemons_too);
  plat_mutex_unlock(&runtime->guard);
  return found;
}

bool lt_runtime_close(lt_Runtime *runtime, const lt_Thread *than, bool at_any_rate) {
  plat_mutex_lock(&runtime->guard);
  runtime->closing = at_any_rate || !has_others(runtime, than, false);
  bool closing = runtime->closing;
  plat_mutex_unlock(&runtime->guard);
  return closing;
}

unsigned lt_runtimes_open(void) {
  return atomic_load(&open_runtimes);
}

bool lt_runtime_after_fork(lt_Thread *survivor) {
  lt_Runtime *runtime = survivor->runtime;
  bool was_alone = survivor->next == NULL && survivor->previous == NULL;
  plat_mutex_init(&runtime->guard);
  for (lt_Thread *thread = runtime->threads; thread != NULL; thread = thread->next) {
    plat_mutex_init(&thread->guard);
    if (thread != survivor) {
      atomic_store(&thread->home, NULL);
      thread->attachment = NULL; /* what it is attached by is left alone, too */
      thread->accepts = false;
      thread->is_main = false;
      atomic_store(&thread->status, LT_DONE);
    }
  }
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

size_t lt_runtime_count(lt_Runtime *runtime) {
  plat_mutex_lock(&runtime->guard);
  size_t count = runtime->count;
  plat_mutex_unlock(&runtime->guard);
  return count;
}
