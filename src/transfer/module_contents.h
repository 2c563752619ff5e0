/*
** The contents of a loaded module, as far as another state must know them to have the module as
** complete: all names under which package.loaded has it, its members, and which other modules may
** have added some of them. A shared object, which crosses together with the module's name.
*/
#ifndef lt_module_contents_h
#define lt_module_contents_h

#include <lua.h>

#include "src/object/object.h"

typedef struct lt_ModuleContents lt_ModuleContents;

/*
** That of the module with this name, with a reference for the caller; NULL if whoever loads it by
** this name has all of it.
*/
lt_ModuleContents *lt_module_contents_new(lua_State *L, const char *name);

/*
** Pushes the module with this name, loading it if need be, with all that belongs to it; 'module'
** may be NULL. Returns false with the reason on the top if it can't be loaded. Raises what else
** goes wrong.
*/
bool lt_module_contents_push(lua_State *L, const lt_ModuleContents *module, const char *name);

#endif
