/*
** Shared state: the runtime's 'at_exit' and 'has_exited', under its guard.
*/
#include "src/thread/at_exit.h"

#include <stdlib.h>

#include "src/base/stack_room.h"
#include "src/thread/excepthook.h"
#include "src/thread/kept_traceback.h"

struct lt_ExitFunction {
  lt_ExitFunction *next;
  lt_Message *message;
};

lt_AtExit lt_at_exit_register(lt_Runtime *runtime, lt_Message *message) {
  lt_ExitFunction *new = malloc(sizeof(*new));
  if (new == NULL)
    return LT_AT_EXIT_NO_MEMORY;
  new->message = message;
  plat_mutex_lock(&runtime->guard);
  bool too_late = runtime->has_exited;
  if (!too_late) {
    new->next = runtime->at_exit;
    runtime->at_exit = new;
  }
  plat_mutex_unlock(&runtime->guard);
  if (too_late)
    free(new);
  return too_late ? LT_AT_EXIT_TOO_LATE : LT_AT_EXIT_TAKEN;
}

/* The last one; with none left no other can come. */
static lt_Message *take_last(lt_Runtime *runtime) {
  plat_mutex_lock(&runtime->guard);
  lt_ExitFunction *last = runtime->at_exit;
  if (last != NULL)
    runtime->at_exit = last->next;
  runtime->has_exited = true;
  plat_mutex_unlock(&runtime->guard);
  lt_Message *message = last == NULL ? NULL : last->message;
  free(last);
  return message;
}

static int call_exit_function(lua_State *L) {
  lt_Message *message = lua_touserdata(L, 1);
  lt_unpack(L, message, LT_KEEP_GLOBALS);
  lua_call(L, 0, 0);
  return 0;
}

static void call_reporting(lua_State *L, lt_Thread *main, lt_Message *message) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, lt_keep_traceback);
  lua_pushcfunction(L, call_exit_function);
  lua_pushlightuserdata(L, message);
  if (lua_pcall(L, 1, 0, top + 1) != LUA_OK) {
    lt_push_kept_traceback(L);
    lt_excepthook_call(L, main, top + 2, top + 3);
  }
  lua_settop(L, top);
}

void lt_at_exit_run(lua_State *L, lt_Thread *main) {
  lt_Message *message = take_last(main->runtime);
  while (message != NULL) {
    if (lt_stack_room(L, LUA_MINSTACK))
      call_reporting(L, main, message);
    lt_message_free(message);
    message = take_last(main->runtime);
  }
}

void lt_at_exit_free(lt_Runtime *runtime) {
  lt_Message *message = take_last(runtime);
  while (message != NULL) {
    lt_message_free(message);
    message = take_last(runtime);
  }
}
