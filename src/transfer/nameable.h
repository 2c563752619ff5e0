/*
** Which modules go by their name: those that another state can require.
*/
#ifndef lt_nameable_h
#define lt_nameable_h

#include <stdbool.h>

#include <lua.h>

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

#endif
