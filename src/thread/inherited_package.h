/*
** What a thread takes over of the one that starts it so that it can require modules: package.path,
** package.cpath and package.preload as they are at that moment.
*/
#ifndef lt_inherited_package_h
#define lt_inherited_package_h

#include "src/object/object.h"

/* A reference to what a thread takes over that starts now. May raise. */
lt_Object *lt_inherited_package_get(lua_State *L);

/* In the thread, before it requires anything. May raise. */
void lt_inherited_package_apply(lua_State *L, lt_Object *package);

#endif
