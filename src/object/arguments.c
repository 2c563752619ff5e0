#include "src/object/arguments.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "src/base/lua_version.h"
#include "src/base/stack_room.h"

/*
** A class that is a type is called in Lua, and one C function is called for all of them: which
** class it is for, of the last one that was called in this OS thread.
*/
static PLAT_THREAD_LOCAL const lt_Class *constructed;
static PLAT_THREAD_LOCAL lua_CFunction constructor;

int lt_construct(lua_State *L, const lt_Class *class_object, lua_CFunction called) {
  const lt_Class *before = constructed;
  constructor = called;
  constructed = class_object;
  int count = class_object->construct(L);
  constructed = before;
  return count;
}

/* "Queue" of "queue.Queue" */
static const char *name_of_class(const lt_Class *class_object) {
  const char *dot = strrchr(class_object->name, '.');
  return dot != NULL ? dot + 1 : class_object->name;
}

/*
** Pushes the name of the function of this call where the call does not tell it, as under pcall: a
** method has it from its type, another function from a module in which it is.
*/
static const char *push_function_name(lua_State *L, lua_Debug *call) {
  lt_Method method;
  lt_check_stack(L, 8);
  lua_getinfo(L, "f", call);
  if (lua_tocfunction(L, -1) == constructor)
    return name_of_class(constructed);
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
  enum { MOST = LT_STACK_LIMIT - 2000 };
  return count <= MOST && lt_stack_room(L, (int)count + lt_working_room(count));
}

/*
** Arguments that came as fields of a table have behind them, for errors: the address of this
** variable, that of their names, the table.
*/
static const char keywords_mark;

/* Pushes the field that the alternatives in 'name' call by one of their names, and its key. */
static void push_keyword(lua_State *L, int table, const char *name) {
  for (;;) {
    const char *end = strchr(name, '/');
    lua_pushlstring(L, name, end != NULL ? (size_t)(end - name) : strlen(name));
    lua_pushvalue(L, -1);
    if (lua_rawget(L, table) != LUA_TNIL || end == NULL)
      return;
    lua_pop(L, 2);
    name = end + 1;
  }
}

/* The name of the field that is the argument, which is pushed; 'arg' becomes the table's number. */
static const char *push_field_name(lua_State *L, int *arg) {
  for (int i = *arg + 1; i + 2 <= lua_gettop(L); i++) {
    if (lua_touserdata(L, i) != &keywords_mark)
      continue;
    const char *const *names = lua_touserdata(L, i + 1);
    int count = 0;
    while (names[count] != NULL)
      count++;
    int first = i - count;
    if (*arg < first)
      break;
    push_keyword(L, i + 2, names[*arg - first]);
    lua_pop(L, 1);
    *arg = first;
    return lua_tostring(L, -1);
  }
  return NULL;
}

static const char *push_called(lua_State *L, lua_Debug *call) {
  call->namewhat = "";
  if (!lua_getstack(L, 0, call))
    return "?";
  lua_getinfo(L, "n", call);
  bool is_known = call->name != NULL && strcmp(call->name, "?") != 0;
  return is_known ? call->name : push_function_name(L, call);
}

static _Noreturn void raise_arg(lua_State *L, lt_Class *class_object, int arg,
                                const char *message) {
  lua_Debug call;
  const char *function = push_called(L, &call);
  if (strcmp(call.namewhat, "method") == 0 && --arg == 0)
    lt_raise(L, class_object, "calling '%s' on bad self (%s)", function, message);
  lt_raise(L, class_object, "bad argument #%d to '%s' (%s)", arg, function, message);
}

int lt_arg_error(lua_State *L, lt_Class *class_object, int arg, const char *format, ...) {
  lt_check_stack(L, 12);
  const char *field = push_field_name(L, &arg);
  va_list values;
  va_start(values, format);
  const char *message = lua_pushvfstring(L, format, values);
  va_end(values);
  if (field != NULL)
    message = lua_pushfstring(L, "field '%s': %s", field, message);
  raise_arg(L, class_object, arg, message);
}

const char *lt_push_type_name(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
    return lt_proxy_has_ended(L, index)
               ? lua_pushfstring(L, "%s of a state that is being closed", lua_tostring(L, -1))
               : lua_tostring(L, -1);
  if (lua_type(L, index) == LUA_TLIGHTUSERDATA)
    return lua_pushliteral(L, "light userdata");
  if (lua_type(L, index) == LUA_TTHREAD)
    return lua_pushliteral(L, "coroutine");
  return lua_pushstring(L, luaL_typename(L, index));
}

/* "number 0.2", "string 'x'": the type, and the value if it is a short one. */
static const char *push_described(lua_State *L, int index) {
  enum { SHOWN = 40 };
  size_t length;
  switch (lua_type(L, index)) {
  case LUA_TNUMBER:
  case LUA_TBOOLEAN:
    return lua_pushfstring(L, "%s %s", luaL_typename(L, index), luaL_tolstring(L, index, NULL));
  case LUA_TSTRING: {
    const char *string = lua_tolstring(L, index, &length);
    if (length <= SHOWN && strlen(string) == length)
      return lua_pushfstring(L, "string '%s'", string);
  } /* FALLTHROUGH */
  default:
    return lt_push_type_name(L, index);
  }
}

static bool is_shared_table(lua_State *L, int arg) {
  bool is_shared = strcmp(lt_push_type_name(L, arg), "_thread.shared") == 0;
  lua_pop(L, 1);
  return is_shared;
}

/* Of a field the value is told too, as the call may be long ago. */
int lt_arg_type_error(lua_State *L, int arg, const char *expected) {
  lt_check_stack(L, 12);
  int place = arg;
  const char *field = push_field_name(L, &place);
  if (field != NULL && lua_isnil(L, arg))
    raise_arg(L, &lt_TypeError, place,
              lua_pushfstring(L, "field '%s' is missing, %s expected", field, expected));
  lt_arg_error(L, &lt_TypeError, arg, "%s expected, got %s", expected,
               field != NULL ? push_described(L, arg) : lt_push_type_name(L, arg));
}

void lt_check_most(lua_State *L, int self, int most) {
  lua_Debug call;
  int count = lua_gettop(L) - self;
  if (count <= most)
    return;
  const char *function = push_called(L, &call);
  if (most == 0)
    lt_raise(L, &lt_TypeError, "%s takes no arguments (%d given)", function, count);
  lt_raise(L, &lt_TypeError, "%s takes at most %d argument%s (%d given)", function, most,
           most == 1 ? "" : "s", count);
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
  if (lua_type(L, arg) == type)
    return;
  if (type == LUA_TTABLE && is_shared_table(L, arg))
    lt_arg_error(L, &lt_TypeError, arg,
                 "plain table expected, got a shared one: use _thread.copy(t)");
  lt_arg_type_error(L, arg, lua_typename(L, type));
}

void lt_check_callable(lua_State *L, int arg) {
  if (lua_isfunction(L, arg))
    return;
  if (luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
    lt_arg_type_error(L, arg, "function");
  lua_pop(L, 1);
}

lua_Integer lt_check_list(lua_State *L, int arg) {
  lt_check_type(L, arg, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, arg);
  lua_pushliteral(L, "n");
  if (lua_rawget(L, arg) != LUA_TNIL) {
    int is_integer;
    lua_Integer n = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || n < 0)
      lt_arg_error(L, &lt_TypeError, arg, "field 'n' must be a count, got %s",
                   luaL_tolstring(L, -1, NULL));
    count = n;
  }
  lua_pop(L, 1);
  return count;
}

void lt_check_any(lua_State *L, int arg) {
  if (lua_isnone(L, arg))
    lt_arg_error(L, &lt_TypeError, arg, "value expected");
}

bool lt_opt_flag(lua_State *L, int arg, bool otherwise) {
  if (lua_isnoneornil(L, arg))
    return otherwise;
  if (lua_isboolean(L, arg))
    return lua_toboolean(L, arg);
  if (lua_type(L, arg) != LUA_TNUMBER || (lua_tonumber(L, arg) != 0 && lua_tonumber(L, arg) != 1))
    lt_arg_error(L, &lt_TypeError, arg, "true, false, 1 or 0 expected, got %s",
                 push_described(L, arg));
  return lua_tonumber(L, arg) == 1;
}

bool lt_opt_waits(lua_State *L, int arg) {
  if (lua_type(L, arg) == LUA_TNUMBER && lua_tonumber(L, arg) != 0 && lua_tonumber(L, arg) != 1)
    lt_arg_error(L, &lt_TypeError, arg,
                 "true, false, 1 or 0 expected, got %s; a timeout is given as {timeout = %s}",
                 push_described(L, arg), luaL_tolstring(L, arg, NULL));
  return lt_opt_flag(L, arg, true);
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
  return seconds < 0 ? -1 : (plat_Time)ceil((double)seconds * (double)PLAT_SECOND);
}

plat_Time lt_opt_deadline(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg))
    return PLAT_FOREVER;
  plat_Time span = lt_check_span(L, arg);
  if (span == 0)
    return PLAT_AT_ONCE;
  return span >= 0 ? plat_after(plat_now(), span) : PLAT_FOREVER;
}

plat_Time lt_opt_time_limit(lua_State *L, int arg) {
  plat_Time deadline = lt_opt_deadline(L, arg);
  return deadline == PLAT_FOREVER && !lua_isnoneornil(L, arg) ? PLAT_AT_ONCE : deadline;
}

/*
** Keywords
*/

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
  if (lua_gettop(L) != arg)
    return;
  if (lua_isuserdata(L, arg) && is_shared_table(L, arg))
    lt_check_type(L, arg, LUA_TTABLE);
  if (lua_type(L, arg) != LUA_TTABLE)
    return;
  if (lua_getmetatable(L, arg)) {
    lua_pop(L, 1);
    return;
  }
  lt_check_stack(L, 12);
  lua_pushnil(L);
  while (lua_next(L, arg)) {
    lua_pop(L, 1);
    check_keyword(L, arg, names);
  }
  for (const char *const *name = names; *name != NULL; name++) {
    push_keyword(L, arg, *name);
    lua_remove(L, -2);
  }
  lua_pushlightuserdata(L, (void *)&keywords_mark);
  lua_pushlightuserdata(L, (void *)names);
  lua_rotate(L, arg, -1);
}
