/*
** The module: what it has, and how it is opened. Functions with more to do, and the methods of its
** objects, are in lib/.
*/
#include "lthread.h"

#include "lib/host_options.h"
#include "lib/libs.h"
#include "lib/module_functions.h"
#include "lib/lua_modules.h"
#include "src/base/library_functions.h"
#include "src/diagnose/diagnosis.h"
#include "src/shared/shared_table.h"
#include "src/state/lua_traits.h"
#include "src/state/state.h"
#include "src/thread/at_exit.h"
#include "src/thread/excepthook.h"
#include "src/thread/inherited_package.h"
#include "src/thread/main_state.h"
#include "src/thread/shutdown.h"
#include "src/thread/wait.h"
#include "src/transfer/c_rules.h"

static const char module_key;

static int open_lua_module(lua_State *L);

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

static void describe_exit_function(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "function");
}

/*
** _register_atexit(f)
** Has a copy of f, made now, called when the main state is closed, before threads are waited for; the
** one that was registered last comes first. What it raises goes to the excepthook. Raises TypeError
** for what can't be called or transferred, RuntimeError once they have been called. Follows
** threading._register_atexit.
*/
static int register_atexit(lua_State *L) {
  lt_Thread *self = lt_self(L);
  lt_check_callable(L, 1);
  lua_settop(L, 1);
  lt_Message *message = lt_pack(L, 1, LT_COPY_STRINGS, describe_exit_function);
  lt_AtExit outcome = lt_at_exit_register(self->runtime, message);
  if (outcome == LT_AT_EXIT_TAKEN)
    return 0;
  lt_message_free(message);
  if (outcome == LT_AT_EXIT_NO_MEMORY)
    return lt_raise_memory(L);
  return lt_raise(L, &lt_RuntimeError, "can't register atexit after shutdown");
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
  (void)lt_calling_thread(L); /* the main one may be on another OS thread than before */
  lua_pushnumber(L, (lua_Number)plat_now() / (lua_Number)PLAT_SECOND);
  return 1;
}

/*
** generator(f [, {args=, buffer = 16}]) -> generator
** Runs f(args[1], ...) in a coroutine of a new daemon thread. The generator is called for the values
** that it yields, and is for a loop: for value in generator(f) do. At most 'buffer' values are made
** ahead. The loop ends when f does, or yields nil first; what f raises is raised behind its values.
** Leaving the loop, generator:close() and its collection interrupt the thread. Raises TypeError and
** ValueError for its arguments, and as start_new_thread does.
*/
static int generator(lua_State *L) {
  static const char *const names[] = {"args", "buffer", NULL};
  enum { F = 1, ARGS, BUFFER, DEFAULT_BUFFER = 16 };
  lt_check_callable(L, F);
  lt_spread_keywords(L, ARGS, names);
  lua_settop(L, BUFFER + LT_KEYWORD_VALUES);
  lua_Integer buffer = lua_isnil(L, BUFFER) ? DEFAULT_BUFFER : lt_check_integer(L, BUFFER);
  if (buffer < 1)
    return lt_arg_error(L, &lt_ValueError, BUFFER, "buffer is %I, it must be positive", buffer);
  lua_Integer count = lua_isnil(L, ARGS) ? 0 : lt_check_list(L, ARGS);
  if (!lt_make_room(L, count))
    return lt_arg_error(L, &lt_ValueError, ARGS, "too many arguments (%I) for Lua's stack", count);
  luaL_requiref(L, "lthread.generator", open_lua_module, 0);
  lua_getfield(L, -1, "generator");
  lua_pushvalue(L, F);
  lua_pushinteger(L, buffer);
  for (lua_Integer i = 1; i <= count; i++)
    lua_rawgeti(L, ARGS, i);
  lua_call(L, (int)count + 2, 4);
  return 4;
}

/*
** Opening
*/

static const luaL_Reg functions[] = {{"exit", exit_thread},
                                     {"exit_thread", exit_thread},
                                     {"_shutdown", shutdown},
                                     {"_register_atexit", register_atexit},
                                     {"_excepthook", excepthook},
                                     {"set_excepthook", set_excepthook},
                                     {"_ExceptHookArgs", except_hook_args},
                                     {"allocate_lock", lt_allocate_lock},
                                     {"allocate", lt_allocate_lock},
                                     {"isinstance", lt_isinstance},
                                     {"sleep", sleep_thread},
                                     {"monotonic", monotonic},
                                     {"generator", generator},
                                     {NULL, NULL}};

static void set_class(lua_State *L, lt_Class *class_object, const char *name) {
  lt_object_push(L, &class_object->object);
  lua_setfield(L, -2, name);
}

static void push_module(lua_State *L) {
  lua_createtable(L, 0, 67);
  lt_set_functions(L, functions);
  lt_set_functions(L, lt_thread_functions);
  lt_set_functions(L, lt_affinity_functions);
  lt_set_functions(L, lt_interrupt_functions);
  lt_set_functions(L, lt_descriptor_functions);
  lt_set_functions(L, lt_wait_any_functions);
  lt_set_functions(L, lt_shared_functions);
  lt_set_functions(L, lt_copy_functions);
  lt_set_functions(L, lt_transfer_functions);
  lt_set_functions(L, lt_call_functions);
  lt_set_functions(L, lt_raw_functions);
  lt_set_functions(L, lt_seeing_functions);
  lt_exception_classes(L);
  set_class(L, &lt_RuntimeError, "error");
  set_class(L, &lt_LockType, "LockType");
  set_class(L, &lt_LockType, "lock");
  set_class(L, &lt_RLockType, "RLock");
  set_class(L, &lt_EventType, "Event");
  set_class(L, &lt_BarrierType, "Barrier");
  set_class(L, &lt_BrokenBarrierError, "BrokenBarrierError");
  set_class(L, &lt_ConditionType, "Condition");
  set_class(L, &lt_SemaphoreType, "Semaphore");
  set_class(L, &lt_BoundedSemaphoreType, "BoundedSemaphore");
  set_class(L, &lt_LocalType, "_local");
  set_class(L, &lt_PerThreadType, "per_thread");
  set_class(L, &lt_HandleType, "_ThreadHandle");
  set_class(L, &lt_SharedType, "shared");
  lt_object_push(L, lt_thread_of(L)->runtime->globals);
  lua_setfield(L, -2, "globals");
  lua_pushnumber(L, LT_TIMEOUT_MAX);
  lua_setfield(L, -2, "TIMEOUT_MAX");
  lua_pushliteral(L, "lthread " LTHREAD_VERSION);
  lua_setfield(L, -2, "_VERSION");
}

static int open_module(lua_State *L);
static int open_queue_module(lua_State *L);
static int open_socket_module(lua_State *L);

/*
** luaopen_lthread leads to the first copy of this library in the process, open_module to this one.
*/
static bool is_own_loader(lua_CFunction loader) {
  return loader == luaopen_lthread || loader == luaopen_lthread_queue ||
         loader == luaopen_lthread_transfer_socket || loader == open_module ||
         loader == open_queue_module || loader == open_socket_module || loader == open_lua_module ||
         loader == luaopen_lthread_threading || loader == luaopen_lthread_futures;
}

static const luaL_Reg own_loaders[] = {{"lthread", open_module},
                                       {"_thread", open_module},
                                       {"lthread.queue", open_queue_module},
                                       {"lthread.transfer.socket", open_socket_module},
                                       {"lthread.futures", open_lua_module},
                                       {"lthread.generator", open_lua_module},
                                       {"lthread.threading", open_lua_module},
                                       {NULL, NULL}};
static const lt_OwnModules own_modules = {own_loaders, is_own_loader};

static const void *runtime_of(lua_State *L) {
  const lt_Thread *thread = lt_thread_of(L);
  return thread == NULL ? NULL : thread->runtime;
}

/* Gives the floors below what they are not to know. */
static int join_floors(void) {
  lt_observer = &lt_diagnosis;
  lt_class_type.face = &lt_class_face;
  lt_thread_type.face = &lt_handle_face;
  lt_shared_table_type.face = &lt_shared_face;
  lt_own_modules = &own_modules;
  lt_own_pcall = lt_try;
  lt_message_move = &lt_socket_move;
  lt_c_rules_runtime_of = runtime_of;
  lt_c_functions = (lt_CFunctions){LTHREAD_FUNCTIONS, &lt_module_functions};
  return 0;
}

/* In a program that is linked with the library there is no other way to find them. */
static void preload_others(lua_State *L) {
  enum { OTHERS = 2 }; /* the first two are this module */
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const luaL_Reg *loader = own_loaders + OTHERS; loader->name != NULL; loader++) {
    lua_pushcfunction(L, loader->func);
    lua_setfield(L, -2, loader->name);
  }
  lua_pop(L, 1);
}

/* Before anything can be raised. */
static void prepare_library(lua_State *L) {
  static plat_Once once = PLAT_ONCE_INIT;
  luaL_checkversion(L);
  plat_once(&once, join_floors);
}

static void open_runtime(lua_State *L, const lt_RuntimeOptions *options) {
  lt_lua_traits_learn(L);
  lt_main_state_open(L, options);
  preload_others(L);
}

static void push_opened_module(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  push_module(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
}

static int open_module(lua_State *L) {
  prepare_library(L);
  if (lt_thread_of(L) == NULL) {
    lt_RuntimeOptions defaults = lt_check_host_options(L, NULL);
    open_runtime(L, &defaults);
  }
  push_opened_module(L);
  return 1;
}

static int open_queue_module(lua_State *L) {
  luaL_requiref(L, "lthread", open_module, 0);
  lua_pop(L, 1);
  lt_push_queue_module(L);
  return 1;
}

/* One that is written in Lua, called by `require` with its name. */
static int open_lua_module(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_requiref(L, "lthread", open_module, 0);
  luaL_requiref(L, "lthread.queue", open_queue_module, 0);
  lt_push_core(L);
  lt_load_lua_module(L, name);
  return 1;
}

static int open_socket_module(lua_State *L) {
  luaL_requiref(L, "lthread", open_module, 0);
  lua_pop(L, 1);
  lt_push_socket_module(L);
  return 1;
}

int luaopen_lthread(lua_State *L) {
  return open_module(L);
}

int luaopen_lthread_queue(lua_State *L) {
  return open_queue_module(L);
}

int luaopen_lthread_transfer_socket(lua_State *L) {
  return open_socket_module(L);
}

int luaopen_lthread_threading(lua_State *L) {
  luaL_requiref(L, "lthread.threading", open_lua_module, 0);
  return 1;
}

int luaopen_lthread_futures(lua_State *L) {
  luaL_requiref(L, "lthread.futures", open_lua_module, 0);
  return 1;
}

/*
** For hosts
*/

const char *lthread_version(void) {
  return LTHREAD_VERSION;
}

int lthread_is_open(lua_State *L) {
  luaL_checkstack(L, 4, "lthread_is_open");
  return lt_thread_of(L) != NULL;
}

void lthread_checkversion_(lua_State *L, int version, size_t size_of_options) {
  luaL_checkversion(L);
  if (version / 100 != LTHREAD_VERSION_NUMBER / 100 || size_of_options > sizeof(lthread_Options))
    luaL_error(L, "the host was compiled with lthread.h of version %d.%d.%d, the library is %s",
               version / 10000, version / 100 % 100, version % 100, LTHREAD_VERSION);
}

/* So that scripts get this one, and no other copy from a file. */
static void enter_into_loaded(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "lthread") == LUA_TNIL) {
    lua_pushvalue(L, -3);
    lua_setfield(L, -3, "lthread");
  }
  lua_pop(L, 2);
}

int lthread_open(lua_State *L, const lthread_Options *options) {
  prepare_library(L);
  luaL_checkstack(L, LUA_MINSTACK, "lthread_open");
  const lt_Thread *thread = lt_thread_of(L);
  lt_RuntimeOptions wanted = lt_check_host_options(L, options);
  if (thread == NULL)
    open_runtime(L, &wanted);
  else if (options != NULL && !lt_runtime_options_equal(&wanted, &thread->runtime->options))
    return lt_raise(L, &lt_RuntimeError,
                    "lthread is already open here, with other options: they are given to "
                    "lthread_open before anybody requires lthread");
  push_opened_module(L);
  enter_into_loaded(L);
  return 1;
}

static int open_with_options(lua_State *L) {
  return lthread_open(L, (const lthread_Options *)lua_touserdata(L, 1));
}

int lthread_try_open(lua_State *L, const lthread_Options *options) {
  lua_pushcfunction(L, open_with_options);
  lua_pushlightuserdata(L, (void *)options);
  return lua_pcall(L, 1, 1, 0) == LUA_OK ? LTHREAD_OK : LTHREAD_ERROR;
}
