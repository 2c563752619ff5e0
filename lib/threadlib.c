/*
** The functions of the module that start threads, and that tell who they are.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "src/base/protected_call.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/thread_life.h"

/*
** Starting threads
*/

/* Pushes the elements of the list at 'index'. */
static int push_arguments(lua_State *L, int index) {
  lua_Integer count = lt_check_list(L, index);
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

/* The length of a list says nothing where it begins with nil. */
static bool has_position(lua_State *L, int table) {
  bool found = false;
  lua_pushnil(L);
  while (!found && lua_next(L, table)) {
    found = lua_isinteger(L, -2);
    lua_pop(L, found ? 2 : 1);
  }
  return found;
}

/* A list in the place of the options was meant to be the arguments. */
static void check_options(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TTABLE)
    return;
  lua_pushliteral(L, "n");
  if (lua_rawget(L, arg) != LUA_TNIL || has_position(L, arg))
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

/* The option 'memory', in bytes; 0: there is none. A thread has no more than who starts it. */
static size_t opt_memory(lua_State *L, const lt_Thread *self, int arg) {
  if (lua_isnoneornil(L, arg))
    return 0;
  lua_Integer bytes = lt_check_integer(L, arg);
  if (bytes <= 0)
    lt_arg_error(L, &lt_ValueError, arg, "memory must be positive, got %I bytes", bytes);
  if (self->memory.most != 0 && (uint64_t)bytes > self->memory.most)
    lt_arg_error(L, &lt_ValueError, arg,
                 "memory is %I bytes, but the thread that starts this one may give no more than "
                 "%I; leave it out for that",
                 bytes, (lua_Integer)self->memory.most);
  return (uint64_t)bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

/* The option 'seconds'; 0: there is none. */
static plat_Time opt_seconds(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return 0;
  plat_Time span = lt_check_span(L, arg);
  if (span <= 0)
    lt_arg_error(L, &lt_ValueError, arg, "seconds must be positive, got %f", lua_tonumber(L, arg));
  return span;
}

/*
** start_new_thread(f, args [, kwargs [, {globals=, memory=, seconds=}]]) -> ident
** Calls f(args[1], ..., args[n] [, kwargs]) in a new thread, a daemon, with a state of its own.
** n is args.n or #args. f, the arguments and the globals that they name are copied; with
** 'globals' none, if it is false, or those of a list of names. 'memory' and
** 'seconds' are as for start_joinable_thread. Returns the ident of the thread. Raises TypeError for wrong arguments and
** what can't be transferred, ValueError for a wrong limit, RuntimeError "can't start new thread".
** Also start_new. Follows _thread.start_new_thread.
*/
static int start_new_thread(lua_State *L) {
  lt_Thread *self = lt_self(L);
  lt_check_callable(L, 1);
  lt_check_type(L, 2, LUA_TTABLE);
  if (!lua_isnoneornil(L, 3))
    lt_check_type(L, 3, LUA_TTABLE);
  static const char *const names[] = {"globals", "memory", "seconds", NULL};
  enum { GLOBALS = 4, MEMORY, SECONDS };
  if (!lua_isnoneornil(L, GLOBALS)) {
    lua_settop(L, GLOBALS);
    lt_check_type(L, GLOBALS, LUA_TTABLE);
    lt_spread_keywords(L, GLOBALS, names);
  }
  lua_settop(L, SECONDS + LT_KEYWORD_VALUES);
  lt_ThreadStart start = {.daemon = true,
                          .time = opt_seconds(L, SECONDS),
                          .memory = opt_memory(L, self, MEMORY),
                          .globals = lt_opt_globals(L, GLOBALS)};
  start.thread = push_new_thread(L);
  start.argument_count = push_call(L, 1, 2, 3);
  lt_thread_start(L, self, &start);
  lua_pushinteger(L, (lua_Integer)atomic_load(&start.thread->ident));
  return 1;
}

/*
** start_joinable_thread(f [, handle [, daemon = true]]) -> handle
** start_joinable_thread(f, {args=, kwargs=, handle=, daemon=, name=, globals=, report=,
** affinity=, memory=, seconds=}) -> handle
** As start_new_thread, but returns a handle to join the thread with. 'handle' is an unstarted
** one to be used for it. A thread that is not a daemon is waited for when the main state closes.
** 'name' is what the thread is called; with 'report' as false, the excepthook is not called with what
** it dies of. 'memory' is how many bytes its state may have at most; what does not fit raises "not
** enough memory" in it. By default that is the limit of the thread that starts it, which is never
** exceeded. 'seconds' is how long it may run, waits included: then TimeLimitError is raised in it,
** again and again until it ends; it has never more time than who starts it. Raises as start_new_thread, and RuntimeError "thread already started". Follows
** _thread.start_joinable_thread.
*/
static int start_joinable_thread(lua_State *L) {
  static const char *const names[] = {"handle", "daemon",   "args",   "kwargs",  "name", "globals",
                                      "report", "affinity", "memory", "seconds", NULL};
  enum { F = 1, HANDLE, DAEMON, ARGS, KWARGS, NAME, GLOBALS, REPORT, AFFINITY, MEMORY, SECONDS };
  plat_Processors processors;
  lt_Thread *self = lt_self(L);
  lt_check_callable(L, F);
  check_options(L, HANDLE);
  lt_spread_keywords(L, HANDLE, names);
  lua_settop(L, SECONDS + LT_KEYWORD_VALUES);
  lt_ThreadStart start = {.daemon = lt_opt_flag(L, DAEMON, true),
                          .is_quiet = !lt_opt_flag(L, REPORT, true),
                          .time = opt_seconds(L, SECONDS),
                          .memory = opt_memory(L, self, MEMORY)};
  if (!lua_isnil(L, NAME))
    start.name = lt_check_string(L, NAME, NULL);
  start.globals = lt_opt_globals(L, GLOBALS);
  if (lt_opt_processors(L, AFFINITY, &processors))
    start.processors = &processors;
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
  (void)lt_calling_thread(L); /* the main one may be on another OS thread than before */
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

const luaL_Reg lt_thread_functions[] = {{"start_new_thread", start_new_thread},
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
                                        {NULL, NULL}};
