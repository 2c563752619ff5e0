/*
** Lua names a handler "close" or "__gc" when a function calls it at the end of a scope or a cycle
** of collection. After an error it is pcall, xpcall, coroutine.close or a wrapped coroutine that
** calls it, which is seen by what these have on their stacks; or it is called below the function
** with which the thread began, which is gone then.
**
** Shared state: the addresses of Lua's own functions, written once and by all with the same value.
*/
#include "src/state/running_handlers.h"

#include <string.h>

#include "src/base/library_functions.h"

/*
** A level is found by walking there from the top, so this is what a look may cost: a handler that
** has called more functions than this, one within the other, is not recognised.
*/
#define DEEPEST 1000

/* The level of 'frame', which is below the one of a function it has called. */
static bool has_local(lua_State *L, const lua_Debug *frame, int number) {
  if (lua_getlocal(L, frame, number) == NULL)
    return false;
  lua_pop(L, 1);
  return true;
}

/*
** pcall, and ours, keeps 'true' below the function that it calls, xpcall also the function, again,
** and the message handler. When they call a handler there is more: the dead function, its variables.
*/
static bool closes_after_error(lua_State *L, lua_Debug *frame) {
  lua_CFunction function = lt_function_of_call(L, frame);
  if (function == NULL)
    return false;
  return (lt_is_pcall(function) && has_local(L, frame, 2)) ||
         (function == lt_library_function(LT_LIBRARY_XPCALL) && has_local(L, frame, 4));
}

static bool is_named_closer(lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "n", frame);
  return strcmp(frame->namewhat, "metamethod") == 0 &&
         (strcmp(frame->name, "close") == 0 || strcmp(frame->name, "__gc") == 0);
}

/*
** The function that waits for the coroutine. A wrapped one has moved its arguments away; when it
** closes the coroutine, it has the error.
*/
static bool is_closing_coroutine(lua_State *L) {
  lua_Debug frame;
  if (!lua_getstack(L, 0, &frame) || frame.i_ci == NULL)
    return false;
  lua_CFunction function = lt_function_of_call(L, &frame);
  if (function == NULL)
    return false;
  return function == lt_library_function(LT_LIBRARY_COROUTINE_CLOSE) ||
         (function == lt_library_function(LT_LIBRARY_WRAPPED) && has_local(L, &frame, 1));
}

/* With 'bottom', also if the stack does not begin with that. */
static bool stack_has_closer(lua_State *L, lua_CFunction bottom) {
  lua_Debug frame;
  int level = 0;
  for (; level < DEEPEST && lua_getstack(L, level, &frame); level++)
    if (is_named_closer(L, &frame) || (level > 0 && closes_after_error(L, &frame)))
      return true;
  return bottom != NULL && level > 0 && level < DEEPEST && lt_function_of_call(L, &frame) != bottom;
}

typedef struct HandlerSearch {
  lua_State *running;
  lua_State *main;
  lua_CFunction bottom; /* of the main one */
  bool found;
} HandlerSearch;

/* The others that have been resumed and are neither suspended nor dead wait for the running one. */
static bool search(lua_State *L, void *context) {
  HandlerSearch *where = context;
  if (L != where->running && lua_status(L) == LUA_OK && lua_checkstack(L, 2))
    where->found =
        is_closing_coroutine(L) || stack_has_closer(L, L == where->main ? where->bottom : NULL);
  return !where->found;
}

bool lt_running_handlers_in(lua_State *L, lt_Coroutines *coroutines, lua_CFunction bottom) {
  lua_State *main = lt_coroutines_main(coroutines);
  if (stack_has_closer(L, L == main ? bottom : NULL))
    return true;
  HandlerSearch where = {L, main, bottom, false};
  lt_coroutines_each(coroutines, search, &where);
  return where.found;
}
