/*
** Functions that the main state calls when it is closed, before threads are waited for. They are
** messages: any thread may register one.
*/
#ifndef lt_at_exit_h
#define lt_at_exit_h

#include "src/thread/thread.h"

/* Takes the message of a function, which is called before those that came earlier. */
typedef enum lt_AtExit { LT_AT_EXIT_TAKEN, LT_AT_EXIT_NO_MEMORY, LT_AT_EXIT_TOO_LATE } lt_AtExit;
lt_AtExit lt_at_exit_register(lt_Runtime *runtime, lt_Message *message);

/* Calls them all, in the main thread; none can be registered from then on. Never raises. */
void lt_at_exit_run(lua_State *L, lt_Thread *main);

/* Frees what was never called. */
void lt_at_exit_free(lt_Runtime *runtime);

#endif
