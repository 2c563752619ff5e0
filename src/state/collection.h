/*
** What is to be done after a collection of a state's garbage, such as giving memory back.
*/
#ifndef lt_collection_h
#define lt_collection_h

#include <lua.h>

/*
** Has the function called once, as a finalizer, after the next collection. One that is to be called
** after each of them asks for that again. May raise.
*/
void lt_collection_call(lua_State *L, lua_CFunction function);

#endif
