/*
** What the modules that are written in Lua need of C.
*/
#include "lib/libs.h"

LT_CLASS(lt_BrokenExecutor, "BrokenExecutor", &lt_RuntimeError, NULL);
LT_CLASS(lt_BrokenThreadPool, "BrokenThreadPool", &lt_BrokenExecutor, NULL);

/*
** raise(class, level, format, ...)
** Raises an exception of the class whose message is string.format's; its place and traceback are
** those of the function at this level, as for `error`.
*/
static int raise_exception(lua_State *L) {
  lt_Class *class_object = (lt_Class *)lt_check_object(L, 1, &lt_class_type);
  lua_Integer level = lt_check_integer(L, 2);
  lua_remove(L, 2);
  lua_remove(L, 1);
  lt_check_stack(L, LUA_MINSTACK);
  luaL_getmetafield(L, 1, "__index");
  lua_getfield(L, -1, "format");
  lua_replace(L, -2);
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  lt_exception_make(L, class_object, (int)level);
  return lua_error(L);
}

/* is_callable(value) -> boolean. Whether it is a function, or has __call. */
static int tell_if_callable(lua_State *L) {
  lua_settop(L, 1);
  lua_pushboolean(L, lua_isfunction(L, 1) || luaL_getmetafield(L, 1, "__call") != LUA_TNIL);
  return 1;
}

static const luaL_Reg core_functions[] = {{"raise", raise_exception},
                                          {"is_callable", tell_if_callable},
                                          {"prepare", lt_prepare_future},
                                          {NULL, NULL}};

void lt_push_core(lua_State *L) {
  static const struct {
    const char *name;
    lt_Class *class_object;
  } classes[] = {{"Future", &lt_FutureType},
                 {"task", &lt_TaskType},
                 {"QueueKeeper", &lt_QueueKeeperType},
                 {"CancelledError", &lt_CancelledError},
                 {"InvalidStateError", &lt_InvalidStateError},
                 {"BrokenExecutor", &lt_BrokenExecutor},
                 {"BrokenThreadPool", &lt_BrokenThreadPool}};
  enum { COUNT = sizeof(classes) / sizeof(classes[0]) };
  lua_createtable(L, 0, COUNT + 1);
  for (size_t i = 0; i < COUNT; i++) {
    lt_object_push(L, &classes[i].class_object->object);
    lua_setfield(L, -2, classes[i].name);
  }
  lt_set_functions(L, core_functions);
  lt_object_push(L, lt_thread_of(L)->runtime->registry);
  lua_setfield(L, -2, "registry");
}
