/*
** Values that cross by their name, because every state can get them for itself: members of loaded
** modules.
*/
#ifndef lt_module_names_h
#define lt_module_names_h

#include <stdbool.h>

#include <lua.h>

#include "src/transfer/module_contents.h"
#include "src/transfer/module_index.h"

/*
** Looks for the table, function or userdata with this address in the index at 'index', where a
** newer one may take its place. The steps are valid as long as that lies there.
*/
bool lt_module_names_find(lua_State *L, int index, const void *address, lt_ModulePath *path);

/*
** Pushes the module of the path, loading it if need be, with all that belongs to it, or raises
** RuntimeError. 'module' may be NULL. If it is optional, nil takes its place where it can't be
** loaded, and false is returned.
*/
bool lt_module_names_load(lua_State *L, const lt_ModulePath *path, lt_ModuleContents *module,
                          bool optional);

/* The same for what the path leads to. */
void lt_module_names_push(lua_State *L, const lt_ModulePath *path, lt_ModuleContents *module,
                          bool optional);

/* Raises that the receiver's module lacks what the path leads to. */
_Noreturn void lt_module_names_raise_lacking(lua_State *L, const lt_ModulePath *path);

/* Whether the path leads to what a new state has from its beginning under this global name. */
bool lt_module_names_is_standard_global(const lt_ModulePath *path, const char *name);

#endif
