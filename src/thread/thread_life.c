/*
** Shared state: see lt_Thread. The starter sets 'status' to STARTING; all that follows is set by
** the thread itself.
**
** A thread ends in this order: its function, its excepthook, its state with all finalizers; then it
** leaves the runtime and is done. So whoever has joined it finds everything closed.
*/
#include "src/thread/thread_life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/base/string_buffer.h"
#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/state/files.h"
#include "src/state/state.h"
#include "src/thread/affinity.h"
#include "src/thread/excepthook.h"
#include "src/thread/home.h"
#include "src/thread/inherited_libraries.h"
#include "src/thread/inherited_package.h"
#include "src/thread/interrupt.h"
#include "src/thread/interrupt_descriptor.h"
#include "src/thread/kept_traceback.h"
#include "src/thread/observer.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/section_list.h"
#include "src/thread/shutdown.h"
#include "src/thread/time_limit.h"
#include "src/thread/wait.h"
#include "src/thread/worker.h"

/*
** Running, on the thread itself
*/

/* They are more than can be packed: in their place an error says so. */
static void refuse_results(lua_State *L, lt_Thread *thread) {
  int count = lua_gettop(L);
  lua_settop(L, 0);
  const char *message =
      lua_pushfstring(L, "too many results (%d) for Lua's stack; return them in one table", count);
  lt_exception_push(L, &lt_ValueError, message, 1);
  lua_replace(L, 1);
  thread->failed = true;
}

static int run_function(lua_State *L) {
  lt_Thread *thread = lua_touserdata(L, 1);
  thread->bottom = run_function;
  lua_settop(L, 0);
  lt_interrupt_replace_sethook(L);
  lt_inherited_package_apply_paths(L, thread->package);
  lt_inherited_libraries_apply(L, thread->libraries);
  lt_inherited_package_apply_preload(L, thread->package);
  int count = lt_unpack(L, thread->message, LT_TAKE_GLOBALS);
  lt_message_free(thread->message);
  thread->message = NULL;
  atomic_store(&thread->status, LT_RUNNING);
  if (lt_interrupted(thread))
    lt_interrupt_deliver(L, thread, 0);
  lua_call(L, count - 1, LUA_MULTRET);
  if (!lt_stack_room(L, lt_working_room(lua_gettop(L))))
    refuse_results(L, thread);
  lt_interrupt_finish(L, thread);
  return lua_gettop(L);
}

static void describe_result(lua_State *L, int value) {
  lua_pushfstring(L, "result[%d]", value + 1);
}

static void describe_error(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "error");
}

/* The thread follows, then the values. */
static int pack_result(lua_State *L) {
  lt_Thread *thread = lua_touserdata(L, 1);
  thread->result = lt_pack(L, lua_gettop(L) - 1, LT_COPY_STRINGS,
                           thread->failed ? describe_error : describe_result);
  return 0;
}

/* An error that can't be transferred, or a result, is replaced by the error that says so. */
static void keep_result(lua_State *L, lt_Thread *thread, int count, bool failed) {
  thread->failed = thread->failed || failed;
  if (!lua_checkstack(L, 8)) {
    thread->failed = true;
  } else if (lt_protected_call(L, pack_result, thread, count, 0) != LUA_OK) {
    thread->failed = true;
    if (lt_protected_call(L, pack_result, thread, 1, 0) != LUA_OK)
      lua_pop(L, 1);
  }
}

static bool ends_silently(lua_State *L, lt_Thread *thread) {
  bool must_exit = atomic_load(&thread->must_end) && !atomic_load(&thread->out_of_time);
  return must_exit || lt_is_subclass(lt_class_of(L, -1), &lt_SystemExit);
}

static void report_error(lua_State *L, lt_Thread *thread) {
  if (!lua_checkstack(L, 8))
    return;
  int error = lua_gettop(L);
  if (!thread->is_quiet && !ends_silently(L, thread)) {
    lt_push_kept_traceback(L);
    lt_excepthook_call(L, thread, error, error + 1);
  }
  lua_settop(L, error);
}

static int deliver(lua_State *L) {
  lt_interrupt_deliver(L, lua_touserdata(L, 1), 0);
  return 0;
}

/*
** A C function that has been broken off by an interrupt may raise an error that says so, which does
** not take the place of the interrupt.
*/
static void prefer_interrupt(lua_State *L, lt_Thread *thread) {
  if (!lt_interrupted(thread) || !lt_files_tells_of_signal(L, -1) || !lua_checkstack(L, 4))
    return;
  thread->bottom = deliver;
  if (lt_protected_call(L, deliver, thread, 0, 0) != LUA_OK)
    lua_replace(L, -2);
}

static void run_state(lua_State *L, lt_Thread *thread) {
  lua_pushcfunction(L, lt_keep_traceback);
  lua_pushcfunction(L, run_function);
  lua_pushlightuserdata(L, thread);
  int status = lua_pcall(L, 1, LUA_MULTRET, 1);
  if (status != LUA_OK)
    prefer_interrupt(L, thread);
  atomic_store(&thread->status, LT_STOPPING);
  lt_time_limit_function_ended(thread);
  lt_interrupt_clear(L, thread, true);
  if (status != LUA_OK)
    report_error(L, thread);
  keep_result(L, thread, status == LUA_OK ? lua_gettop(L) - 1 : 1, status != LUA_OK);
}

/*
** The thread closes its own state; by then it is reached no more. In the child of a fork it may
** have become the main one, with which the others end.
*/
static int forget_thread(lua_State *L) {
  lt_Context *context = lua_touserdata(L, 1);
  if (context->thread != NULL) {
    if (context->thread->is_main)
      lt_shutdown(L, context->thread);
    lt_sections_end_all(context->thread);
    lt_lender_close(&context->lender, context->thread->parker);
    lt_coroutines_close(context->thread->coroutines);
  }
  lt_context_end(L, &context->lender.base);
  context->thread = NULL;
  if (context->pool != NULL)
    lt_pool_closing(context->pool);
  return 0;
}

static void *make_state(void *left) {
  if (left == NULL)
    return lt_state_make(lt_own_modules->loaders, forget_thread, true);
  return lt_state_renew(left) ? left : NULL;
}

static void discard_state(void *kept) {
  lt_state_discard(kept);
}

static const lt_Preparation thread_keep = {make_state, discard_state};

static void run_without_state(lt_Thread *thread) {
  thread->failed = true;
  atomic_store(&thread->status, LT_STOPPING);
  lt_interrupt_clear(NULL, thread, true);
  lt_excepthook_no_memory(thread);
}

/* What the host wants to be done on the OS thread. Here nothing of Lua is running. */
static void tell_host(const lt_Thread *thread, void (*event)(void *context)) {
  if (event != NULL)
    event(thread->runtime->options.context);
}

/* Who has joined the thread may start the next one at once, so leaving offers the worker. */
static void finish(lt_Worker *worker, lt_Thread *thread) {
  lt_time_limit_end(thread);
  lt_home_leave(thread);
  lt_interrupt_forget(thread, true);
  lt_interrupt_descriptor_close(thread);
  lt_parker_end_polling(thread->parker);
  tell_host(thread, thread->runtime->options.on_thread_end);
  lt_observer->thread_ends(thread);
  lt_runtime_threads_leave(thread->runtime, thread, LT_DONE, worker);
  lt_observer->thread_is_over(thread);
  lt_object_release(&thread->object);
}

static void run_thread(lt_Worker *worker, void **kept, void *argument) {
  lt_Thread *thread = argument;
  lt_FreshState *fresh =
      *kept != NULL ? *kept : lt_state_make(lt_own_modules->loaders, forget_thread, false);
  *kept = NULL;
  lt_observer->thread_begins(thread);
  lt_thread_show_name(thread);
  lt_affinity_begin(thread);
  tell_host(thread, thread->runtime->options.on_thread_start);
  if (fresh == NULL) {
    run_without_state(thread);
  } else if (!lt_home_enter(thread)) {
    lt_state_discard(fresh);
    run_without_state(thread);
  } else {
    lt_wait_setup(thread);
    lt_Context *context;
    lua_State *L = lt_state_take(fresh, &context);
    lt_thread_enter_state(thread, context);
    lt_memory_limit_begin(&thread->memory, L, thread->coroutines);
    lt_time_limit_begin(thread);
    run_state(L, thread);
    if (lt_state_close(fresh))
      *kept = fresh;
    lt_memory_limit_end(&thread->memory);
  }
  finish(worker, thread);
}

/*
** Starting, on the thread that starts it
*/

static void describe_argument(lua_State *L, int value) {
  if (value == 0)
    lua_pushliteral(L, "function");
  else
    lua_pushfstring(L, "args[%d]", value);
}

/* What a start has made for the thread, until that has it. */
typedef struct Baggage {
  lt_Message *message;
  lt_Object *package;
  lt_Object *libraries;
} Baggage;

static void drop_baggage(lua_State *L, const Baggage *baggage) {
  if (baggage->message != NULL)
    lt_message_give_back(L, baggage->message);
  lt_message_free(baggage->message);
  if (baggage->package != NULL)
    lt_object_release(baggage->package);
  if (baggage->libraries != NULL)
    lt_object_release(baggage->libraries);
}

/*
** The arguments: a Packing, the chosen globals, if there are any, the function and its arguments.
** What the thread inherits comes first: then it is known which modules it can require.
*/
typedef struct Packing {
  const lt_ThreadStart *start;
  Baggage baggage;
} Packing;

static int pack_counted(lua_State *L) {
  bool unchanged;
  uint64_t modules;
  Packing *packing = lua_touserdata(L, 1);
  const lt_ThreadStart *start = packing->start;
  lt_PackBatch batch = {.globals = start->globals != 0 ? 2 : 0};
  packing->baggage.libraries = lt_inherited_libraries_get(L, &unchanged, &modules);
  packing->baggage.package = lt_inherited_package_get(L, unchanged, modules);
  packing->baggage.message =
      lt_pack_in_batch(L, start->argument_count + 1, LT_LEND_STRINGS, describe_argument, &batch);
  return 0;
}

/* Packs the function and its arguments, which it pops, and gets what the thread inherits. */
static Baggage pack_start(lua_State *L, const lt_ThreadStart *start) {
  Packing packing = {start, {NULL, NULL, NULL}};
  int count = start->argument_count + 1;
  if (start->globals != 0) {
    lt_check_stack(L, 1);
    lua_pushvalue(L, start->globals);
    lua_insert(L, -1 - count++);
  }
  if (lt_protected_call(L, pack_counted, &packing, count, 0) != LUA_OK) {
    drop_baggage(L, &packing.baggage);
    lt_throw(L);
  }
  return packing.baggage;
}

/* Takes back what lt_thread_start has done to the thread. */
static void make_unstarted(lua_State *L, lt_Thread *thread) {
  lt_Runtime *runtime = thread->runtime;
  drop_baggage(L, &(Baggage){thread->message, thread->package, thread->libraries});
  thread->message = NULL;
  thread->package = NULL;
  thread->libraries = NULL;
  free(thread->processors);
  thread->processors = NULL;
  lt_time_limit_end(thread);
  lt_interrupt_clear(L, thread, true);
  thread->runtime = NULL;
  atomic_store(&thread->ident, 0);
  atomic_store(&thread->status, LT_UNSTARTED);
  lt_thread_tell_status(thread);
  if (runtime != NULL)
    lt_runtime_release(runtime);
}

/* A thread that finds its runtime closing is about to be stopped, so it is not told of an error. */
static _Noreturn void refuse_start(lua_State *L, const lt_Thread *self, lt_Thread *thread) {
  make_unstarted(L, thread);
  if (!self->is_main)
    lt_raise(L, &lt_SystemExit, "");
  lt_raise(L, &lt_RuntimeError, "can't start new thread: the main state is being closed");
}

static _Noreturn void start_failed(lua_State *L, lt_Thread *thread, int error) {
  char reason[128];
  plat_describe_error(error, reason, sizeof(reason));
  make_unstarted(L, thread);
  lt_raise(L, &lt_RuntimeError, "can't start new thread: %s", reason);
}

/* NULL: it may run on any. */
static plat_Processors *copy_processors(lua_State *L, const lt_ThreadStart *start,
                                        const Baggage *baggage) {
  if (start->processors == NULL)
    return NULL;
  plat_Processors *copy = malloc(sizeof(*copy));
  if (copy == NULL) {
    drop_baggage(L, baggage);
    lt_raise_memory(L);
  }
  *copy = *start->processors;
  return copy;
}

void lt_thread_start(lua_State *L, lt_Thread *self, const lt_ThreadStart *start) {
  lt_Thread *thread = start->thread;
  int unstarted = LT_UNSTARTED;
  if (lt_thread_status(thread) != LT_UNSTARTED)
    lt_raise(L, &lt_RuntimeError, "thread already started");
  Baggage baggage = pack_start(L, start);
  plat_Processors *processors = copy_processors(L, start, &baggage);
  if (!atomic_compare_exchange_strong(&thread->status, &unstarted, LT_STARTING)) {
    drop_baggage(L, &baggage);
    free(processors);
    lt_raise(L, &lt_RuntimeError, "thread already started");
  }
  thread->message = baggage.message;
  thread->package = baggage.package;
  thread->libraries = baggage.libraries;
  thread->daemon = start->daemon;
  thread->is_quiet = start->is_quiet;
  thread->processors = processors;
  thread->memory.most = start->memory != 0 ? start->memory : self->memory.most;
  thread->memory.left = self->memory.left;
  if (start->name != NULL)
    lt_thread_set_name(thread, start->name);
  int error = lt_time_limit_set(thread, start->time, self);
  if (error != 0)
    start_failed(L, thread, error);
  if (!lt_runtime_threads_enter(self->runtime, thread))
    refuse_start(L, self, thread);
  lt_object_retain(&thread->object);
  lt_observer->thread_starts(self, thread);
  error =
      lt_worker_start(atomic_load(&self->runtime->stack_size), &thread_keep, run_thread, thread);
  if (error != 0) {
    lt_runtime_threads_leave(self->runtime, thread, LT_STARTING, NULL);
    lt_object_release(&thread->object);
    start_failed(L, thread, error);
  }
}

/*
** Joining
*/

#define BETWEEN_LOOKS ((plat_Time)200)

static bool will_be_done(void *context) {
  lt_ThreadStatus status = lt_thread_status(context);
  return status != LT_DONE && status != LT_UNSTARTED;
}

static bool is_done(void *context) {
  return !will_be_done(context);
}

static uint64_t ident_of(void *context) {
  const lt_Thread *thread = context;
  return atomic_load(&thread->ident);
}

static bool spin_for_end(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, is_done, wait->context);
}

lt_Wait lt_thread_join(lt_Thread *thread, plat_Time deadline) {
  return (lt_Wait){.address = &thread->status,
                   .context = thread,
                   .spin = spin_for_end,
                   .validate = will_be_done,
                   .deadline = deadline,
                   .what = "join",
                   .ender = ident_of,
                   .relation = "of"};
}

static bool end_is_seen(const lt_Sight *sight) {
  return is_done(sight->thing);
}

static bool expect_end(const lt_Sight *sight) {
  return will_be_done(sight->thing);
}

lt_Sight lt_thread_sight(lt_Thread *thread) {
  return (lt_Sight){
      .address = &thread->status, .thing = thread, .is_ready = end_is_seen, .announce = expect_end};
}
