/*
** Shared state: classes. They are written before they are shared; those of the library are never
** destroyed, those that a script makes go with their last reference.
*/
#include "src/exception.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* In the metatable of exceptions: their class. */
static const char class_key;

LT_CLASS(lt_BaseException, "BaseException", NULL, NULL);
LT_CLASS(lt_Exception, "Exception", &lt_BaseException, NULL);
LT_CLASS(lt_RuntimeError, "RuntimeError", &lt_Exception, NULL);
LT_CLASS(lt_ValueError, "ValueError", &lt_Exception, NULL);
LT_CLASS(lt_TypeError, "TypeError", &lt_Exception, NULL);
LT_CLASS(lt_OverflowError, "OverflowError", &lt_Exception, NULL);
LT_CLASS(lt_SystemExit, "SystemExit", &lt_BaseException, NULL);
LT_CLASS(lt_KeyboardInterrupt, "KeyboardInterrupt", &lt_BaseException, NULL);

void lt_exception_classes(lua_State *L) {
  static lt_Class *const classes[] = {&lt_BaseException, &lt_Exception,        &lt_RuntimeError,
                                      &lt_ValueError,    &lt_TypeError,        &lt_OverflowError,
                                      &lt_SystemExit,    &lt_KeyboardInterrupt};
  for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
    lt_object_push(L, &classes[i]->object);
    lua_setfield(L, -2, classes[i]->name);
  }
}

bool lt_is_subclass(const lt_Class *class_object, const lt_Class *base) {
  while (class_object != NULL && class_object != base)
    class_object = class_object->base;
  return class_object != NULL;
}

/*
** Exceptions
*/

static int exception_tostring(lua_State *L) {
  lt_Class *class_object = lt_class_of(L, 1);
  if (class_object == NULL)
    return lt_raise(L, &lt_TypeError, "exception expected, got %s", luaL_typename(L, 1));
  lua_settop(L, 1);
  if (lua_getfield(L, 1, "where") != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_pushstring(L, class_object->name);
  lua_getfield(L, 1, "message");
  const char *message = luaL_tolstring(L, -1, NULL);
  lua_pushstring(L, message[0] == '\0' ? "" : ": ");
  lua_insert(L, -2);
  lua_remove(L, -3);
  lua_concat(L, 4);
  return 1;
}

static int exception_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

static const luaL_Reg exception_metamethods[] = {
    {"__tostring", exception_tostring}, {"__concat", exception_concat}, {NULL, NULL}};

void lt_class_push_metatable(lua_State *L, lt_Class *class_object) {
  luaL_checkstack(L, 6, "too many values");
  lt_object_push(L, &class_object->object);
  if (lua_getiuservalue(L, -1, 1) == LUA_TTABLE) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_createtable(L, 0, 6);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, &class_key);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__class__");
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, class_object->name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__metatable");
  luaL_setfuncs(L, exception_metamethods, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, 1);
  lua_remove(L, -2);
}

lt_Class *lt_class_of_metatable(lua_State *L, int index) {
  lt_Object *object = NULL;
  if (lua_rawgetp(L, index, &class_key) == LUA_TUSERDATA)
    object = lt_object_of_type(L, -1, &lt_class_type);
  lua_pop(L, 1);
  return (lt_Class *)object;
}

lt_Class *lt_class_of(lua_State *L, int index) {
  lt_Object *object = lt_object_at(L, index);
  if (object != NULL)
    return object->type->class_object;
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
    return NULL;
  lt_Class *class_object = lt_class_of_metatable(L, -1);
  lua_pop(L, 1);
  return class_object;
}

void lt_exception_make(lua_State *L, lt_Class *class_object, int level) {
  lua_createtable(L, 0, 4);
  lua_insert(L, -3);
  lua_setfield(L, -3, "args");
  lua_setfield(L, -2, "message");
  luaL_where(L, level);
  lua_setfield(L, -2, "where");
  luaL_traceback(L, L, NULL, level);
  lua_setfield(L, -2, "traceback");
  lt_class_push_metatable(L, class_object);
  lua_setmetatable(L, -2);
}

void lt_exception_push(lua_State *L, lt_Class *class_object, const char *message, int level) {
  luaL_checkstack(L, 8, "too many values");
  lua_pushstring(L, message);
  lua_createtable(L, 1, 1);
  int count = message[0] != '\0';
  if (count == 1) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  lt_exception_make(L, class_object, level);
}

bool lt_ends_thread(lua_State *L, int index) {
  const lt_Class *class_object = lt_class_of(L, index);
  return lt_is_subclass(class_object, &lt_BaseException) &&
         !lt_is_subclass(class_object, &lt_Exception);
}

/* Lua does not declare that lua_error never returns. */
void lt_throw(lua_State *L) {
  lua_error(L);
  abort();
}

void lt_throw_again(lua_State *L) {
  if (lua_istable(L, -1) && lt_class_of(L, -1) != NULL && lua_checkstack(L, 4)) {
    lua_pushliteral(L, "where");
    lua_rawget(L, -2);
    size_t length = lua_rawlen(L, -1);
    bool has_place = lua_type(L, -1) != LUA_TSTRING || length > 0;
    lua_pop(L, 1);
    if (!has_place) {
      lua_pushliteral(L, "where");
      luaL_where(L, 1);
      lua_rawset(L, -3);
    }
  }
  lt_throw(L);
}

int lt_raise(lua_State *L, lt_Class *class_object, const char *format, ...) {
  va_list values;
  luaL_checkstack(L, 8, "too many values");
  va_start(values, format);
  const char *message = lua_pushvfstring(L, format, values);
  va_end(values);
  lt_exception_push(L, class_object, message, 1);
  lt_throw(L);
}

int lt_raise_memory(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  lt_throw(L);
}

/*
** Classes
*/

static void destroy_class(lt_Object *object) {
  lt_Class *class_object = (lt_Class *)object;
  lt_object_release(&class_object->base->object);
  free(class_object);
}

const lt_Type lt_class_type = {"class", NULL, NULL, lt_class_metamethods, destroy_class, NULL};

/* The name is kept behind the structure. */
lt_Class *lt_class_new(lt_Class *base, const char *name) {
  size_t length = strlen(name);
  lt_Class *class_object = malloc(sizeof(*class_object) + length + 1);
  if (class_object == NULL)
    return NULL;
  memcpy(class_object + 1, name, length + 1);
  lt_object_init(&class_object->object, &lt_class_type);
  lt_object_retain(&base->object);
  class_object->name = (const char *)(class_object + 1);
  class_object->base = base;
  class_object->construct = NULL;
  return class_object;
}
