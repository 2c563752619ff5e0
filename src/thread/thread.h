/*
** Threads: what one is, and who may touch which part of it. What it does from its start to its end
** is told by thread_life.h.
*/
#ifndef lt_thread_h
#define lt_thread_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"
#include "src/object/cycles.h"
#include "src/state/context.h"
#include "src/state/foreign_loop.h"
#include "src/state/memory_limit.h"
#include "src/sync/biased_lock.h"
#include "src/sync/park.h"
#include "src/thread/runtime.h"
#include "src/transfer/message.h"

/* What repeated_poke.c knows of a thread. */
typedef struct lt_RepeatedPoke {
  struct lt_Thread *next; /* in its list */
  bool is_listed;
  unsigned left; /* how many repetitions */
  plat_Time pause;
  plat_Time due; /* when the next one is */
  bool wakes;    /* its blocking section is to be woken */
} lt_RepeatedPoke;

/* Where the handler of the last poke has found the thread; not known again once that runs Lua. */
typedef enum lt_SectionPlace {
  LT_PLACE_UNKNOWN,
  LT_PLACE_WITHIN, /* in its innermost section, which it leaves through the hook or the guard */
  LT_PLACE_BEYOND, /* in what the section has called, or in what that has */
  LT_PLACE_GONE    /* the coroutine of the section has died */
} lt_SectionPlace;

/* What time_limit.c knows of a thread. */
typedef struct lt_TimeLimit {
  plat_Time length;         /* of its own; 0: none */
  plat_Time deadline;       /* 0: none; before it begins, that of its starter */
  bool is_set;              /* it is counted */
  struct lt_Thread *next;   /* in the list */
  struct lt_Thread **place; /* what refers to it there; NULL: it is in no list */
  plat_Time due;            /* when it is asked next */
  bool is_over;             /* it has been asked */
  bool is_ending;           /* its function has ended */
  unsigned heard;           /* of the requests */
} lt_TimeLimit;

/*
** The blocking sections that a thread is in, see section_list.c. What they are is under the guard; the
** thread alone enters and leaves them.
*/
typedef struct lt_Sections {
  plat_Mutex guard; /* held while a wake runs */
  _Atomic(struct lt_Section *) innermost;
  atomic_int place;      /* an lt_SectionPlace */
  atomic_bool have_wake; /* the innermost has one that has not run */
} lt_Sections;

typedef enum lt_ThreadStatus {
  LT_UNSTARTED,
  LT_STARTING, /* the system has been asked for a thread */
  LT_RUNNING,
  LT_STOPPING, /* its function has ended, its state is being closed */
  LT_DONE
} lt_ThreadStatus;

/* The request to exit, at the end of the runtime, where a thread has a function for interrupts. */
typedef enum lt_ExitTaken {
  LT_NOT_TAKEN,
  LT_TAKEN,     /* the function has been called with it: it is not asked again */
  LT_TAKEN_LONG /* its time is over: it is asked again, and SystemExit is raised */
} lt_ExitTaken;

#define LT_NAME_BYTES 64

/* What handles refer to: it is there before the OS thread and after it. */
struct lt_Thread {
  union {
    lt_Object object;
    lt_Traced traced;
  };
  atomic_int status;           /* the word that joins wait on */
  atomic_uint_least64_t ident; /* 0 before it is started */
  bool daemon;
  bool is_main;
  bool is_quiet;               /* the excepthook is not called with what it dies of */
  plat_Processors *processors; /* that it is to run on; NULL: any */
  lt_MemoryLimit memory;       /* of its state; set before it starts */
  lt_TimeLimit time_limit;
  lt_Runtime *runtime; /* a reference, from its start on */
  lt_Parker *parker;
  unsigned slot;           /* in the biased locks; of its own once it runs */
  atomic_bool must_end;    /* what ends it is raised again and again */
  atomic_bool out_of_time; /* that is TimeLimitError, else SystemExit */
  atomic_int exit_taken;   /* by its on_interrupt: an lt_ExitTaken */
  atomic_bool heard; /* the last interrupt has reached the thread, wherever it will be raised */
  atomic_uint
      shields; /* how many hold interrupts back, see interrupt.h; its own thread writes it */
  lt_RepeatedPoke repeated_poke;
  lt_Sections sections;
  unsigned exits_heard; /* of the requests to exit, see shutdown.c; under the runtime's guard */

  /* Only for the thread itself. */
  lt_Coroutines *coroutines;  /* of its state */
  lua_CFunction bottom;       /* with which the main one begins; NULL: the host knows */
  lua_State *waiting;         /* the coroutine that waits in one of our functions */
  lua_Hook heeded;            /* a hook of the host that has let a wait go on */
  lua_Hook held;              /* one that is set again when the shield ends; NULL: none */
  int held_mask;              /* its events; and each instruction */
  unsigned spared;            /* how many of the next instructions are not interrupted */
  bool has_on_interrupt;      /* see on_interrupt.h */
  lt_ForeignLoop loop;        /* in which it was when it was last to be interrupted */
  unsigned other_events;      /* of hooks, see interrupt.c */
  struct lt_TraceRing *trace; /* what has happened to it, see trace_ring.h; or NULL */

  lt_Object *package;   /* references: what it inherits, see inherited_package.h */
  lt_Object *libraries; /* and inherited_libraries.h; this one may be NULL */
  lt_Message *message;  /* the function and its arguments; its own once it runs */
  lt_Message *result;   /* what its function returned, or the error; complete before LT_DONE */
  bool failed;          /* 'result' is the error */

  plat_Mutex guard;                     /* of what follows */
  bool accepts;                         /* interrupts are still delivered */
  bool exit_requested;                  /* by the runtime, that is being closed */
  bool time_requested;                  /* TimeLimitError, by its limit */
  struct lt_InterruptRequest *requests; /* interrupts to be delivered, see interrupt.c */
  struct lt_DumpQuestion *questions;    /* to be answered, see dump.c */
  plat_Event pending;                   /* see interrupt_descriptor.h */
  bool pending_is_set;
  _Atomic(plat_Target *) home;      /* the OS thread that runs it; NULL: none, or it has ended */
  struct lt_Attachment *attachment; /* to its home, see home.c */
  uint64_t native_id;
  char name[LT_NAME_BYTES];

  lt_Thread *next; /* in the list of the runtime, under its guard */
  lt_Thread *previous;
};

extern lt_Type lt_thread_type;

lt_Thread *lt_thread_new(void); /* unstarted; NULL without memory */

/* The thread gets the state's context and its coroutines. */
void lt_thread_enter_state(lt_Thread *thread, lt_Context *context);

static inline lt_ThreadStatus lt_thread_status(lt_Thread *thread) {
  return (lt_ThreadStatus)atomic_load(&thread->status);
}

/* Whether the thread of the caller has been asked to raise something. */
static inline bool lt_interrupted(const lt_Thread *thread) {
  return atomic_load(&thread->parker->urgency) != LT_CALM;
}

/* Pokes the thread's home, if it has one; under the thread's guard. */
void lt_thread_poke(lt_Thread *thread, plat_Poke poke, bool again);

/*
** The same for an interrupt that has been entered. One that is held back breaks no system call, nor
** does one in a blocking section that has a wake, unless the thread is in what that has called. Sequentially consistent: either this finds the
** thread shielded, or it was asked before it became so, which it looks for then; and who has left
** a section looks whether he was asked.
*/
static inline void lt_thread_poke_to_interrupt(lt_Thread *thread, bool again) {
  int place = atomic_load(&thread->sections.place);
  bool is_woken = atomic_load(&thread->sections.have_wake) &&
                  (place == LT_PLACE_UNKNOWN || place == LT_PLACE_WITHIN);
  bool held = (atomic_load(&thread->shields) > 0 || is_woken) && !atomic_load(&thread->must_end);
  lt_thread_poke(thread, held ? PLAT_POKE_LETS_GO_ON : PLAT_POKE_BREAKS, again);
}

/* Runs the handler of a signal of the host on the thread, if there is one. */
bool lt_thread_signal(lt_Thread *thread, int number);

/* Writes the thread's name; 'name' has LT_NAME_BYTES. */
void lt_thread_name(lt_Thread *thread, char *name);
/* Also for the system, which may show less of it. */
void lt_thread_set_name(lt_Thread *thread, const char *name);
void lt_thread_show_name(lt_Thread *thread); /* to the system, on the thread itself */

/* The thread's id in the system; 0: it has not begun. */
uint64_t lt_thread_native_id(lt_Thread *thread);

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

/* Wakes all who wait for the status to change, which it has. */
static inline void lt_thread_tell_status(const lt_Thread *thread) {
  lt_unpark_all(&thread->status);
  lt_look_wake(&thread->status);
}

/* The thread to which the state L belongs; NULL before lthread is open in it, and after. */
lt_Thread *lt_thread_of(lua_State *L);

/* The same for a function of this library, by its first upvalue; raises RuntimeError if NULL. */
lt_Thread *lt_self(lua_State *L);

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

static inline lt_Parker *lt_calling_parker(lua_State *L) {
  const lt_Thread *thread = lt_calling_thread(L);
  return thread == NULL ? NULL : thread->parker;
}

#endif
