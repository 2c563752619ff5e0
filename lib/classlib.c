/*
** Classes, as Lua sees them: BaseException and those below it, LockType and the other types.
*/
#include "lib/libs.h"

#include <string.h>

static lt_Class *check_class(lua_State *L, int arg) {
  return (lt_Class *)lt_check_object(L, arg, &lt_class_type);
}

/*
** class(...) -> exception
** Makes an exception. Its 'message' is the first argument as a string, or "" without one; 'args' is
** the list of all of them, with their number in 'n'; 'where' is the place of the call and
** 'traceback' the stack at that place. Raise it with error(). A class that is a type,
** such as LockType, makes an object of that type. Follows calling a class in Python.
*/
static int class_call(lua_State *L) {
  lt_Class *class_object = check_class(L, 1);
  if (class_object->construct != NULL) {
    lua_remove(L, 1);
    return class_object->construct(L);
  }
  int count = lua_gettop(L) - 1;
  luaL_checkstack(L, 8, "too many arguments");
  if (count == 0)
    lua_pushliteral(L, "");
  else
    luaL_tolstring(L, 2, NULL);
  lua_createtable(L, count, 1);
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, i + 1);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  lt_exception_make(L, class_object, 1);
  return 1;
}

/*
** class:subclass(name) -> class
** A new exception class below this one. Raises ValueError if the name contains a zero byte,
** TypeError on a class that is not one of exceptions. Follows Python's class statement.
*/
static int class_subclass(lua_State *L) {
  lt_Class *base = check_class(L, 1);
  if (base->construct != NULL)
    return lt_arg_type_error(L, 1, "exception class");
  lt_Class *class_object = lt_class_new(base, lt_check_string(L, 2, NULL));
  if (class_object == NULL)
    return lt_raise_memory(L);
  lt_object_push_own(L, &class_object->object);
  return 1;
}

/* class.__name__, class.__base__, class.subclass */
static int class_index(lua_State *L) {
  lt_Class *class_object = check_class(L, 1);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "__name__") == 0)
    lua_pushstring(L, class_object->name);
  else if (strcmp(key, "__base__") == 0 && class_object->base != NULL)
    lt_object_push(L, &class_object->base->object);
  else if (strcmp(key, "subclass") == 0 && class_object->construct == NULL)
    lua_pushcfunction(L, class_subclass);
  else
    lua_pushnil(L);
  return 1;
}

static int class_tostring(lua_State *L) {
  lua_pushfstring(L, "<class '%s'>", check_class(L, 1)->name);
  return 1;
}

const luaL_Reg lt_class_metamethods[] = {
    {"__call", class_call}, {"__index", class_index}, {"__tostring", class_tostring}, {NULL, NULL}};

static bool is_instance(lua_State *L, const lt_Class *of, int index) {
  lt_Object *object = lt_object_of_type(L, index, &lt_class_type);
  if (object == NULL)
    lt_arg_type_error(L, 2, "class or list of classes");
  return lt_is_subclass(of, (const lt_Class *)object);
}

/*
** isinstance(value, class) -> boolean
** Whether any value is an exception or an object of the class or of one below it. A list of
** classes stands for any one of them. Raises TypeError if 'class' is something else. Follows
** Python's isinstance.
*/
int lt_isinstance(lua_State *L) {
  lua_settop(L, 2);
  const lt_Class *of = lt_class_of(L, 1);
  bool result = false;
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count && !result; i++) {
      lua_rawgeti(L, 2, i);
      result = is_instance(L, of, -1);
      lua_pop(L, 1);
    }
  } else {
    result = is_instance(L, of, 2);
  }
  lua_pushboolean(L, result);
  return 1;
}
