#include "src/args.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/*
** Pushes the name of the function of this call where the call does not tell it, as under pcall: a
** method has it from its type, another function from a module in which it is.
*/
static const char *push_function_name(lua_State *L, lua_Debug *call) {
  lt_Method method;
  luaL_checkstack(L, 8, "too many values");
  lua_getinfo(L, "f", call);
  if (lt_method_find(L, -1, &method))
    return method.name;
  int function = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, function + 1)) {
    if (lua_type(L, -1) == LUA_TTABLE) {
      lua_pushnil(L);
      while (lua_next(L, -2)) {
        if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING)
          return lua_tostring(L, -2);
        lua_pop(L, 1);
      }
    }
    lua_pop(L, 1);
  }
  return "?";
}

/* The thread that receives the values needs some more room than this one. */
bool lt_make_room(lua_State *L, lua_Integer count) {
  enum { MOST = LUAI_MAXSTACK - 2000 };
  return count <= MOST && lua_checkstack(L, (int)count + lt_working_room(count));
}

int lt_arg_error(lua_State *L, lt_Class *class_object, int arg, const char *format, ...) {
  lua_Debug call;
  const char *function = "?";
  luaL_checkstack(L, 8, "too many values");
  va_list values;
  va_start(values, format);
  const char *message = lua_pushvfstring(L, format, values);
  va_end(values);
  if (lua_getstack(L, 0, &call)) {
    lua_getinfo(L, "n", &call);
    function = call.name != NULL ? call.name : push_function_name(L, &call);
    if (strcmp(call.namewhat, "method") == 0) {
      if (--arg == 0)
        lt_raise(L, class_object, "calling '%s' on bad self (%s)", function, message);
    }
  }
  lt_raise(L, class_object, "bad argument #%d to '%s' (%s)", arg, function, message);
}

const char *lt_push_type_name(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
    return lt_proxy_has_ended(L, index)
               ? lua_pushfstring(L, "%s of a state that is being closed", lua_tostring(L, -1))
               : lua_tostring(L, -1);
  if (lua_type(L, index) == LUA_TLIGHTUSERDATA)
    return lua_pushliteral(L, "light userdata");
  return lua_pushstring(L, luaL_typename(L, index));
}

int lt_arg_type_error(lua_State *L, int arg, const char *expected) {
  lt_arg_error(L, &lt_TypeError, arg, "%s expected, got %s", expected, lt_push_type_name(L, arg));
}

const char *lt_check_string(lua_State *L, int arg, size_t *length) {
  size_t bytes;
  if (lua_type(L, arg) != LUA_TSTRING)
    lt_arg_type_error(L, arg, "string");
  const char *string = lua_tolstring(L, arg, &bytes);
  if (strlen(string) != bytes)
    lt_arg_error(L, &lt_ValueError, arg, "string contains zeros");
  if (length != NULL)
    *length = bytes;
  return string;
}

lua_Integer lt_check_integer(lua_State *L, int arg) {
  int is_integer;
  lua_Integer value = lua_tointegerx(L, arg, &is_integer);
  if (!is_integer) {
    if (lua_isnumber(L, arg))
      lt_arg_error(L, &lt_TypeError, arg, "number has no integer representation");
    lt_arg_type_error(L, arg, "number");
  }
  return value;
}

void lt_check_type(lua_State *L, int arg, int type) {
  if (lua_type(L, arg) != type)
    lt_arg_type_error(L, arg, lua_typename(L, type));
}

void lt_check_callable(lua_State *L, int arg) {
  if (lua_isfunction(L, arg))
    return;
  if (luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
    lt_arg_type_error(L, arg, "function");
  lua_pop(L, 1);
}

void lt_check_any(lua_State *L, int arg) {
  if (lua_isnone(L, arg))
    lt_arg_error(L, &lt_TypeError, arg, "value expected");
}

bool lt_opt_flag(lua_State *L, int arg, bool otherwise) {
  if (lua_isnoneornil(L, arg))
    return otherwise;
  if (lua_type(L, arg) == LUA_TNUMBER)
    return lua_tonumber(L, arg) != 0;
  return lua_toboolean(L, arg);
}

plat_Time lt_check_span(lua_State *L, int arg) {
  int is_number;
  lua_Number seconds = lua_tonumberx(L, arg, &is_number);
  if (!is_number)
    lt_arg_type_error(L, arg, "number");
  if (isnan(seconds))
    lt_arg_error(L, &lt_ValueError, arg, "timeout is not a number (nan)");
  if (seconds > LT_TIMEOUT_MAX)
    lt_arg_error(L, &lt_OverflowError, arg, "timeout of %f seconds is too large, TIMEOUT_MAX is %f",
                 seconds, LT_TIMEOUT_MAX);
  return seconds < 0 ? -1 : (plat_Time)ceil(seconds * (lua_Number)PLAT_SECOND);
}

plat_Time lt_opt_deadline(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return PLAT_FOREVER;
  plat_Time span = lt_check_span(L, arg);
  if (span == 0)
    return PLAT_AT_ONCE;
  plat_Time now = plat_now();
  return span >= 0 && span < PLAT_FOREVER - now ? now + span : PLAT_FOREVER;
}

/*
** Keywords
*/

/* Pushes the field that the alternatives in 'name' call by one of their names. */
static void push_keyword(lua_State *L, int table, const char *name) {
  for (;;) {
    const char *end = strchr(name, '/');
    lua_pushlstring(L, name, end != NULL ? (size_t)(end - name) : strlen(name));
    if (lua_rawget(L, table) != LUA_TNIL || end == NULL)
      return;
    lua_pop(L, 1);
    name = end + 1;
  }
}

static bool names_keyword(const char *name, const char *key, size_t length) {
  while (name != NULL) {
    if (strncmp(name, key, length) == 0 && (name[length] == '\0' || name[length] == '/'))
      return true;
    name = strchr(name, '/');
    if (name != NULL)
      name++;
  }
  return false;
}

static void check_keyword(lua_State *L, int arg, const char *const *names) {
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING)
    lt_arg_error(L, &lt_TypeError, arg,
                 "a table of arguments has no keys but their names, got a %s",
                 luaL_typename(L, -1));
  const char *key = lua_tolstring(L, -1, &length);
  for (; *names != NULL; names++)
    if (names_keyword(*names, key, length))
      return;
  lt_arg_error(L, &lt_TypeError, arg, "unexpected keyword argument '%s'", key);
}

void lt_spread_keywords(lua_State *L, int arg, const char *const *names) {
  if (lua_type(L, arg) != LUA_TTABLE || lua_gettop(L) != arg)
    return;
  if (lua_getmetatable(L, arg)) {
    lua_pop(L, 1);
    return;
  }
  luaL_checkstack(L, 12, "too many arguments");
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    lua_pop(L, 1);
    check_keyword(L, arg, names);
  }
  for (; *names != NULL; names++)
    push_keyword(L, arg, *names);
  lua_remove(L, arg);
}
