/*
** What a thread inherits from its starter so that it can require modules: package.path,
** package.cpath and package.preload, as they are at that moment, and modules that it can't require.
*/
#ifndef lt_inherited_package_h
#define lt_inherited_package_h

#include "src/object/object.h"

/* The modules of this library, which every thread has by itself. */
typedef struct lt_OwnModules {
  const luaL_Reg *loaders;                 /* for package.preload */
  bool (*is_loader)(lua_CFunction loader); /* whether it is one of them, by whatever name */
} lt_OwnModules;

/* Written once, before the first runtime opens. */
extern const lt_OwnModules *lt_own_modules;

/*
** A reference to what a thread takes over that starts now. 'unchanged': the fields of package are as
** they were at the last start; 'modules' is a digest of package.loaded. May raise.
*/
lt_Object *lt_inherited_package_get(lua_State *L, bool unchanged, uint64_t modules);

/*
** In the thread, both before it requires anything: the paths first, while no code of the user's has
** run, then what may run code. May raise.
*/
void lt_inherited_package_apply_paths(lua_State *L, lt_Object *package);
void lt_inherited_package_apply_preload(lua_State *L, lt_Object *package);

#endif
