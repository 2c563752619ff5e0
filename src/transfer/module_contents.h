/*
** What a state knows of a loaded module that others must know to have it as complete: all names
** under which package.loaded has it, its members, and which modules may have added some of them. It
** is a shared object, which goes with the module's name to those who receive it.
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
