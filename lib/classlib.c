/*
** Classes, as Lua sees them: BaseException and those below it, LockType and the other types.
*/
#include "lib/libs.h"

#include <string.h>

#include "src/base/stack_room.h"

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
    return lt_construct(L, class_object, class_call);
  }
  int count = lua_gettop(L) - 1;
  lt_check_stack(L, 8);
  if (count == 0)
    lua_pushliteral(L, "");
  else
    luaL_tolstring(L, 2, NULL);
  lt_exception_make(L, class_object, 1);
  if (count == 0 || (count == 1 && lua_type(L, 2) == LUA_TSTRING && lua_rawlen(L, 2) > 0))
    return 1;
  lua_createtable(L, count, 1);
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, i + 1);
    lua_rawseti(L, -2, i);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  lua_setfield(L, -2, "args");
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

static void push_class_method(lua_State *L, const char *name) {
  const lt_Method method = {&lt_class_type, name};
  lt_method_push(L, &method);
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
    push_class_method(L, key);
  else
    lua_pushnil(L);
  return 1;
}

static int class_tostring(lua_State *L) {
  lua_pushfstring(L, "<class '%s'>", check_class(L, 1)->name);
  return 1;
}

static const luaL_Reg class_methods[] = {{"subclass", class_subclass}, {NULL, NULL}};

static const luaL_Reg class_metamethods[] = {
    {"__call", class_call}, {"__index", class_index}, {"__tostring", class_tostring}, {NULL, NULL}};

const lt_Face lt_class_face = {NULL, class_methods, class_metamethods, NULL, NULL};

static lt_Class *class_at(lua_State *L, int index) {
  return (lt_Class *)lt_object_of_type(L, index, &lt_class_type);
}

static bool is_instance_of_any(lua_State *L, const lt_Class *of, int list) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  bool result = false;
  for (lua_Integer i = 1; i <= count && !result; i++) {
    lua_rawgeti(L, list, i);
    const lt_Class *class_object = class_at(L, -1);
    if (class_object == NULL)
      lt_arg_error(L, &lt_TypeError, list, "class expected at index %I of the list, got %s", i,
                   lt_push_type_name(L, -1));
    result = lt_is_subclass(of, class_object);
    lua_pop(L, 1);
  }
  return result;
}

/*
** isinstance(value, class) -> boolean
** Whether any value is an exception or an object of the class or of one below it. A list of
** classes stands for any one of them. Raises TypeError if 'class' is something else. Follows
** Python's isinstance.
*/
int lt_isinstance(lua_State *L) {
  lt_check_any(L, 1);
  const lt_Class *of = lt_class_of(L, 1);
  const lt_Class *class_object = class_at(L, 2);
  if (class_object != NULL)
    lua_pushboolean(L, lt_is_subclass(of, class_object));
  else if (lua_type(L, 2) == LUA_TTABLE)
    lua_pushboolean(L, is_instance_of_any(L, of, 2));
  else
    lt_arg_type_error(L, 2, "class or list of classes");
  return 1;
}
