/*
** Runtimes. A state that requires lthread without being a thread's becomes a main state: it opens a
** runtime, and the threads that it starts, and those that these start, belong to that. Closing the
** main state ends the runtime. A process with several main states has as many runtimes, whose
** threads know nothing of each other.
**
** Here is what the threads of a runtime have in common; runtime_threads.h has the list of them,
** main_state.h opens and shutdown.h ends it.
*/
#ifndef lt_runtime_h
#define lt_runtime_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"
#include "src/object/object.h"
#include "src/thread/runtime_options.h"

typedef struct lt_Thread lt_Thread;
typedef struct lt_Runtime lt_Runtime;
typedef struct lt_ExitFunction lt_ExitFunction;

struct lt_Runtime {
  atomic_uint references;
  bool is_first;
  bool is_forked; /* in the child of a fork: threads that are not there may hold locks */
  uint64_t main_ident;
  lt_RuntimeOptions options;  /* never change */
  atomic_size_t memory_left;  /* of options.total_memory, see memory_limit.h */
  atomic_size_t stack_size;   /* bytes, 0: the default */
  atomic_bool deadlocked;     /* its deadlock has been reported */
  plat_Mutex guard;           /* of what follows; a thread's guard may be taken within it */
  bool closing;               /* no thread may start any more */
  lt_Object *excepthook;      /* a reference, NULL: the default */
  struct lt_DumpLater *later; /* the dump that is to come, see dump_triggers.c */
  lt_ExitFunction *at_exit;   /* the last one first, see at_exit.h */
  bool has_exited;            /* they have been called */
  lt_Object *globals;         /* a reference to the shared globals; never changes */
  lt_Object *registry;        /* the same for what our modules in Lua know of all threads */
  lt_Thread *threads;         /* those that have started and not ended; references */
  size_t count;               /* of them, without the main thread */

  lt_Runtime *next_watched; /* in the list of dump_triggers.c, under its guard */
};

/*
** A runtime lives as long as its threads, which hold references; it begins without. NULL without
** memory.
*/
lt_Runtime *lt_runtime_new(void);
void lt_runtime_retain(lt_Runtime *runtime);
void lt_runtime_release(lt_Runtime *runtime);

/* How many runtimes there are in the process. */
unsigned lt_runtimes_open(void);

#endif
