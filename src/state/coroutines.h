/*
** All the coroutines of one state, so that a hook can be set on whichever of them runs.
**
** Lua tells nobody which coroutine is running, but it tells the allocator when it makes one. The
** state's allocator is wrapped to keep their list. Coroutines that were there before are not known,
** but for the one that is named at the beginning.
**
** It buys that interrupts and dumps reach a loop in any coroutine, and costs 1 ns for each
** allocation; nothing looks for requests while a coroutine runs.
*/
#ifndef lt_coroutines_h
#define lt_coroutines_h

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

typedef struct lt_Coroutines lt_Coroutines;

/* What the wrapped allocator notes, for quiet_call.c. */
typedef struct lt_AllocationNotes {
  size_t failures;      /* so many allocations have failed */
  size_t bytes_before;  /* in use after the last step of the collector that a quiet call has made */
  unsigned quiet_calls; /* that last */
} lt_AllocationNotes;

/* Begins to follow the state of L; NULL without memory. Its allocator is wrapped from then on. */
lt_Coroutines *lt_coroutines_follow(lua_State *L);

/*
** From now on they end with the state, and nobody else may free them: the allocator stays wrapped to
** the end. Others may have wrapped it once more, and in Lua 5.5 strings remember who frees them.
*/
void lt_coroutines_leave_to_state(lt_Coroutines *coroutines);

/* Sets the allocator that is wrapped, and tells which it was. */
void lt_coroutines_exchange_allocator(lt_Coroutines *coroutines, lua_Alloc *allocate,
                                      void **allocator);

/* The state is being closed: it is not armed any more. */
void lt_coroutines_close(lt_Coroutines *coroutines);

/* NULL where somebody has wrapped the allocator once more: what fails there is not seen here. */
lt_AllocationNotes *lt_coroutines_notes(lua_State *L);

/* When the state is closed. */
void lt_coroutines_free(lt_Coroutines *coroutines);

/*
** Sets a hook on all coroutines that is called before every 'interval'th instruction, and for the
** events of the hooks that they had. Only from the state's own thread, also in a signal handler.
** One that comes while hooks are being set does nothing, so the thread looks afterwards whether it
** has been asked meanwhile.
*/
void lt_coroutines_arm(lt_Coroutines *coroutines, lua_Hook hook, int interval);

/* Gives all coroutines, L at any rate, the hooks back that they had. */
void lt_coroutines_disarm(lt_Coroutines *coroutines, lua_State *L, lua_Hook hook);

/* Within the hook: calls the one that L had before, if the event is for it. */
void lt_coroutines_forward(lt_Coroutines *coroutines, lua_State *L, lua_Debug *event);

/* The coroutine in which the script of the state began. */
lua_State *lt_coroutines_main(const lt_Coroutines *coroutines);

/*
** Calls 'visit' for each coroutine that has been resumed and not ended, in no certain order, until
** it returns false. Nothing of Lua may be made meanwhile.
*/
typedef bool (*lt_VisitCoroutine)(lua_State *L, void *context);

bool lt_coroutines_each(lt_Coroutines *coroutines, lt_VisitCoroutine visit, void *context);

#endif
