/*
** Classes and exceptions.
**
** A class is a shared object: it is the same one in every thread. An exception is a table whose
** metatable belongs to its class; it is copied when it crosses states, its class is not.
*/
#ifndef lt_exception_h
#define lt_exception_h

#include <stdbool.h>

#include "src/object/object.h"

struct lt_Class {
  lt_Object object;
  const char *name;
  lt_Class *base;
  lua_CFunction construct; /* what calling the class does; NULL: it makes an exception */
  bool is_made;            /* by a script: others live as long as the library */
};

extern lt_Type lt_class_type;

/* A class that lives as long as the library: LT_CLASS(name, "its.name", base, construct). */
#define LT_CLASS(variable, name, base, construct)                                                  \
  lt_Class variable = {{LT_STAYS_FOR_EVER, &lt_class_type, NULL}, name, base, construct, false}

extern lt_Class lt_BaseException, lt_Exception, lt_RuntimeError, lt_ValueError, lt_TypeError,
    lt_AttributeError, lt_OverflowError, lt_TimeoutError, lt_NotSupportedError, lt_SystemExit,
    lt_KeyboardInterrupt, lt_TimeLimitError;

/* Sets the built-in exception classes as fields of the table on the top. */
void lt_exception_classes(lua_State *L);

/*
** Raises an exception of a class, with a message formatted as by lua_pushfstring, and the place
** of the function that called the running C function.
*/
_Noreturn int lt_raise(lua_State *L, lt_Class *class_object, const char *format, ...);

/* Raises the value on the top. */
_Noreturn void lt_throw(lua_State *L);

/*
** Raises the value on the top again, behind a protected call. An exception that got no place
** within gets that of the function that called the running C function.
*/
_Noreturn void lt_throw_again(lua_State *L);

/* Raises the error that Lua itself raises without memory. */
_Noreturn int lt_raise_memory(lua_State *L);

/* Pushes an exception; 'level' is the stack level whose place and traceback it takes. */
void lt_exception_push(lua_State *L, lt_Class *class_object, const char *message, int level);

/*
** The same with the message on the top, a string, whose place the exception takes. Its list of
** arguments is the message alone, until it gets another.
*/
void lt_exception_make(lua_State *L, lt_Class *class_object, int level);

/* A new exception class; the reference is the caller's. NULL without memory. */
lt_Class *lt_class_new(lt_Class *base, const char *name);

/* Pushes the metatable that exceptions of a class have in this state. */
void lt_class_push_metatable(lua_State *L, lt_Class *class_object);

/* The class to which the metatable at 'index' belongs, or NULL. */
lt_Class *lt_class_of_metatable(lua_State *L, int index);

/* The class of any value: of an exception or a shared object; NULL for all others. */
lt_Class *lt_class_of(lua_State *L, int index);

/* Whether it is the last interrupt of the thread. */
bool lt_is_interrupt(lua_State *L, int index);

/*
** Whether it is one that is not for catching in passing, nor to be taken for a failure of what it
** has struck: a BaseException, but no Exception, or the last interrupt of the thread.
*/
bool lt_ends_thread(lua_State *L, int index);

/* Whether it is what Lua raises for want of memory. That says nothing about what has raised it. */
bool lt_is_want_of_memory(lua_State *L, int index);

bool lt_is_subclass(const lt_Class *class_object, const lt_Class *base);

#endif
