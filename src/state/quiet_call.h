/*
** Calls during which no code of the state runs that the caller does not call: the collector waits,
** and with it all finalizers. So what is there when such a call begins is neither changed nor freed
** under the hands of who reads it, and its addresses stay its own.
**
** There is one way to free memory that nothing can hold back: a collection for want of memory. It
** runs no finalizer, but frees what nobody refers to, and empties weak tables; and the collector
** goes on after it. Who must know is told.
*/
#ifndef lt_quiet_call_h
#define lt_quiet_call_h

#include <stdbool.h>

#include <lua.h>

typedef struct lt_QuietCall {
  lua_Alloc allocate; /* the state's own allocator */
  void *allocator;
  bool memory_was_short;
} lt_QuietCall;

/* As lua_pcall without a message handler. Finalizers that are due run before it returns. */
int lt_quiet_call(lua_State *L, lt_QuietCall *quiet, int argument_count, int result_count);

/* Within the call, when memory was short: the collector shall wait again. */
void lt_quiet_again(lua_State *L);

#endif
