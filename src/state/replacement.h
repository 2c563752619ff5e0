/*
** Puts functions of lthread in the place of Lua's own.
*/
#ifndef lt_replacement_h
#define lt_replacement_h

#include "src/base/library_functions.h"

/* In a library of the state, if Lua's own function still is there. May raise. */
void lt_replacement_put(lua_State *L, const char *library, const char *name,
                        lt_LibraryFunction which, lua_CFunction function);

#endif
