/*
** The functions of the module. The methods of its objects are in lib/.
*/
#include "lthread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "lib/libs.h"
#include "src/diagnose/diagnosis.h"
#include "src/shared/shared_table.h"
#include "src/thread/excepthook.h"
#include "src/thread/inherited_package.h"
#include "src/thread/thread_life.h"
#include "src/thread/main_state.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/shutdown.h"
#include "src/thread/wait.h"

static const char module_key;

/*
** Starting threads
*/

/* Pushes the elements 1 to n of the list at 'index'; n is its field 'n' or its length. */
static int push_arguments(lua_State *L, int index) {
  lt_check_type(L, index, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  lua_pushliteral(L, "n");
  if (lua_rawget(L, index) != LUA_TNIL) {
    int is_integer;
    count = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || count < 0)
      lt_arg_error(L, &lt_TypeError, index, "field 'n' must be a count, got %s",
                   luaL_tolstring(L, -1, NULL));
  }
  lua_pop(L, 1);
  if (!lt_make_room(L, count))
    lt_arg_error(L, &lt_ValueError, index,
                 "too many arguments (%I) for Lua's stack; put them into one table", count);
  for (lua_Integer i = 1; i <= count; i++)
    lua_rawgeti(L, index, i);
  return (int)count;
}

/* Pushes the function, its arguments and its keyword arguments, if any; returns their number. */
static int push_call(lua_State *L, int function, int args, int kwargs) {
  lua_pushvalue(L, function);
  int count = lua_isnoneornil(L, args) ? 0 : push_arguments(L, args);
  if (!lua_isnoneornil(L, kwargs)) {
    lt_check_type(L, kwargs, LUA_TTABLE);
    lua_pushvalue(L, kwargs);
    count++;
  }
  return count;
}

/* A list in the place of the options was meant to be the arguments. */
static void check_options(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TTABLE)
    return;
  lua_pushliteral(L, "n");
  if (lua_rawget(L, arg) != LUA_TNIL || lua_rawlen(L, arg) > 0)
    lt_arg_error(L, &lt_TypeError, arg,
                 "the function's arguments go into the field args: {args = {1, 2}}");
  lua_pop(L, 1);
}

static lt_Thread *push_new_thread(lua_State *L) {
  lt_Thread *thread = lt_thread_new();
  if (thread == NULL)
    lt_raise_memory(L);
  lt_object_push_own(L, &thread->object);
  return thread;
}

/*
** start_new_thread(f, args [, kwargs]) -> ident
** Calls f(args[1], ..., args[n] [, kwargs]) in a new thread, a daemon, with a state of its own.
** n is args.n or #args. f, the arguments and what f names are copied. Returns the ident of the
** thread. Raises TypeError for wrong arguments and what can't be transferred, RuntimeError
** "can't start new thread". Also start_new. Follows _thread.start_new_thread.
*/
static int start_new_thread(lua_State *L) {
  lt_Thread *self = lt_self(L);
  lt_check_callable(L, 1);
  lt_check_type(L, 2, LUA_TTABLE);
  if (!lua_isnoneornil(L, 3))
    lt_check_type(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lt_ThreadStart start = {.daemon = true};
  start.thread = push_new_thread(L);
  start.argument_count = push_call(L, 1, 2, 3);
  lt_thread_start(L, self, &start);
  lua_pushinteger(L, (lua_Integer)atomic_load(&start.thread->ident));
  return 1;
}

/*
** start_joinable_thread(f [, handle [, daemon = true]]) -> handle
** start_joinable_thread(f, {args=, kwargs=, handle=, daemon=, name=}) -> handle
** As start_new_thread, but returns a handle to join the thread with. 'handle' is an unstarted
** one to be used for it. A thread that is not a daemon is waited for when the main state closes.
** 'name' is what the thread is called. Raises as start_new_thread, and RuntimeError "thread
** already started". Follows _thread.start_joinable_thread.
*/
static int start_joinable_thread(lua_State *L) {
  static const char *const names[] = {"handle", "daemon", "args", "kwargs", "name", NULL};
  enum { F = 1, HANDLE, DAEMON, ARGS, KWARGS, NAME };
  lt_Thread *self = lt_self(L);
  lt_check_callable(L, F);
  check_options(L, HANDLE);
  lt_spread_keywords(L, HANDLE, names);
  lua_settop(L, NAME + LT_KEYWORD_VALUES);
  lt_ThreadStart start = {.daemon = lt_opt_flag(L, DAEMON, true)};
  if (!lua_isnil(L, NAME))
    start.name = lt_check_string(L, NAME, NULL);
  if (lua_isnil(L, HANDLE)) {
    start.thread = push_new_thread(L);
    lua_replace(L, HANDLE);
  } else {
    start.thread = (lt_Thread *)lt_check_object(L, HANDLE, &lt_thread_type);
  }
  start.argument_count = push_call(L, F, ARGS, KWARGS);
  lt_thread_start(L, self, &start);
  lua_settop(L, HANDLE);
  return 1;
}

/*
** _make_thread_handle(ident) -> handle
** A handle of the thread with this ident; if it has ended, one that is done. Raises ValueError
** if no thread ever had it. Follows _thread._make_thread_handle.
*/
static int make_thread_handle(lua_State *L) {
  lua_Integer ident = lt_check_integer(L, 1);
  lt_Thread *thread = lt_runtime_threads_find(lt_self(L)->runtime, (uint64_t)ident);
  if (thread == NULL) {
    if (!lt_runtime_threads_had_ident((uint64_t)ident))
      return lt_arg_error(L, &lt_ValueError, 1, "no thread has the ident %I", ident);
    thread = lt_thread_new();
    if (thread == NULL)
      return lt_raise_memory(L);
    atomic_store(&thread->ident, (uint64_t)ident);
    atomic_store(&thread->status, LT_DONE);
  }
  lt_object_push_own(L, &thread->object);
  return 1;
}

/*
** stack_size([size]) -> previous size
** The size in bytes of the stacks of threads that are started from now on: 0 for the default or at
** least 32768. Without an argument it stays. Raises ValueError for another size or one that the
** system refuses, TypeError if it is no integer. Follows _thread.stack_size.
*/
static int stack_size(lua_State *L) {
  static const lua_Integer smallest = 32768;
  atomic_size_t *current = &lt_self(L)->runtime->stack_size;
  lua_Integer previous = (lua_Integer)atomic_load(current);
  if (!lua_isnoneornil(L, 1)) {
    lua_Integer size = lt_check_integer(L, 1);
    if (size != 0 && size < smallest)
      return lt_arg_error(L, &lt_ValueError, 1,
                          "size not valid: %I bytes, it must be 0 for the default or at least %I",
                          size, smallest);
    if ((uint64_t)size > SIZE_MAX || !plat_stack_size_valid((size_t)size))
      return lt_arg_error(L, &lt_ValueError, 1, "size not valid: the system refuses %I bytes",
                          size);
    previous = (lua_Integer)atomic_exchange(current, (size_t)size);
  }
  lua_pushinteger(L, previous);
  return 1;
}

/*
** Identity
*/

/*
** get_ident() -> integer. The calling thread's ident; it is never given again. Follows
** _thread.get_ident.
*/
static int get_ident(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)atomic_load(&lt_self(L)->ident));
  return 1;
}

/*
** get_native_id() -> integer. The calling thread's id in the system. Follows
** _thread.get_native_id.
*/
static int get_native_id(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)plat_native_id());
  return 1;
}

/* _get_main_thread_ident() -> integer. Follows _thread._get_main_thread_ident. */
static int get_main_thread_ident(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lt_self(L)->runtime->main_ident);
  return 1;
}

/* _count() -> integer. How many threads there are besides the main one. Follows _thread._count. */
static int count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lt_runtime_threads_count(lt_self(L)->runtime));
  return 1;
}

/*
** set_name(name)
** Names the calling thread, for diagnostics and for the system, which may show less of it. Raises
** ValueError if it contains a zero byte. Follows _thread.set_name.
*/
static int set_name(lua_State *L) {
  lt_Thread *self = lt_self(L);
  lt_thread_set_name(self, lt_check_string(L, 1, NULL));
  return 0;
}

static const char *state_name(lt_Thread *thread) {
  switch (lt_thread_status(thread)) {
  case LT_UNSTARTED:
  case LT_STARTING:
    return "starting";
  case LT_RUNNING:
    return atomic_load(&thread->parker->waiting) != NULL ? "blocked" : "running";
  case LT_STOPPING:
  case LT_DONE: /* the main thread, while it waits for the others */
    break;
  }
  return "stopping";
}

static void push_thread_info(lua_State *L, lt_Thread *thread) {
  char name[LT_NAME_BYTES];
  lt_thread_name(thread, name);
  uint64_t native_id = lt_thread_native_id(thread);
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, (lua_Integer)atomic_load(&thread->ident));
  lua_setfield(L, -2, "ident");
  if (native_id != 0) {
    lua_pushinteger(L, (lua_Integer)native_id);
    lua_setfield(L, -2, "native_id");
  }
  lua_pushstring(L, name);
  lua_setfield(L, -2, "name");
  lua_pushboolean(L, thread->daemon);
  lua_setfield(L, -2, "daemon");
  lua_pushstring(L, state_name(thread));
  lua_setfield(L, -2, "state");
}

typedef struct Threads {
  lt_Thread **list;
  size_t count;
} Threads;

static int push_infos(lua_State *L) {
  const Threads *threads = lua_touserdata(L, 1);
  lua_createtable(L, (int)threads->count, 0);
  for (size_t i = 0; i < threads->count; i++) {
    push_thread_info(L, threads->list[threads->count - 1 - i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*
** enumerate() -> list
** One table for each thread that is alive, {ident=, native_id=, name=, daemon=, state=}, in the
** order in which they were started, the main thread first. 'state' is "starting", "running",
** "blocked" (in a wait of this library) or "stopping". Follows threading.enumerate.
*/
static int enumerate(lua_State *L) {
  Threads threads;
  threads.list = lt_runtime_threads_list(lt_self(L)->runtime, &threads.count);
  if (threads.list == NULL)
    return lt_raise_memory(L);
  int status = lt_protected_call(L, push_infos, &threads, 0, 1);
  for (size_t i = 0; i < threads.count; i++)
    lt_object_release(&threads.list[i]->object);
  free(threads.list);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* daemon_threads_allowed() -> true. Follows _thread.daemon_threads_allowed. */
static int daemon_threads_allowed(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

/*
** _is_main_interpreter() -> boolean
** Whether this runtime was the only one in the process when it began. Follows
** _thread._is_main_interpreter.
*/
static int is_main_interpreter(lua_State *L) {
  lua_pushboolean(L, lt_self(L)->runtime->is_first);
  return 1;
}

/* cpu_count() -> integer. How many processors the process may use. Follows os.process_cpu_count. */
static int cpu_count(lua_State *L) {
  lua_pushinteger(L, plat_cpu_count());
  return 1;
}

/*
** Ending
*/

/*
** exit()
** Raises SystemExit, which ends the thread silently. Raises TypeError if there are arguments. Also
** exit_thread. Follows _thread.exit.
*/
static int exit_thread(lua_State *L) {
  int count = lua_gettop(L);
  if (count > 0)
    return lt_raise(L, &lt_TypeError, "exit takes no arguments (%d given)", count);
  return lt_raise(L, &lt_SystemExit, "");
}

/*
** _shutdown()
** Waits for all threads that are not daemons, but for the calling one. Follows _thread._shutdown.
*/
static int shutdown(lua_State *L) {
  lt_shutdown_wait(L, lt_self(L));
  return 0;
}

/*
** _excepthook(args)
** Writes what the fields exc_type, exc_value, exc_traceback and thread of args say to the error
** stream; nothing if the type is SystemExit. This is what happens to an uncaught error in a thread
** by default. Follows _thread._excepthook.
*/
static int excepthook(lua_State *L) {
  lt_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "exc_type");
  if (lt_is_subclass((lt_Class *)lt_object_of_type(L, 2, &lt_class_type), &lt_SystemExit))
    return 0;
  lua_settop(L, 1);
  return lt_excepthook_default(L);
}

/*
** set_excepthook(f)
** From now on an error that nobody catches in a thread of this runtime calls a copy of f, in that
** thread, with a table {exc_type=, exc_value=, exc_traceback=, thread=}. nil restores the
** default. Raises TypeError for what is no function or can't be transferred. Follows setting
** threading.excepthook.
*/
static int set_excepthook(lua_State *L) {
  lt_Thread *self = lt_self(L);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1))
    lt_check_callable(L, 1);
  lt_excepthook_set(L, self->runtime);
  return 0;
}

/*
** _ExceptHookArgs{type, value, traceback, thread} -> args
** The argument of an excepthook: the same values by the names exc_type, exc_value,
** exc_traceback, thread. Follows _thread._ExceptHookArgs.
*/
static int except_hook_args(lua_State *L) {
  lt_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lt_excepthook_args(L);
  return 1;
}

/*
** Time
*/

/*
** sleep(seconds)
** Waits for so many seconds; with 0 it lets others run. Raises ValueError if they are negative or
** NaN, OverflowError beyond TIMEOUT_MAX. Follows time.sleep.
*/
static int sleep_thread(lua_State *L) {
  lt_Thread *self = lt_self(L);
  plat_Time span = lt_check_span(L, 1);
  if (span < 0)
    return lt_arg_error(L, &lt_ValueError, 1, "sleep length must be non-negative, got %f",
                        lua_tonumber(L, 1));
  lt_Wait wait = {.address = self, .deadline = lt_opt_deadline(L, 1), .what = "sleep"};
  if (span == 0)
    plat_yield();
  lt_wait(L, self, &wait);
  return 0;
}

/* monotonic() -> seconds, a float. Of a clock that never goes back. Follows time.monotonic. */
static int monotonic(lua_State *L) {
  lua_pushnumber(L, (lua_Number)plat_now() / (lua_Number)PLAT_SECOND);
  return 1;
}

/*
** Opening
*/

static const luaL_Reg functions[] = {{"start_new_thread", start_new_thread},
                                     {"start_new", start_new_thread},
                                     {"start_joinable_thread", start_joinable_thread},
                                     {"_make_thread_handle", make_thread_handle},
                                     {"stack_size", stack_size},
                                     {"get_ident", get_ident},
                                     {"get_native_id", get_native_id},
                                     {"_get_main_thread_ident", get_main_thread_ident},
                                     {"_count", count},
                                     {"set_name", set_name},
                                     {"enumerate", enumerate},
                                     {"daemon_threads_allowed", daemon_threads_allowed},
                                     {"_is_main_interpreter", is_main_interpreter},
                                     {"cpu_count", cpu_count},
                                     {"exit", exit_thread},
                                     {"exit_thread", exit_thread},
                                     {"_shutdown", shutdown},
                                     {"_excepthook", excepthook},
                                     {"set_excepthook", set_excepthook},
                                     {"_ExceptHookArgs", except_hook_args},
                                     {"allocate_lock", lt_allocate_lock},
                                     {"allocate", lt_allocate_lock},
                                     {"isinstance", lt_isinstance},
                                     {"sleep", sleep_thread},
                                     {"monotonic", monotonic},
                                     {NULL, NULL}};

static void set_class(lua_State *L, lt_Class *class_object, const char *name) {
  lt_object_push(L, &class_object->object);
  lua_setfield(L, -2, name);
}

static void push_module(lua_State *L) {
  lua_createtable(L, 0, 56);
  lt_set_functions(L, functions);
  lt_set_functions(L, lt_interrupt_functions);
  lt_set_functions(L, lt_shared_functions);
  lt_exception_classes(L);
  set_class(L, &lt_RuntimeError, "error");
  set_class(L, &lt_LockType, "LockType");
  set_class(L, &lt_LockType, "lock");
  set_class(L, &lt_RLockType, "RLock");
  set_class(L, &lt_LocalType, "_local");
  set_class(L, &lt_HandleType, "_ThreadHandle");
  set_class(L, &lt_SharedType, "shared");
  lt_object_push(L, lt_thread_of(L)->runtime->globals);
  lua_setfield(L, -2, "globals");
  lua_pushnumber(L, LT_TIMEOUT_MAX);
  lua_setfield(L, -2, "TIMEOUT_MAX");
}

static int open_module(lua_State *L);
static int open_queue_module(lua_State *L);

/*
** luaopen_lthread leads to the first copy of this library in the process, open_module to this one.
*/
static bool is_own_loader(lua_CFunction loader) {
  return loader == luaopen_lthread || loader == luaopen_lthread_queue || loader == open_module ||
         loader == open_queue_module;
}

static const luaL_Reg own_loaders[] = {{"lthread", open_module},
                                       {"_thread", open_module},
                                       {"lthread.queue", open_queue_module},
                                       {NULL, NULL}};
static const lt_OwnModules own_modules = {own_loaders, is_own_loader};

/* Gives the floors below what they are not to know. */
static int join_floors(void) {
  lt_observer = &lt_diagnosis;
  lt_class_type.face = &lt_class_face;
  lt_thread_type.face = &lt_handle_face;
  lt_shared_table_type.face = &lt_shared_face;
  lt_own_modules = &own_modules;
  return 0;
}

/* In a program that is linked with the library there is no other way to find it. */
static void preload_queue(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_queue_module);
  lua_setfield(L, -2, "lthread.queue");
  lua_pop(L, 1);
}

static int open_module(lua_State *L) {
  static plat_Once once = PLAT_ONCE_INIT;
  luaL_checkversion(L);
  if (lt_thread_of(L) == NULL) {
    plat_once(&once, join_floors);
    lt_main_state_open(L);
    preload_queue(L);
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE)
    return 1;
  lua_pop(L, 1);
  push_module(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
  return 1;
}

static int open_queue_module(lua_State *L) {
  luaL_requiref(L, "lthread", open_module, 0);
  lua_pop(L, 1);
  lt_push_queue_module(L);
  return 1;
}

int luaopen_lthread(lua_State *L) {
  return open_module(L);
}

int luaopen_lthread_queue(lua_State *L) {
  return open_queue_module(L);
}
