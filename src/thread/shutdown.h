/*
** The end of a runtime, seen from the main thread that closes it: whom it waits for, and whom it
** stops.
*/
#ifndef lt_shutdown_h
#define lt_shutdown_h

#include "src/thread/thread.h"

/* Waits for all threads that are not daemons, but for the caller and the main one. */
void lt_shutdown_wait(lua_State *L, lt_Thread *self);

/*
** Ends the runtime of the main thread: waits for the threads that are not daemons, stops the
** others. A thread that is still not at its end after the grace period is left alone, with all
** it can touch.
*/
void lt_shutdown(lua_State *L, lt_Thread *main);

#endif
