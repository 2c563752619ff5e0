/*
** Diagnosis, as threads and runtimes see it. It stands above them, in src/diagnose, so they call it
** through this table.
*/
#ifndef lt_observer_h
#define lt_observer_h

#include "src/thread/thread.h"

typedef struct lt_Observer {
  /*
  ** On the thread itself, which can tell now what it does: it is blocked in 'wait' since then, or,
  ** with NULL, about to run L's next instruction. Returns when to be called again.
  */
  plat_Time (*attend)(lua_State *L, lt_Thread *thread, const lt_Wait *wait, plat_Time since);

  /* The starter starts a thread; a thread begins, ends, and has told so to those who join it. */
  void (*thread_starts)(lt_Thread *starter, const lt_Thread *thread);
  void (*thread_begins)(lt_Thread *thread);
  void (*thread_ends)(lt_Thread *thread);
  void (*thread_is_over)(lt_Thread *thread);

  /* On the thread itself: it raises an exception of the class, or calls its on_interrupt with it. */
  void (*interrupted)(lt_Thread *thread, const lt_Class *class_object);

  /* A C module begins to wait in L, see section.h. Returns what the end takes; 0: it is not told. */
  uint64_t (*section_begins)(lua_State *L, lt_Thread *thread, const char *name);
  void (*section_ends)(lt_Thread *thread, uint64_t begun); /* with those within it */

  void (*runtime_opens)(lt_Runtime *runtime);
  /* Not before: a dump tells whom the main thread waits for at the end. */
  void (*threads_have_ended)(lt_Runtime *runtime);
  void (*runtime_closes)(lt_Runtime *runtime);
  void (*after_fork)(void); /* in the child */
} lt_Observer;

/* Written once, before the first runtime opens. */
extern const lt_Observer *lt_observer;

#endif
