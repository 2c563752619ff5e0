/*
** Handles, as Lua sees them. A handle is a reference to a thread.
*/
#include "lib/libs.h"

#include <string.h>

#include "src/thread/interrupt.h"
#include "src/thread/thread_life.h"
#include "src/thread/wait.h"

/*
** _ThreadHandle() -> handle
** A handle of no thread yet, for start_joinable_thread. Follows _thread._ThreadHandle.
*/
static int new_handle(lua_State *L) {
  lt_check_most(L, 0, 0);
  lt_Thread *thread = lt_thread_new();
  if (thread == NULL)
    return lt_raise_memory(L);
  lt_object_push_own(L, &thread->object);
  return 1;
}

LT_CLASS(lt_HandleType, "_thread._ThreadHandle", NULL, new_handle);

static lt_Thread *check_handle(lua_State *L) {
  return (lt_Thread *)lt_check_object(L, 1, &lt_thread_type);
}

static bool wait_until_done(lua_State *L, lt_Thread *thread, plat_Time deadline) {
  lt_Thread *self = lt_self(L);
  if (thread == self)
    lt_raise(L, &lt_RuntimeError, "Cannot join current thread");
  lt_Wait wait = lt_thread_join(thread, deadline);
  bool ended = lt_wait(L, self, &wait);
  if (ended && lt_thread_status(thread) == LT_UNSTARTED)
    lt_raise(L, &lt_RuntimeError, "thread not started");
  return ended;
}

/*
** handle:join([timeout]) -> boolean
** Waits until the thread has ended and its state is closed; with a timeout at most so many
** seconds, a negative one is none. Returns whether it has. Any thread may join, any number of
** times. Raises RuntimeError for a thread that is not started and for the calling thread,
** ValueError and OverflowError as lock:acquire does. Follows _ThreadHandle.join.
*/
static int handle_join(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lt_Thread *thread = check_handle(L);
  lt_spread_keywords(L, 2, names);
  lua_pushboolean(L, wait_until_done(L, thread, lt_opt_deadline(L, 2)));
  return 1;
}

/* handle:is_done() -> boolean. Whether the thread has ended. Follows _ThreadHandle.is_done. */
static int handle_is_done(lua_State *L) {
  lua_pushboolean(L, lt_thread_status(check_handle(L)) == LT_DONE);
  return 1;
}

/*
** handle:result([timeout]) -> what the thread's function returned
** Joins the thread and returns copies of its results; if it ended by an error, raises that. Raises
** TimeoutError if it has not ended after so many seconds. Follows result() of Python's
** concurrent.futures.Future.
*/
static int handle_result(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lt_Thread *thread = check_handle(L);
  lt_check_most(L, 1, 1);
  lt_spread_keywords(L, 2, names);
  plat_Time deadline = lt_opt_deadline(L, 2);
  lua_settop(L, 1);
  if (!wait_until_done(L, thread, deadline))
    lt_raise(L, &lt_TimeoutError, "the thread has not ended");
  if (thread->result == NULL)
    return thread->failed ? lt_raise_memory(L) : 0;
  int count = lt_unpack(L, thread->result, thread->failed ? LT_KEEP_GLOBALS : LT_TAKE_GLOBALS);
  return thread->failed ? lua_error(L) : count;
}

/*
** handle:interrupt([exception = SystemExit]) -> boolean
** Makes the thread raise an exception, as interrupt does for an ident. False: it is not started, or
** has ended.
*/
static int handle_interrupt(lua_State *L) {
  lt_Thread *thread = check_handle(L);
  lua_settop(L, 2);
  return lt_interrupt_thread(L, thread, 2);
}

/* Pushes the field of the thread, if it is one. */
static bool push_thread_field(lua_State *L, lt_Thread *thread, const char *field) {
  char name[LT_NAME_BYTES];
  uint64_t native_id;
  if (strcmp(field, "ident") == 0) {
    lua_pushinteger(L, (lua_Integer)atomic_load(&thread->ident));
  } else if (strcmp(field, "name") == 0) {
    lt_thread_name(thread, name);
    lua_pushstring(L, name);
  } else if (strcmp(field, "native_id") == 0) {
    native_id = lt_thread_native_id(thread);
    if (native_id != 0)
      lua_pushinteger(L, (lua_Integer)native_id);
    else
      lua_pushnil(L);
  } else if (strcmp(field, "daemon") == 0) {
    lua_pushboolean(L, thread->daemon);
  } else {
    return false;
  }
  return true;
}

static int handle_index(lua_State *L) {
  lt_Thread *thread = check_handle(L);
  if (lua_type(L, 2) == LUA_TSTRING && push_thread_field(L, thread, lua_tostring(L, 2)))
    return 1;
  lt_object_push_method(L);
  return 1;
}

static int handle_tostring(lua_State *L) {
  lua_Integer ident = (lua_Integer)atomic_load(&check_handle(L)->ident);
  lua_pushfstring(L, "<_thread._ThreadHandle object: ident=%I>", ident);
  return 1;
}

static lt_Sight handle_sight(lt_Object *object) {
  return lt_thread_sight((lt_Thread *)object);
}

static const luaL_Reg handle_methods[] = {{"join", handle_join},
                                          {"is_done", handle_is_done},
                                          {"result", handle_result},
                                          {"interrupt", handle_interrupt},
                                          {NULL, NULL}};

static const luaL_Reg handle_metamethods[] = {
    {"__index", handle_index}, {"__tostring", handle_tostring}, {NULL, NULL}};

const lt_Face lt_handle_face = {&lt_HandleType, handle_methods, handle_metamethods, NULL,
                                handle_sight};
