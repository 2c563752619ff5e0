/*
** The life of a thread: start, run, end, and the wait of who joins it.
*/
#ifndef lt_thread_life_h
#define lt_thread_life_h

#include "src/sync/look.h"
#include "src/thread/thread.h"

/*
** Starts 'thread', an unstarted one, in the runtime of 'self'. On the top of the stack lie the
** function and its 'argument_count' arguments; they are popped. Raises RuntimeError if it is
** started already or the system makes no thread, TypeError for what can't be transferred; then the
** thread is still unstarted.
*/
typedef struct lt_ThreadStart {
  lt_Thread *thread;
  int argument_count;
  bool daemon;
  bool is_quiet;                     /* the excepthook is not called */
  const char *name;                  /* NULL: a name is made */
  const plat_Processors *processors; /* NULL: any */
  plat_Time time;                    /* its limit; 0: none of its own */
  size_t memory;                     /* its limit in bytes; 0: the same as that of 'self' */
  int globals; /* where on the stack the choice is which go along, see message.h */
} lt_ThreadStart;

void lt_thread_start(lua_State *L, lt_Thread *self, const lt_ThreadStart *start);

/* The wait until the thread is done, or turns out not to be started. */
lt_Wait lt_thread_join(lt_Thread *thread, plat_Time deadline);

/* Ready when that wait would be over. */
lt_Sight lt_thread_sight(lt_Thread *thread);

#endif
