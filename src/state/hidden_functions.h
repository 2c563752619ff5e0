/*
** Functions of Lua's own libraries that have upvalues, so that they can't cross between states by
** their address, and that a state has although no name leads to them any more: a script, or the
** starter of the thread, has put another function in their place, which may call them.
*/
#ifndef lt_hidden_functions_h
#define lt_hidden_functions_h

#include "src/base/library_functions.h"

/* Whether the function at 'index' is such a one, hidden or not, and which. */
bool lt_hidden_functions_find(lua_State *L, int index, lt_LibraryFunction *which);

/* Keeps those that the state has in its libraries, which are still untouched. May raise. */
void lt_hidden_functions_keep(lua_State *L);

/* By which scripts call it. */
const char *lt_hidden_functions_name(lt_LibraryFunction which);

/* Pushes this one; false, and nil, if the state does not have it. */
bool lt_hidden_functions_push(lua_State *L, lt_LibraryFunction which);

/*
** Pushes what loads the module of a name for the library itself: lthread's own modules need only
** package.preload; all others are left to the global 'require', or to the hidden one.
*/
void lt_hidden_functions_push_require(lua_State *L);

#endif
