/*
** Modules that other states can't require, as only package.loaded has them: of a host, set by hand,
** or of a searcher of one's own. A state that starts threads offers them: what can cross of one, as
** it was when it was met first, is packed once, and is made in each state that asks for it. From
** then on it goes by its name as any module does.
*/
#ifndef lt_module_offer_h
#define lt_module_offer_h

#include <lua.h>

/*
** Makes the offers that are lacking, and pushes a table of all modules in package.loaded that are
** offered, by their names, or nil if there are none. May raise.
*/
void lt_module_offer_push_all(lua_State *L);

#endif
