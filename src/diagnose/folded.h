/*
** Stacks in folded form, one line each: the name of the thread, then its functions from the
** outermost to the innermost, with semicolons between. Programs that draw flame graphs read it.
*/
#ifndef lt_folded_h
#define lt_folded_h

#include "src/base/string_buffer.h"
#include "src/thread/thread.h"

/* Adds a name as a frame, without what has a meaning in the format. */
void lt_folded_add_frame(lt_StringBuffer *text, const char *name);

/*
** On the thread itself, which runs L. What it waits for is the last frame; 'wait' is NULL while it
** runs. Of coroutines that have resumed others, the main one and L are shown.
*/
void lt_folded_add(lt_StringBuffer *text, lua_State *L, lt_Thread *thread, const lt_Wait *wait);

#endif
