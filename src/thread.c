/*
** Shared state: see lt_Thread. Each 'status' but the first is set by one thread only: STARTING
** by the one who starts it, the others by the thread itself.
**
** A thread ends in this order: its function, its excepthook, its state with all finalizers; then it
** leaves the runtime and is done. So who has joined it finds everything closed.
*/
#include "src/thread.h"

#include <stdio.h>
#include <string.h>

#include "lthread.h"
#include "src/excepthook.h"
#include "src/exception.h"
#include "src/interrupt.h"
#include "src/state.h"

static const char traceback_key;

/* Where things lie on the stack of a thread's body. */
enum { PATH = 1, CPATH, PRELOAD, FUNCTION };

/*
** Running, on the thread itself
*/

static void set_package_field(lua_State *L, int value, const char *field) {
  if (!lua_isnil(L, value)) {
    lua_pushvalue(L, value);
    lua_setfield(L, -2, field);
  }
}

/* Before the function is unpacked, which may require modules. Leaves the three values in their
 * places. */
static void inherit_package(lua_State *L, const lt_Thread *thread) {
  lt_unpack(L, thread->package, LT_KEEP);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  set_package_field(L, PATH, "path");
  set_package_field(L, CPATH, "cpath");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushnil(L);
  while (lua_istable(L, PRELOAD) && lua_next(L, PRELOAD)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_settop(L, PRELOAD);
}

static int body(lua_State *L) {
  lt_Thread *thread = lua_touserdata(L, 1);
  thread->bottom = body;
  lua_settop(L, 0);
  lt_state_open(L, thread, luaopen_lthread);
  lt_interrupt_replace_sethook(L);
  inherit_package(L, thread);
  int top = FUNCTION + lt_unpack(L, thread->message, LT_OVERRIDE) - 1;
  lt_message_free(thread->message);
  thread->message = NULL;
  atomic_store(&thread->status, LT_RUNNING);
  if (lt_interrupted(thread))
    lt_interrupt_deliver(L, thread, 0);
  lua_call(L, top - FUNCTION, LUA_MULTRET);
  lt_interrupt_finish(L, thread);
  return lua_gettop(L) - FUNCTION + 1;
}

/* Keeps the traceback aside, because the error may be any value. */
static int keep_traceback(lua_State *L) {
  luaL_traceback(L, L, NULL, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
  return 1;
}

static void describe_result(lua_State *L, int value) {
  lua_pushfstring(L, "result[%d]", value + 1);
}

/* The message follows, then the values. */
static int pack_result(lua_State *L) {
  lt_Message **result = lua_touserdata(L, 1);
  *result = lt_pack(L, lua_gettop(L) - 1, describe_result);
  return 0;
}

/* Pops the values. On failure leaves the error in their place. */
static bool try_pack_result(lua_State *L, lt_Thread *thread, int count) {
  lua_pushcfunction(L, pack_result);
  lua_insert(L, -1 - count);
  lua_pushlightuserdata(L, &thread->result);
  lua_insert(L, -1 - count);
  return lua_pcall(L, count + 1, 0, 0) == LUA_OK;
}

/* An error that can't be transferred, or a result, is replaced by the error that says so. */
static void keep_result(lua_State *L, lt_Thread *thread, int count, bool failed) {
  thread->failed = failed;
  if (!lua_checkstack(L, 8)) {
    thread->failed = true;
  } else if (!try_pack_result(L, thread, count)) {
    thread->failed = true;
    if (!try_pack_result(L, thread, 1))
      lua_pop(L, 1);
  }
}

static bool ends_silently(lua_State *L, lt_Thread *thread) {
  return atomic_load(&thread->must_end) || lt_is_subclass(lt_class_of(L, -1), &lt_SystemExit);
}

static void report_error(lua_State *L, lt_Thread *thread) {
  if (!lua_checkstack(L, 8))
    return;
  int error = lua_gettop(L);
  if (!ends_silently(L, thread)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &traceback_key);
    lt_excepthook_call(L, thread, error, error + 1);
  }
  lua_settop(L, error);
}

static void run_state(lua_State *L, lt_Thread *thread) {
  lua_pushcfunction(L, keep_traceback);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, thread);
  int status = lua_pcall(L, 1, LUA_MULTRET, 1);
  atomic_store(&thread->status, LT_STOPPING);
  lt_interrupt_clear(L, thread, true);
  if (status != LUA_OK)
    report_error(L, thread);
  keep_result(L, thread, status == LUA_OK ? lua_gettop(L) - 1 : 1, status != LUA_OK);
  lua_close(L);
}

static void finish(lt_Thread *thread) {
  lt_Runtime *runtime = thread->runtime;
  lt_runtime_leave(runtime, thread, LT_DONE);
  lt_object_release(&thread->object);
}

static void show_name(lt_Thread *thread) {
  char shown[PLAT_NAME_BYTES] = "";
  plat_mutex_lock(&thread->guard);
  memcpy(shown, thread->name, sizeof(shown) - 1);
  plat_mutex_unlock(&thread->guard);
  plat_set_thread_name(shown);
}

static void run(void *argument) {
  lt_Thread *thread = argument;
  show_name(thread);
  lua_State *L = luaL_newstate();
  if (L != NULL && lt_interrupt_attach(thread) == 0) {
    run_state(L, thread);
  } else {
    thread->failed = true;
    lt_interrupt_clear(L, thread, true);
    lt_excepthook_no_memory(thread);
    if (L != NULL)
      lua_close(L);
  }
  lt_interrupt_detach(thread);
  finish(thread);
}

void lt_thread_set_name(lt_Thread *thread, const char *name) {
  plat_mutex_lock(&thread->guard);
  snprintf(thread->name, LT_NAME_BYTES, "%s", name);
  bool own = thread->reachable && pthread_equal(thread->os_thread, plat_thread_self());
  plat_mutex_unlock(&thread->guard);
  if (own)
    show_name(thread);
}

/*
** Starting, on the thread that starts it
*/

static int try_pack(lua_State *L) {
  lt_message_free(lt_pack(L, 1, NULL));
  return 0;
}

/*
** A copy of package.preload, or nil if there is nothing in it. What can't be transferred is left
** out: the thread may never want it.
*/
static void push_preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  int preload = lua_gettop(L);
  lua_pushnil(L);
  int copy = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, preload)) {
    lua_pushcfunction(L, try_pack);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
      if (lua_isnil(L, copy)) {
        lua_newtable(L);
        lua_replace(L, copy);
      }
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, copy);
    } else if (lt_ends_thread(L, -1)) {
      lt_throw(L);
    } else {
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_remove(L, preload);
}

static void describe_argument(lua_State *L, int value) {
  if (value == 0)
    lua_pushliteral(L, "function");
  else
    lua_pushfstring(L, "args[%d]", value);
}

static void push_package_string(lua_State *L, const char *field) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  if (lua_istable(L, -1)) {
    lua_pushstring(L, field);
    lua_rawget(L, -2);
  }
  lua_replace(L, -3);
  lua_settop(L, -2);
  if (lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

static lt_Message *pack_package(lua_State *L) {
  luaL_checkstack(L, 16, "too many values");
  push_package_string(L, "path");
  push_package_string(L, "cpath");
  push_preload(L);
  return lt_pack(L, 3, NULL);
}

static int pack_package_protected(lua_State *L) {
  *(lt_Message **)lua_touserdata(L, 1) = pack_package(L);
  return 0;
}

/* Packs the function and its arguments, which it pops, and what the thread inherits. */
static void pack_start(lua_State *L, int argument_count, lt_Message **message,
                       lt_Message **package) {
  *message = lt_pack(L, argument_count + 1, describe_argument);
  lua_pushcfunction(L, pack_package_protected);
  lua_pushlightuserdata(L, package);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lt_message_free(*message);
    lt_throw(L);
  }
}

static void free_messages(lt_Thread *thread) {
  lt_message_free(thread->message);
  lt_message_free(thread->package);
  thread->message = NULL;
  thread->package = NULL;
}

/* Takes back what lt_thread_start has done to the thread. */
static void make_unstarted(lua_State *L, lt_Thread *thread) {
  lt_Runtime *runtime = thread->runtime;
  free_messages(thread);
  lt_interrupt_clear(L, thread, true);
  thread->runtime = NULL;
  atomic_store(&thread->ident, 0);
  atomic_store(&thread->status, LT_UNSTARTED);
  lt_unpark_all(&thread->status);
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

void lt_thread_start(lua_State *L, const lt_Thread *self, const lt_Start *start) {
  lt_Thread *thread = start->thread;
  int unstarted = LT_UNSTARTED;
  if (lt_thread_status(thread) != LT_UNSTARTED)
    lt_raise(L, &lt_RuntimeError, "thread already started");
  lt_Message *message = NULL;
  lt_Message *package = NULL;
  pack_start(L, start->argument_count, &message, &package);
  if (!atomic_compare_exchange_strong(&thread->status, &unstarted, LT_STARTING)) {
    lt_message_free(message);
    lt_message_free(package);
    lt_raise(L, &lt_RuntimeError, "thread already started");
  }
  thread->message = message;
  thread->package = package;
  thread->daemon = start->daemon;
  if (start->name != NULL)
    lt_thread_set_name(thread, start->name);
  if (!lt_runtime_enter(self->runtime, thread))
    refuse_start(L, self, thread);
  lt_object_retain(&thread->object);
  int error = plat_thread_start(atomic_load(&self->runtime->stack_size), run, thread);
  if (error != 0) {
    lt_runtime_leave(self->runtime, thread, LT_STARTING);
    lt_object_release(&thread->object);
    start_failed(L, thread, error);
  }
}

/*
** Joining
*/

static bool will_be_done(void *context) {
  lt_Status status = lt_thread_status(context);
  return status != LT_DONE && status != LT_UNSTARTED;
}

static uint64_t ident_of(void *context) {
  const lt_Thread *thread = context;
  return atomic_load(&thread->ident);
}

lt_Parked lt_thread_join(lt_Thread *thread, lt_Parker *parker, plat_Time deadline) {
  const lt_Wait wait = {.address = &thread->status,
                        .validate = will_be_done,
                        .context = thread,
                        .deadline = deadline,
                        .what = "join",
                        .ender = ident_of,
                        .relation = "of"};
  return lt_park(parker, &wait, NULL);
}
