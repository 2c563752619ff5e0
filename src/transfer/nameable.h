/*
** Which modules go by their name: those that another state can require.
*/
#ifndef lt_nameable_h
#define lt_nameable_h

#include <stdbool.h>

#include "src/object/object.h"

/* Whether this is the name of one of Lua's libraries. */
bool lt_nameable_is_library(const char *module);

/* Whether it is one of Lua's or of lthread's own, which every state has whole. */
bool lt_nameable_is_standard(const char *module);

/*
** Whether the module on the top, which package.loaded has under this name, can be required by it:
** it is standard, or package.preload has a loader for it that can cross, or a file is found. It is
** asked once for each module.
*/
bool lt_nameable_has(lua_State *L, const char *name);

/* The loader on the top, of package.preload, can't cross. Returns whether that is news. */
bool lt_nameable_exclude(lua_State *L);

/*
** The module below the top can be had of the object on the top, an lt_ModuleOffer, which is popped:
** then it is nameable by this name.
*/
void lt_nameable_offer(lua_State *L, const char *name);

/* The offer of the module on the top; NULL: there is none. The module keeps it. */
lt_Object *lt_nameable_offered(lua_State *L);

#endif
