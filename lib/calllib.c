/*
** Functions of the module that call another function: shielded from interrupts, or catching what a
** program is to handle and no more.
*/
#include "lib/libs.h"

#include <string.h>

#include "src/base/stack_room.h"
#include "src/thread/interrupt.h"

/*
** Shields. However the call ends, Lua closes the value at SHIELD, of which a state has one for all
** shields: by that an error passes as it is, with its stack. A script that calls its __close
** without a shield does nothing, within one it ends that.
*/

static const char closer_key;

enum { SHIELD = 1 };

/*
** The next instruction is spared, so that what the function has returned, or raised within a pcall,
** reaches what it is assigned to.
*/
static int end_shield(lua_State *L) {
  lt_Thread *self = lt_calling_thread(L);
  if (self == NULL || atomic_load(&self->shields) == 0)
    return 0;
  lt_interrupt_spare_next(self);
  lt_interrupt_shield_end(self);
  return 0;
}

static void push_closer(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__close", end_shield}, {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &closer_key) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lt_set_functions(L, metamethods);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &closer_key);
}

/* Besides the results there must be room for the call that ends the shield. */
static int finish_shield(lua_State *L, lt_Thread *self) {
  int count = lua_gettop(L) - SHIELD;
  if (count > 0 && !lt_stack_room(L, 2 * LUA_MINSTACK)) {
    lua_settop(L, SHIELD);
    lt_raise(L, &lt_ValueError, "too many results (%d) for Lua's stack; return them in one table",
             count);
  }
  if (count > 0)
    return count;
  lua_settop(L, 0); /* the shield ends */
  if (lt_interrupted(self))
    (void)lt_interrupt_deliver(L, self, 1);
  return 0;
}

/*
** shield(f, ...) -> what f returns
** Calls f(...), and holds interrupts meanwhile: waits and system calls of f go on. Shields nest. An
** interrupt that was pending before the outermost one is raised instead of calling f; one that came
** meanwhile after it, when the results of f have been assigned, or its error been caught. When the
** main state is being closed, SystemExit comes in spite of it, as it does in a __close handler. f
** can't yield. Follows Ruby's Thread.handle_interrupt.
*/
static int shield(lua_State *L) {
  lt_Thread *self = lt_calling_thread(L);
  lt_check_callable(L, SHIELD);
  int argument_count = lua_gettop(L) - 1;
  if (self == NULL) { /* its state is being closed: there are no interrupts */
    lua_call(L, argument_count, LUA_MULTRET);
    return lua_gettop(L);
  }
  lt_check_stack(L, 2 * LUA_MINSTACK);
  push_closer(L);
  lua_insert(L, SHIELD);
  lt_interrupt_shield_enter(L, self);
  lua_toclose(L, SHIELD);
  lua_call(L, argument_count, LUA_MULTRET);
  return finish_shield(L, self);
}

/*
** try
*/

/* Whether the text is the error of the interpreter's hook, behind a place in a script or alone. */
static bool is_of_interpreter(const char *text) {
  static const char error[] = "interrupted!";
  size_t length = strlen(text);
  size_t own = sizeof(error) - 1;
  if (length < own || strcmp(text + length - own, error) != 0)
    return false;
  const char *place = text + length - own;
  if (place == text)
    return true;
  if (place - text < 4 || memcmp(place - 2, ": ", 2) != 0)
    return false;
  const char *number = place - 2;
  while (number > text && number[-1] >= '0' && number[-1] <= '9')
    number--;
  return number < place - 2 && number > text && number[-1] == ':';
}

/* Of the error on the top: it is meant for the thread, and not for who has called a function. */
static bool passes(lua_State *L) {
  if (lua_type(L, -1) == LUA_TSTRING) {
    const lt_Thread *self = lt_calling_thread(L);
    return self != NULL && self->is_main && is_of_interpreter(lua_tostring(L, -1));
  }
  const lt_Class *class_object = lt_class_of(L, -1);
  return lt_is_subclass(class_object, &lt_BaseException) &&
         !lt_is_subclass(class_object, &lt_Exception);
}

/* As in pcall, below the results lies what is returned before them. */
static int finish_try(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD)
    return lua_gettop(L);
  if (passes(L))
    lt_throw(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/*
** try(f, ...) -> true and what f returns, or false and the error
** Calls f(...) as pcall does, but lets an error pass that is for the whole thread: an exception
** that is no Exception, such as SystemExit and KeyboardInterrupt, and in the main thread the
** "interrupted!" of the interpreter. Follows Python's "except Exception".
*/
int lt_try(lua_State *L) {
  lt_check_any(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return finish_try(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_try), 0);
}

const luaL_Reg lt_call_functions[] = {{"shield", shield}, {"try", lt_try}, {NULL, NULL}};
