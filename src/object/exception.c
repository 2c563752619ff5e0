/*
** Shared state: classes. They are written before they are shared; those of the library are never
** destroyed, those that a script makes go with their last reference.
*/
#include "src/object/exception.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/stack_room.h"
#include "src/object/traceback.h"

/*
** In the metatable of exceptions: their class, a light userdata if that lives as long as the
** library. The registry has the metatable of such a class by the address of the class.
*/
static const char class_key;

LT_CLASS(lt_BaseException, "BaseException", NULL, NULL);
LT_CLASS(lt_Exception, "Exception", &lt_BaseException, NULL);
LT_CLASS(lt_RuntimeError, "RuntimeError", &lt_Exception, NULL);
LT_CLASS(lt_ValueError, "ValueError", &lt_Exception, NULL);
LT_CLASS(lt_TypeError, "TypeError", &lt_Exception, NULL);
LT_CLASS(lt_AttributeError, "AttributeError", &lt_Exception, NULL);
LT_CLASS(lt_OverflowError, "OverflowError", &lt_Exception, NULL);
LT_CLASS(lt_TimeoutError, "TimeoutError", &lt_Exception, NULL);
LT_CLASS(lt_NotSupportedError, "NotSupportedError", &lt_RuntimeError, NULL);
LT_CLASS(lt_SystemExit, "SystemExit", &lt_BaseException, NULL);
LT_CLASS(lt_KeyboardInterrupt, "KeyboardInterrupt", &lt_BaseException, NULL);
LT_CLASS(lt_TimeLimitError, "TimeLimitError", &lt_BaseException, NULL);

void lt_exception_classes(lua_State *L) {
  static lt_Class *const classes[] = {
      &lt_BaseException, &lt_Exception,         &lt_RuntimeError,   &lt_ValueError,
      &lt_TypeError,     &lt_OverflowError,     &lt_TimeoutError,   &lt_NotSupportedError,
      &lt_SystemExit,    &lt_KeyboardInterrupt, &lt_AttributeError, &lt_TimeLimitError};
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

/* By the name in the metatable, which outlives the class when a state is being closed. */
static int exception_tostring(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1) || luaL_getmetafield(L, 1, "__name") != LUA_TSTRING)
    return lt_raise(L, &lt_TypeError, "exception expected, got %s", luaL_typename(L, 1));
  if (lua_getfield(L, 1, "where") != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  lua_insert(L, -2);
  lua_getfield(L, 1, "message");
  const char *message = luaL_tolstring(L, -1, NULL);
  lua_pushstring(L, message[0] == '\0' ? "" : ": ");
  lua_replace(L, -3);
  lua_concat(L, 4);
  if (!lt_is_subclass(lt_class_of(L, 1), &lt_SystemExit) && lt_traceback_in_handler(L)) {
    lua_pushliteral(L, "\n");
    lt_traceback_push_whole(L, 1, 2);
    lua_concat(L, 3);
  }
  return 1;
}

static int exception_concat(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  luaL_tolstring(L, 2, NULL);
  lua_concat(L, 2);
  return 1;
}

/*
** What most exceptions have in common is not written into each: 'where' without a place is "", and
** 'args' with nothing but the message is made when somebody asks for it.
*/
static void make_args(lua_State *L, int exception) {
  lua_createtable(L, 1, 1);
  lua_pushliteral(L, "message");
  lua_rawget(L, exception);
  bool has_message = lua_toboolean(L, -1) && !(lua_isstring(L, -1) && lua_rawlen(L, -1) == 0);
  if (has_message)
    lua_rawseti(L, -2, 1);
  else
    lua_pop(L, 1);
  lua_pushinteger(L, has_message);
  lua_setfield(L, -2, "n");
  lua_pushliteral(L, "args");
  lua_pushvalue(L, -2);
  lua_rawset(L, exception);
}

static int exception_index(lua_State *L) {
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  luaL_checktype(L, 1, LUA_TTABLE);
  if (strcmp(key, "__class__") == 0)
    lua_pushvalue(L, lua_upvalueindex(1));
  else if (strcmp(key, "args") == 0)
    make_args(L, 1);
  else if (strcmp(key, "where") == 0)
    lua_pushliteral(L, "");
  else
    lua_pushnil(L);
  return 1;
}

static int exception_next_field(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

static int exception_pairs(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushliteral(L, "args");
  if (lua_rawget(L, 1) == LUA_TNIL)
    make_args(L, 1);
  lua_pushcfunction(L, exception_next_field);
  lua_pushvalue(L, 1);
  return 2;
}

static const luaL_Reg exception_metamethods[] = {{"__tostring", exception_tostring},
                                                 {"__concat", exception_concat},
                                                 {"__pairs", exception_pairs},
                                                 {NULL, NULL}};

/* The class is on the top and remains. */
static void push_new_metatable(lua_State *L, lt_Class *class_object) {
  lua_createtable(L, 0, 8);
  if (!class_object->is_made)
    lua_pushlightuserdata(L, class_object);
  else
    lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, &class_key);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, exception_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, class_object->name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__metatable");
  luaL_setfuncs(L, exception_metamethods, 0);
}

/* A metatable keeps its class: so the registry has only those whose classes go never. */
void lt_class_push_metatable(lua_State *L, lt_Class *class_object) {
  lt_check_stack(L, 6);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, class_object) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lt_object_push(L, &class_object->object);
  if (lua_getiuservalue(L, -1, 1) != LUA_TTABLE) {
    lua_pop(L, 1);
    push_new_metatable(L, class_object);
    lua_pushvalue(L, -1);
    if (!class_object->is_made)
      lua_rawsetp(L, LUA_REGISTRYINDEX, class_object);
    else
      lua_setiuservalue(L, -3, 1);
  }
  lua_remove(L, -2);
}

lt_Class *lt_class_of_metatable(lua_State *L, int index) {
  lt_Class *class_object = NULL;
  int type = lua_rawgetp(L, index, &class_key);
  if (type == LUA_TLIGHTUSERDATA)
    class_object = lua_touserdata(L, -1);
  else if (type == LUA_TUSERDATA)
    class_object = (lt_Class *)lt_object_of_type(L, -1, &lt_class_type);
  lua_pop(L, 1);
  return class_object;
}

lt_Class *lt_class_of(lua_State *L, int index) {
  lt_Object *object = lt_object_at(L, index);
  if (object != NULL)
    return object->type->face == NULL ? NULL : object->type->face->class_object;
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
    return NULL;
  lt_Class *class_object = lt_class_of_metatable(L, -1);
  lua_pop(L, 1);
  return class_object;
}

void lt_exception_make(lua_State *L, lt_Class *class_object, int level) {
  size_t place;
  lt_check_stack(L, 8);
  const char *traceback = lt_traceback_push(L, level, &place);
  lua_createtable(L, 0, place > 0 ? 4 : 2);
  lua_insert(L, -3);
  if (place > 0) {
    lua_pushlstring(L, traceback + LT_TRACEBACK_PLACE, place);
    lua_setfield(L, -4, "where");
  }
  lua_setfield(L, -3, "traceback");
  lua_setfield(L, -2, "message");
  lt_class_push_metatable(L, class_object);
  lua_setmetatable(L, -2);
}

void lt_exception_push(lua_State *L, lt_Class *class_object, const char *message, int level) {
  lt_check_stack(L, 6);
  lua_pushstring(L, message);
  lt_exception_make(L, class_object, level);
}

bool lt_is_interrupt(lua_State *L, int index) {
  const lt_ContextBase *context = lt_context_base(L);
  return context != NULL && lt_class_of(L, index) != NULL &&
         lua_topointer(L, index) == context->raised;
}

bool lt_ends_thread(lua_State *L, int index) {
  const lt_Class *class_object = lt_class_of(L, index);
  if (lt_is_interrupt(L, index))
    return true;
  return lt_is_subclass(class_object, &lt_BaseException) &&
         !lt_is_subclass(class_object, &lt_Exception);
}

bool lt_is_want_of_memory(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING &&
         strcmp(lua_tostring(L, index), "not enough memory") == 0;
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
    bool has_place = lua_type(L, -1) == LUA_TSTRING ? lua_rawlen(L, -1) > 0 : !lua_isnil(L, -1);
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
  lt_check_stack(L, 8);
  va_start(values, format);
  if (strchr(format, '%') == NULL)
    lua_pushstring(L, format); /* Lua knows literals again */
  else
    lua_pushvfstring(L, format, values);
  va_end(values);
  lt_exception_make(L, class_object, 1);
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

lt_Type lt_class_type = {"class", NULL, destroy_class, NULL};

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
  class_object->is_made = true;
  class_object->base = base;
  class_object->construct = NULL;
  return class_object;
}
