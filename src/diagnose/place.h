/*
** Where in its script a thread is, "script.lua:12": of the innermost function in Lua that is
** not of our own modules, or of these where there is no other. Allocates nothing and raises nothing.
*/
#ifndef lt_place_h
#define lt_place_h

#include "src/thread/thread.h"

#define LT_PLACE_BYTES 72

/* On the thread itself. An empty text: there is none. */
void lt_place_in(lua_State *L, char *place);

/*
** Of a thread that waits, on itself. A brief wait may lie in a function that has not told in which
** coroutine it is: then the place is known unless that was resumed by one that is not the main one.
*/
void lt_place_of_wait(lt_Thread *thread, const lt_Wait *wait, char *place);

#endif
