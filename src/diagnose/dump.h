/*
** Dumps: what every thread of a runtime is doing.
**
** Each thread tells it itself: one that computes is poked, one that waits is woken for a moment
** and goes on waiting, in its place. One that does neither within a bounded time is listed as such.
*/
#ifndef lt_dump_h
#define lt_dump_h

#include "src/base/string_buffer.h"
#include "src/thread/thread.h"

/* What a thread waits for, and since when. */
typedef struct lt_Blocked {
  const lt_Wait *wait;
  plat_Time since;
} lt_Blocked;

#define LT_BLOCKED_BYTES 48

typedef struct lt_DumpAnswer {
  lt_Thread *thread;                 /* a reference */
  lt_StringBuffer text;              /* empty: none came */
  char blocked_on[LT_BLOCKED_BYTES]; /* "lock 0x..."; empty: it is not blocked */
  const char *relation;              /* of that to the thread that could end the wait */
  uint64_t ender;                    /* the ident of this thread, 0: not known */
} lt_DumpAnswer;

typedef struct lt_Dump {
  size_t count;
  lt_DumpAnswer *answers; /* in the order in which the threads were started */
} lt_Dump;

typedef enum lt_DumpForm {
  LT_WHOLE_DUMP,
  LT_FOLDED_DUMP /* one line, see folded.h */
} lt_DumpForm;

/* Who asks. A thread of a runtime answers for itself; the watcher is none. */
typedef struct lt_DumpAsker {
  lt_Runtime *runtime;
  lt_Parker *parker;
  lt_Thread *thread; /* NULL: the watcher */
  lua_State *L;
  const lt_Blocked *blocked;
  lt_DumpForm form;
  plat_Time patience; /* how long threads have to answer; 0: half a second */
  /* Whether this thread need not be asked, called for one after the other; NULL: all are. */
  bool (*skips)(void *context, const lt_Thread *thread);
  void *context;
} lt_DumpAsker;

/* False: no memory. Waits for the answers, deaf to interrupts. Raises nothing. */
bool lt_dump_take(lt_Dump *dump, const lt_DumpAsker *asker);
void lt_dump_write(const lt_Dump *dump, lt_StringBuffer *text);
void lt_dump_free(lt_Dump *dump);

/* Adds "name (ident 1)". */
void lt_dump_add_identity(lt_StringBuffer *text, lt_Thread *thread);

/* If the thread of the caller has been asked, answers for it; 'blocked' is NULL while it runs. */
void lt_dump_answer(lua_State *L, lt_Thread *thread, const lt_Blocked *blocked);

#endif
