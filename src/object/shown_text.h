/*
** What comes from a script and is shown in a message: on one line, with what can't be read escaped,
** and cut where it is long.
*/
#ifndef lt_shown_text_h
#define lt_shown_text_h

#include <stddef.h>

#include <lua.h>

/* Pushes the text. */
void lt_push_shown(lua_State *L, const char *text, size_t length);

/* Pushes how a field with this name looks in a path: .name or ["any text"]. */
void lt_push_name_step(lua_State *L, const char *name, size_t length);

/* The same for the key at 'index', which may be of any type: also [1]. */
void lt_push_key_step(lua_State *L, int index);

#endif
