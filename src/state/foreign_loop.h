/*
** Event loops of others that take every error in a callback for fatal: luv writes it and ends the
** process. What is to be raised in a thread waits there until the loop has returned, which ends as
** soon as the callback has.
**
** Nobody pays but who is interrupted. Without this, an interrupt that meets a callback of luv ends
** the process with status 255.
*/
#ifndef lt_foreign_loop_h
#define lt_foreign_loop_h

#include "src/state/coroutines.h"

typedef struct lt_ForeignLoop {
  lua_CFunction function; /* that calls back; NULL: there is none */
  lua_State *coroutine;   /* in which it was called */
} lt_ForeignLoop;

/*
** Such a loop by which L, the running coroutine, or one of those that wait for it, is called. It is
** asked to stop. Raises nothing.
*/
lt_ForeignLoop lt_foreign_loop_stop(lua_State *L, lt_Coroutines *coroutines);

#endif
