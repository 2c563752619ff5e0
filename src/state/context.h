/*
** The context of a state: what lthread keeps for it. It is one userdata, the first upvalue of all
** functions of lthread in that state.
*/
#ifndef lt_context_h
#define lt_context_h

#include <stdbool.h>

#include "src/state/coroutines.h"
#include "src/state/lent_string.h"
#include "src/state/pool.h"

typedef struct lt_Thread lt_Thread;

typedef struct lt_Context {
  lt_Lender lender;          /* the first: see lent_string.h */
  lt_Thread *thread;         /* that uses the state; NULL before and after */
  lt_Coroutines *coroutines; /* until there is a thread: from then on they are its own */
  lt_Pool *pool;             /* of a state of ours; else NULL */
} lt_Context;

/* What threads do for functions that stand in the place of Lua's own. */
typedef struct lt_StateUser {
  /* Raises what the thread has been asked to raise, if it may be interrupted here. */
  void (*heed_interrupt)(lua_State *L);
  /* Whether the process has no thread of ours but this one. */
  bool (*is_alone)(lua_State *L);
} lt_StateUser;

/* Written once, before the first runtime opens. */
extern const lt_StateUser *lt_state_user;

#endif
