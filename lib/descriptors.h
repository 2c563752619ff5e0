/*
** The descriptors of values: of numbers, files, and objects that have one.
*/
#ifndef lt_descriptors_h
#define lt_descriptors_h

#include <lua.h>
#include <stdbool.h>

/*
** The descriptor of the value at 'index', part of argument 1. False: it is no value that could have
** one. Raises ValueError where it could and has none; 'where' begins the message. May call a method
** of the value.
*/
bool lt_descriptor_of(lua_State *L, int index, const char *where, int *descriptor);

/* Whether the object there has bytes in its own buffer, as luasocket's may. */
bool lt_descriptor_is_dirty(lua_State *L, int index);

/* Raises what has kept a descriptor from being made: an errno. */
_Noreturn int lt_raise_no_descriptor(lua_State *L, const char *what, int error);

#endif
