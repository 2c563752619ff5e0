/*
** What the methods of queues share: their arguments, how they wait, and what they raise.
*/
#ifndef lt_queue_methods_h
#define lt_queue_methods_h

#include <limits.h>

#include "lib/libs.h"
#include "src/shared/queue.h"

extern lt_Class lt_Empty, lt_Full, lt_ShutDown;

/* That many are put or got at one time. */
enum { LT_QUEUE_MOST = (INT_MAX < SIZE_MAX / 64 ? INT_MAX : SIZE_MAX / 64) };

/* Argument 1. */
lt_Queue *lt_queue_check(lua_State *L);

/* One that is never shut down, and counts nothing. */
bool lt_queue_is_simple(const lt_Queue *queue);

/* A timeout in seconds; nil is for ever. Returns the deadline. */
plat_Time lt_queue_opt_timeout(lua_State *L, int arg);

/* The arguments (block = true [, timeout]) from 'arg' on. Without 'block' no timeout counts. */
plat_Time lt_queue_opt_patience(lua_State *L, int arg);

/*
** The same of what puts; behind them is another, 'globals' (see lt_opt_globals), to be found at
** 'globals' on the stack; 0: it is not given.
*/
plat_Time lt_queue_opt_put(lua_State *L, int arg, int *globals);

/*
** Once 'take' was in vain. Only who has to wait needs a thread, which there is none any more when a
** state is being closed.
*/
bool lt_queue_wait_longer(lua_State *L, lt_Wait *wait);

/* What to raise for an outcome that is neither LT_QUEUE_DONE nor for want of memory. */
lt_Class *lt_queue_error_class(lt_QueueOutcome outcome);
const char *lt_queue_error_text(lt_QueueOutcome outcome);
int lt_queue_raise(lua_State *L, lt_QueueOutcome outcome);

/*
** Gets the next message, waits for it until the deadline, and pushes it if the outcome is
** LT_QUEUE_DONE. Raises if it can't be received. 'self' is the calling thread, or NULL.
*/
lt_QueueOutcome lt_queue_get_message(lua_State *L, lt_Thread *self, lt_Queue *queue,
                                     plat_Time deadline);

/* The methods that put, and those that get. */
int lt_queue_method_put(lua_State *L);
int lt_queue_method_put_nowait(lua_State *L);
int lt_queue_method_put_many(lua_State *L);
int lt_queue_method_get(lua_State *L);
int lt_queue_method_get_nowait(lua_State *L);
int lt_queue_method_try_get(lua_State *L);
int lt_queue_method_get_many(lua_State *L);
int lt_queue_method_each(lua_State *L);

/* The function that gets from several. */
int lt_queue_select(lua_State *L);

#endif
