/*
** Loading a module for a message, with all that belongs to it.
*/
#ifndef lt_module_loading_h
#define lt_module_loading_h

#include <stdbool.h>

#include <lua.h>

#include "src/transfer/module_contents.h"

/*
** Pushes the module with this name, loading it if need be, with all that belongs to it; 'module'
** may be NULL. Returns false with the reason on the top if it can't be loaded. Raises what else
** goes wrong.
*/
bool lt_module_loading_push(lua_State *L, lt_ModuleContents *module, const char *name);

#endif
