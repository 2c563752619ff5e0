/*
** Modules that a thread can't require by itself, but can have of its starter (see module_offer.h): in
** its package.preload each has a loader, which makes it when it is first required.
*/
#ifndef lt_inherited_modules_h
#define lt_inherited_modules_h

#include <lua.h>

/* Replaces, in the table of loaders on the top, those of such modules by objects that cross. */
void lt_inherited_modules_replace(lua_State *L);

/* Adds objects for the modules that this state offers, where there are no loaders. May raise. */
void lt_inherited_modules_add(lua_State *L);

/* In the thread: replaces the value on the top, if it is such an object, by a loader. */
void lt_inherited_modules_push_loader(lua_State *L);

#endif
