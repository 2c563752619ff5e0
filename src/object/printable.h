/*
** Text that comes from a script, made fit for a message: on one line, escaped where it can't be
** read, and cut where it is long.
*/
#ifndef lt_printable_h
#define lt_printable_h

#include <stddef.h>

#include <lua.h>

/* Pushes the text. */
void lt_printable_push(lua_State *L, const char *text, size_t length);

/* Pushes how a field with this name looks in a path: .name or ["any text"]. */
void lt_printable_push_name(lua_State *L, const char *name, size_t length);

/* The same for the key at 'index', which may be of any type: also [1]. */
void lt_printable_push_key(lua_State *L, int index);

#endif
