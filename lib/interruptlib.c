/*
** Functions of the module that reach other threads: interrupts, signals, dumps, the check for
** deadlocks.
*/
#include "lib/libs.h"

#include <string.h>

#include "src/base/protected_call.h"
#include "src/diagnose/deadlock.h"
#include "src/diagnose/dump.h"
#include "src/diagnose/dump_triggers.h"
#include "src/thread/interrupt.h"
#include "src/thread/on_interrupt.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/wait.h"

/*
** Interrupts
*/

static void describe_exception(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "exception");
}

/* The class that the argument is, or of which it is an exception; nil is SystemExit. */
static lt_Class *check_exception(lua_State *L, int arg, bool *is_class) {
  if (lua_isnoneornil(L, arg)) {
    *is_class = true;
    return &lt_SystemExit;
  }
  lt_Class *class_object = (lt_Class *)lt_object_of_type(L, arg, &lt_class_type);
  *is_class = class_object != NULL;
  if (class_object == NULL)
    class_object = lt_class_of(L, arg);
  if (!lt_is_subclass(class_object, &lt_BaseException))
    lt_arg_type_error(L, arg, "exception or exception class");
  return class_object;
}

lt_Class *lt_check_interrupt(lua_State *L, int arg, lt_Message **message) {
  bool is_class;
  lt_Class *class_object = check_exception(L, arg, &is_class);
  *message = NULL;
  if (!is_class) {
    lua_pushvalue(L, arg);
    *message = lt_pack(L, 1, LT_COPY_STRINGS, describe_exception);
  }
  return class_object;
}

int lt_interrupt_thread(lua_State *L, lt_Thread *thread, int arg) {
  bool alive = false;
  lt_Message *message;
  lt_Class *class_object = lt_check_interrupt(L, arg, &message);
  if (!lt_interrupt(thread, class_object, message, &alive))
    return lt_raise_memory(L);
  lua_pushboolean(L, alive);
  return 1;
}

/*
** interrupt(ident [, exception = SystemExit]) -> boolean
** Makes the thread with this ident raise an exception, a copy of the given one or a new one of the
** given class: at once in a wait of this library; in Lua code, also in a coroutine, before the next
** instruction; in other C code when that comes back to Lua. In a __close or __gc handler the thread
** first finishes that. Pending ones are delivered one at a time: SystemExit first, then
** KeyboardInterrupt, then the others in the order in which they came; a class that is pending
** already is not entered again. Returns whether the thread was alive and will see it. Raises
** TypeError for what is no exception or can't be transferred. Follows PyThreadState_SetAsyncExc.
*/
static int interrupt(lua_State *L) {
  if (lt_object_of_type(L, 1, &lt_thread_type) != NULL)
    lt_arg_error(L, &lt_TypeError, 1, "number expected, got a handle: use handle:interrupt()");
  lua_Integer ident = lt_check_integer(L, 1);
  bool is_class;
  lua_settop(L, 2);
  check_exception(L, 2, &is_class);
  lt_Thread *thread = lt_runtime_threads_find(lt_self(L)->runtime, (uint64_t)ident);
  if (thread == NULL) {
    lua_pushboolean(L, 0);
    return 1;
  }
  lt_object_push_own(L, &thread->object);
  return lt_interrupt_thread(L, thread, 2);
}

/*
** interrupt_main([signum = SIGINT])
** Makes the main thread raise KeyboardInterrupt. With the number of another signal that signal's
** handler runs in the main thread, if the process has one; otherwise nothing happens. By name:
** interrupt_main{signum = 10}. Raises ValueError for a number that no signal has, and on Windows
** NotSupportedError for any but SIGINT. Follows _thread.interrupt_main.
*/
static int interrupt_main(lua_State *L) {
  static const char *const names[] = {"signum", NULL};
  lt_spread_keywords(L, 1, names);
  lua_Integer number = lua_isnoneornil(L, 1) ? PLAT_SIGINT : lt_check_integer(L, 1);
  if (!plat_signal_valid(number))
    return lt_arg_error(L, &lt_ValueError, 1, "signal number %I out of range", number);
  lt_Runtime *runtime = lt_self(L)->runtime;
  lt_Thread *main = lt_runtime_threads_find(runtime, runtime->main_ident);
  if (main == NULL)
    return 0;
  bool alive;
  bool done = true;
  bool is_supported = true;
  if (number == PLAT_SIGINT)
    done = lt_interrupt(main, &lt_KeyboardInterrupt, NULL, &alive);
  else
    is_supported = lt_thread_signal(main, (int)number);
  lt_object_release(&main->object);
  if (!is_supported)
    return lt_arg_error(L, &lt_NotSupportedError, 1,
                        "this system runs no handler of a signal in another thread; "
                        "interrupt_main() raises KeyboardInterrupt there");
  return done ? 0 : lt_raise_memory(L);
}

/*
** on_interrupt(f) -> the function before, or nil
** From now on what interrupts the calling thread calls f(exception), where it would be raised. There
** f is shielded, and may not yield. If it returns, the interrupt counts as delivered, and a wait goes
** on with the time that is left; what it raises is raised there. At the end of the runtime it is
** called once, with SystemExit, which is raised in spite of it when the grace is over. nil removes
** it. Raises TypeError for what can't be called. Follows signal.signal.
*/
static int on_interrupt(lua_State *L) {
  lt_check_any(L, 1);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1))
    lt_check_callable(L, 1);
  lt_on_interrupt_set(L, lt_self(L));
  return 1;
}

/*
** Dumps
*/

static int push_text(lua_State *L) {
  const lt_StringBuffer *text = lua_touserdata(L, 1);
  lua_pushlstring(L, text->bytes == NULL ? "" : text->bytes, text->length);
  return 1;
}

static void push_dump(lua_State *L, lt_StringBuffer *text) {
  int status = lt_protected_call(L, push_text, text, 0, 1);
  lt_string_buffer_free(text);
  if (status != LUA_OK)
    lt_throw(L);
}

static bool has_metafield(lua_State *L, int index, const char *name) {
  if (luaL_getmetafield(L, index, name) == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

/* Pushes the method write of what must be a file. */
static void push_write(lua_State *L, int arg) {
  if (!lua_istable(L, arg) && !has_metafield(L, arg, "__index"))
    lt_arg_type_error(L, arg, "file");
  lua_getfield(L, arg, "write");
  if (!lua_isfunction(L, -1) && !has_metafield(L, -1, "__call"))
    lt_arg_error(L, &lt_TypeError, arg, "file expected, got %s without a method write",
                 lt_push_type_name(L, arg));
}

/*
** dump_traceback([file = io.stderr])
** Writes what every thread of this runtime does: its name and idents, whether it runs or what it is
** blocked on and for how many seconds, and its Lua stack with those of its coroutines. The threads
** are not disturbed. One that does not answer within half a second, because it runs C code that
** does not come back to Lua, is listed as such. 'file' is anything with a method write. Follows
** faulthandler.dump_traceback.
*/
static int dump_traceback(lua_State *L) {
  lt_Thread *self = lt_self(L);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1))
    push_write(L, 1);
  lt_Dump dump;
  lt_StringBuffer text = {NULL, 0, 0};
  const lt_DumpAsker asker = {
      .runtime = self->runtime, .parker = self->parker, .thread = self, .L = L};
  if (!lt_dump_take(&dump, &asker))
    return lt_raise_memory(L);
  lt_dump_write(&dump, &text);
  lt_dump_free(&dump);
  if (lua_isnil(L, 1)) {
    plat_write_error(text.bytes, text.length);
    lt_string_buffer_free(&text);
    return 0;
  }
  lua_pushvalue(L, 1);
  push_dump(L, &text);
  lua_call(L, 2, 0);
  return 0;
}

/*
** dump_traceback_later(timeout [, repeating = false])
** Once 'timeout' seconds have passed, and with 'repeating' each time they have, writes a dump to the
** error stream, whatever the threads do. Replaces the one that was asked for before. Raises
** ValueError if the timeout is not positive, RuntimeError if the system makes no thread for it.
** Follows faulthandler.dump_traceback_later.
*/
static int dump_traceback_later(lua_State *L) {
  static const char *const names[] = {"timeout", "repeat/repeating", NULL};
  lt_spread_keywords(L, 1, names);
  plat_Time span = lt_check_span(L, 1);
  if (span <= 0)
    return lt_arg_error(L, &lt_ValueError, 1, "timeout must be greater than 0");
  int error = lt_dump_triggers_later(lt_self(L)->runtime, span, lt_opt_flag(L, 2, false));
  if (error != 0) {
    char reason[128];
    plat_describe_error(error, reason, sizeof(reason));
    return lt_raise(L, &lt_RuntimeError, "can't start the watching thread: %s", reason);
  }
  return 0;
}

/*
** cancel_dump_traceback_later()
** Takes back what dump_traceback_later asked for. Follows faulthandler.cancel_dump_traceback_later.
*/
static int cancel_dump_traceback_later(lua_State *L) {
  lt_dump_triggers_cancel(lt_self(L)->runtime);
  return 0;
}

/*
** set_deadlock_check(flag)
** While it is on, in the whole process, threads that have all been blocked for ever by one another,
** in locks, joins and queues, say so on the error stream, once, with the cycle and a dump. It is on
** from the start with LTHREAD_DEADLOCK=1 in the environment.
*/
static int set_deadlock_check(lua_State *L) {
  lt_check_any(L, 1);
  lt_deadlock_set_check(lt_opt_flag(L, 1, false));
  return 0;
}

const luaL_Reg lt_interrupt_functions[] = {
    {"interrupt", interrupt},
    {"interrupt_main", interrupt_main},
    {"on_interrupt", on_interrupt},
    {"dump_traceback", dump_traceback},
    {"dump_traceback_later", dump_traceback_later},
    {"cancel_dump_traceback_later", cancel_dump_traceback_later},
    {"set_deadlock_check", set_deadlock_check},
    {NULL, NULL}};
