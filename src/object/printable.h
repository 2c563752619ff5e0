/*
** What comes from a script and is shown in a message: on one line, with what can't be read escaped,
** and cut where it is long.
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
