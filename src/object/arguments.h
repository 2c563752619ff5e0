/*
** Arguments that functions get from Lua: what luaL_check... does, but raising exceptions of lthread
** that name the argument and its value.
*/
#ifndef lt_arguments_h
#define lt_arguments_h

#include <stdbool.h>

#include "platform/platform.h"
#include "src/object/exception.h"

/* Seconds, the longest span that can be waited for. */
#define LT_TIMEOUT_MAX 9223372036.0

/*
** Where so many values lie on the stack, this much room is left to work with them. A few do without
** a larger stack.
*/
static inline int lt_working_room(lua_Integer count) {
  return count < 1000 ? LUA_MINSTACK : 1000;
}

/*
** Makes room for so many values, which a user brings, and to work with them. False: there is none.
*/
bool lt_make_room(lua_State *L, lua_Integer count);

/* "bad argument #1 to 'f' (message)", as an exception of the class. */
_Noreturn int lt_arg_error(lua_State *L, lt_Class *class_object, int arg, const char *format, ...);
_Noreturn int lt_arg_type_error(lua_State *L, int arg, const char *expected);

/* Pushes what errors call the type of a value: "number", "_thread.lock", "no value". */
const char *lt_push_type_name(lua_State *L, int index);

/*
** Raises TypeError if there are more arguments than 'most', besides 'self' for those of a method.
*/
void lt_check_most(lua_State *L, int self, int most);

/*
** Calls what makes an object of a class, from the function 'called' that is called in its place:
** errors of arguments tell the name of the class.
*/
int lt_construct(lua_State *L, const lt_Class *class_object, lua_CFunction called);

/* A string without zeros within; 'length' may be NULL. */
const char *lt_check_string(lua_State *L, int arg, size_t *length);
lua_Integer lt_check_integer(lua_State *L, int arg);

/* A list; returns how long it is: its field 'n', if there is one, or its length. */
lua_Integer lt_check_list(lua_State *L, int arg);

void lt_check_type(lua_State *L, int arg, int type);
void lt_check_callable(lua_State *L, int arg);
void lt_check_any(lua_State *L, int arg);

/* Raises TypeError if there is no object of this type. */
static inline const lt_Proxy *lt_check_proxy(lua_State *L, int arg, const lt_Type *type) {
  const lt_Proxy *proxy = lt_proxy_of_type(L, arg, type);
  if (proxy == NULL)
    lt_arg_type_error(L, arg, type->name);
  return proxy;
}

static inline lt_Object *lt_check_object(lua_State *L, int arg, const lt_Type *type) {
  return lt_check_proxy(L, arg, type)->object;
}

/* A flag is a boolean, 0 or 1; nil is 'otherwise'. All else is a TypeError. */
bool lt_opt_flag(lua_State *L, int arg, bool otherwise);

/* The flag that says whether to wait, where one may take it for the timeout. nil is true. */
bool lt_opt_waits(lua_State *L, int arg);

/* A span given in seconds, negative ones too. Raises ValueError and OverflowError. */
plat_Time lt_check_span(lua_State *L, int arg);

/* When that span will have passed; nil and anything negative is for ever. */
plat_Time lt_opt_deadline(lua_State *L, int arg);

/* The same, but what is negative has passed already. */
plat_Time lt_opt_time_limit(lua_State *L, int arg);

/*
** If the argument is a single plain table, puts its fields in its place, in the order of the
** names (the list ends with NULL; "blocking/waitflag" is one argument with two names). Other keys
** are TypeErrors. Behind the fields lie then as many values as this for errors, which name the
** field as long as they are there.
*/
enum { LT_KEYWORD_VALUES = 3 };
void lt_spread_keywords(lua_State *L, int arg, const char *const *names);

#endif
