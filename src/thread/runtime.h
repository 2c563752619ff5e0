/*
** A runtime: a main state, and the threads that began in it. And what a thread is.
*/
#ifndef lt_runtime_h
#define lt_runtime_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"
#include "src/state/pool.h"
#include "src/sync/biased_lock.h"
#include "src/object/cycles.h"
#include "src/state/coroutines.h"
#include "src/state/lent_string.h"
#include "src/transfer/message.h"
#include "src/object/object.h"
#include "src/sync/park.h"
#include "src/thread/worker.h"

typedef struct lt_Runtime lt_Runtime;
typedef struct lt_Thread lt_Thread;

/* What insist.c knows of a thread. */
typedef struct lt_Insisted {
  struct lt_Thread *next; /* in its list */
  bool is_listed;
  unsigned left; /* how many repetitions */
  plat_Time pause;
  plat_Time due; /* when the next one is */
} lt_Insisted;

typedef enum lt_Status {
  LT_UNSTARTED,
  LT_STARTING, /* the system has been asked for a thread */
  LT_RUNNING,
  LT_STOPPING, /* its function has ended, its state is being closed */
  LT_DONE
} lt_Status;

#define LT_NAME_BYTES 64

/* A thread is what its handles refer to; it is there before the OS thread and after it. */
struct lt_Thread {
  union {
    lt_Object object;
    lt_Traced traced;
  };
  atomic_int status;           /* the word that joins wait on */
  atomic_uint_least64_t ident; /* 0 before it is started */
  bool daemon;
  bool is_main;
  lt_Runtime *runtime; /* a reference, from its start on */
  lt_Parker *parker;
  unsigned slot;        /* in the biased locks; of its own once it runs */
  atomic_bool must_end; /* SystemExit is raised again and again */
  atomic_bool heard;    /* the last interrupt has reached the thread, wherever it will be raised */
  lt_Insisted insisted;

  /* Only for the thread itself. */
  lt_Coroutines *coroutines; /* of its state */
  lua_CFunction bottom;      /* with which the main one begins; NULL: the host knows */
  lua_State *waiting;        /* the coroutine that waits in one of our functions */
  lua_Hook heeded;           /* a hook of the host that has let a wait go on */
  bool spares_next;          /* the next instruction is not interrupted */
  unsigned other_events;     /* of hooks, see interrupt.c */
  const void *raised;        /* the last exception that was sent to it, only to be compared */

  lt_Object *package;  /* a reference: what it inherits, see inherited_package.h */
  lt_Message *message; /* the function and its arguments; its own once it runs */
  lt_Message *result;  /* what its function returned, or the error; complete before LT_DONE */
  bool failed;         /* 'result' is the error */

  plat_Mutex guard;                 /* of what follows */
  bool accepts;                     /* interrupts are still delivered */
  bool exit_requested;              /* by the runtime, that is being closed */
  struct lt_Request *requests;      /* interrupts to be delivered, see interrupt.c */
  struct lt_Question *questions;    /* to be answered, see dump.c */
  _Atomic(plat_Target *) home;      /* the OS thread that runs it; NULL: none, or it has ended */
  struct lt_Attachment *attachment; /* to its home, see interrupt.c */
  uint64_t native_id;
  char name[LT_NAME_BYTES];

  lt_Thread *next; /* in the list of the runtime, under its guard */
  lt_Thread *previous;
};

extern lt_Type lt_thread_type;

struct lt_Runtime {
  atomic_uint references;
  bool is_first;
  bool is_forked; /* in a child: objects may be locked by threads that are not there */
  uint64_t main_ident;
  atomic_size_t stack_size; /* bytes, 0: the default */
  atomic_bool deadlocked;   /* it has been said */
  plat_Mutex guard;         /* of what follows; a thread's guard may be taken within it */
  bool closing;             /* no thread may start any more */
  lt_Object *excepthook;    /* a reference, NULL: the default */
  struct lt_Later *later;   /* the dump that is to come, see dump_triggers.c */
  lt_Object *globals;       /* a reference to the shared globals; never changes */
  lt_Thread *threads;       /* those that have started and not ended; references */
  size_t count;             /* of them, without the main thread */

  lt_Runtime *next_watched; /* in the list of dump_triggers.c, under its guard */
};

lt_Thread *lt_thread_new(void); /* unstarted; NULL without memory */

/* A runtime with its main thread entered; NULL without memory. */
lt_Runtime *lt_runtime_new(lt_Thread *main);
void lt_runtime_retain(lt_Runtime *runtime);
void lt_runtime_release(lt_Runtime *runtime);

/*
** Enters a thread into the list and gives it its ident, its runtime and a name, if it has none.
** False: the runtime is closing.
*/
bool lt_runtime_enter(lt_Runtime *runtime, lt_Thread *thread);

/*
** Takes a thread off the list and, in one step, sets its status. Those who wait for
** either are woken. With the last one goes what is in the shared globals. Before anybody can see
** the status, 'worker', unless it is NULL, is offered for the next thread; but not one that has the
** globals to clear, since a thread of another runtime would wait for that.
*/
void lt_runtime_leave(lt_Runtime *runtime, lt_Thread *thread, lt_Status status, lt_Worker *worker);

/*
** All threads that are alive, with a reference each: to be released, and freed. NULL: no memory.
*/
lt_Thread **lt_runtime_threads(lt_Runtime *runtime, size_t *count);

/* The thread that has this ident, with a reference, or NULL. */
lt_Thread *lt_runtime_find(lt_Runtime *runtime, uint64_t ident);

/* Runs the handler of a signal of the host on the thread, if there is one. */
void lt_thread_signal(lt_Thread *thread, int number);

/* Writes the thread's name; 'name' has LT_NAME_BYTES. */
void lt_thread_name(lt_Thread *thread, char *name);

/* The thread's id in the system; 0: it has not begun. */
uint64_t lt_thread_native_id(lt_Thread *thread);

/* Whether any thread of the process ever had this ident. */
bool lt_ident_was_given(uint64_t ident);

/*
** No thread may start any more. False: there still are others than this one that are no daemons,
** and it was not to be done at any rate.
*/
bool lt_runtime_close(lt_Runtime *runtime, const lt_Thread *than, bool at_any_rate);

/* How many runtimes there are in the process. */
unsigned lt_runtimes_open(void);

/*
** In the child of a fork, where this thread is the only one that there is, and so the main one: the
** others have ended.
** Their states are left alone, and what they refer to is never freed. Returns whether there were
** none.
*/
bool lt_runtime_after_fork(lt_Thread *survivor);

size_t lt_runtime_count(lt_Runtime *runtime);
/* Whether another thread than this and the main one is there. */
bool lt_runtime_has_others(lt_Runtime *runtime, const lt_Thread *than, bool daemons_too);

/*
** A host may go on with its main state in another OS thread than before. The thread of Lua is
** reached there from the first call of a function of this library on.
*/
void lt_thread_move(lt_Thread *thread);

static inline void lt_thread_come_home(lt_Thread *thread) {
  /* Relaxed: only compared, and NULL where the OS thread that it stood for has ended. */
  if (atomic_load_explicit(&thread->home, memory_order_relaxed) != &plat_own_target)
    lt_thread_move(thread);
}

/* The thread to which the state L belongs; NULL before lthread is open in it, and after. */
lt_Thread *lt_thread_of(lua_State *L);

/* The same for a function of this library, by its first upvalue; raises RuntimeError if NULL. */
lt_Thread *lt_self(lua_State *L);

typedef struct lt_Context {
  lt_Lender lender; /* the first: see lent_string.h */
  lt_Thread *thread;
  lt_Coroutines *coroutines; /* until there is a thread: from then on they are its own */
  lt_Pool *allocator;        /* of a state of ours; else NULL */
} lt_Context;

/*
** Who uses biased locks: a thread of Lua, or, in a method of an object, the thread that calls it.
** Without one, because its state is being closed, somebody who has no slot.
*/
static inline lt_BiasUser lt_bias_user(const lt_Thread *self) {
  return self == NULL ? (lt_BiasUser){0, NULL} : (lt_BiasUser){self->slot, self->parker};
}

static inline lt_Thread *lt_calling_thread(lua_State *L) {
  const lt_Context *context = (const lt_Context *)lua_touserdata(L, lua_upvalueindex(1));
  if (context == NULL || context->thread == NULL)
    return NULL;
  lt_thread_come_home(context->thread);
  return context->thread;
}

static inline lt_BiasUser lt_calling_user(lua_State *L) {
  return lt_bias_user(lt_calling_thread(L));
}

#endif
