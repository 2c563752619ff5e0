/*
** What a thread inherits of package.searchers: which of Lua's own are left, in which order, and what
** a script has put among them.
*/
#ifndef lt_inherited_searchers_h
#define lt_inherited_searchers_h

#include <stdint.h>

#include "src/thread/stock_libraries.h"

/* Tells whether they are still those that they were; of the table package at 'index'. */
uint64_t lt_inherited_searchers_digest(lua_State *L, int package);

/*
** Pushes a list that can cross: numbers of Lua's own, and objects that stand for others. Or nil: they
** are all there, and no others. What can't cross is left out. Returns whether there are others. May
** raise.
*/
bool lt_inherited_searchers_push(lua_State *L, int package, const lt_Stock *stock);

/* In the thread: makes those of the list at 'list' the searchers of the table at 'package'. */
void lt_inherited_searchers_set(lua_State *L, int package, int list);

#endif
