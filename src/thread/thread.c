/*
** Shared state: see the fields of lt_Thread. Its guard is held for a few instructions, and never
** while Lua is called. 'status' only grows.
*/
#include "src/thread/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/string_buffer.h"
#include "src/object/exception.h"
#include "src/shared/stored_value.h"

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
  atomic_init(&thread->out_of_time, false);
  atomic_init(&thread->exit_taken, LT_NOT_TAKEN);
  atomic_init(&thread->heard, false);
  atomic_init(&thread->shields, 0);
  atomic_init(&thread->home, NULL);
  plat_mutex_init(&thread->guard);
  plat_mutex_init(&thread->sections.guard);
  atomic_init(&thread->sections.innermost, NULL);
  atomic_init(&thread->sections.place, LT_PLACE_UNKNOWN);
  atomic_init(&thread->sections.have_wake, false);
  thread->pending = (plat_Event)PLAT_NO_EVENT;
  lt_traced_init(&thread->traced, &lt_thread_type);
  return thread;
}

static void thread_destroy(lt_Object *object) {
  lt_Thread *thread = (lt_Thread *)object;
  lt_traced_finish(&thread->traced);
  lt_message_free(thread->message);
  if (thread->package != NULL)
    lt_object_release(thread->package);
  if (thread->libraries != NULL)
    lt_object_release(thread->libraries);
  lt_message_free(thread->result);
  if (thread->coroutines != NULL)
    lt_coroutines_free(thread->coroutines);
  plat_event_close(&thread->pending);
  plat_mutex_destroy(&thread->guard);
  plat_mutex_destroy(&thread->sections.guard);
  free(thread->processors);
  lt_parker_release(thread->parker);
  if (thread->runtime != NULL)
    lt_runtime_release(thread->runtime);
  free(thread);
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

bool lt_thread_signal(lt_Thread *thread, int number) {
  bool can_deliver = true;
  plat_mutex_lock(&thread->guard);
  const plat_Target *home = atomic_load(&thread->home);
  if (home != NULL)
    can_deliver = plat_signal_deliver(home->thread, number);
  plat_mutex_unlock(&thread->guard);
  return can_deliver;
}

void lt_thread_poke(lt_Thread *thread, plat_Poke poke, bool again) {
  plat_Target *home = atomic_load(&thread->home);
  if (home != NULL)
    plat_poke(home, poke, again);
}

/*
** Name and id
*/

void lt_thread_show_name(lt_Thread *thread) {
  char shown[PLAT_NAME_BYTES] = "";
  plat_mutex_lock(&thread->guard);
  memcpy(shown, thread->name,
         lt_string_buffer_fit(thread->name, strlen(thread->name), sizeof(shown) - 1));
  plat_mutex_unlock(&thread->guard);
  plat_set_thread_name(shown);
}

void lt_thread_set_name(lt_Thread *thread, const char *name) {
  size_t length = lt_string_buffer_fit(name, strlen(name), LT_NAME_BYTES - 1);
  plat_mutex_lock(&thread->guard);
  memcpy(thread->name, name, length);
  thread->name[length] = '\0';
  bool own = atomic_load(&thread->home) == &plat_own_target;
  plat_mutex_unlock(&thread->guard);
  if (own)
    lt_thread_show_name(thread);
}

void lt_thread_name(lt_Thread *thread, char *name) {
  plat_mutex_lock(&thread->guard);
  memcpy(name, thread->name, LT_NAME_BYTES);
  plat_mutex_unlock(&thread->guard);
}

uint64_t lt_thread_native_id(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  uint64_t native_id = thread->native_id;
  plat_mutex_unlock(&thread->guard);
  return native_id;
}

/*
** Threads and states
*/

void lt_thread_enter_state(lt_Thread *thread, lt_Context *context) {
  thread->coroutines = context->coroutines;
  context->coroutines = NULL;
  thread->slot = lt_bias_slot_take();
  context->thread = thread;
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
