/*
** The traceback of an error that is about to leave what a thread, or a task, runs. It is kept beside
** the error, which may be any value.
*/
#ifndef lt_kept_traceback_h
#define lt_kept_traceback_h

#include <lua.h>

/* A message handler: an exception gets the traceback as its own, too. */
int lt_keep_traceback(lua_State *L);

/* Pushes the traceback that was kept last, a string, or nil. */
void lt_push_kept_traceback(lua_State *L);

#endif
