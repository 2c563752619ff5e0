/*
** Parking: the one way to wait. A thread parks on an address until another one unparks it, an
** interrupt comes, or a deadline passes.
**
** The waiter is queued under its address in a table of buckets. Whoever changes what the address
** stands for then looks for waiters there and wakes them; the address itself is only compared,
** never read.
**
** What is waited for is a small state machine, an lt_Wait. lt_await runs it; threads of Lua run it
** by lt_wait, of thread/wait.h, which delivers interrupts.
*/
#ifndef lt_park_h
#define lt_park_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"

typedef struct lt_Parker lt_Parker;
typedef struct lt_Wait lt_Wait;

/*
** What the waiter does besides waiting, while it stays queued and holds no mutex: at the beginning
** of a wait, at the time that it has named, after lt_parker_ask, and after a signal handler has
** run. It returns when to be called again, or LT_END_WAIT: the wait ends with LT_SIGNALLED. It may
** itself park.
*/
typedef enum lt_Occasion {
  LT_WAIT_BEGINS,
  LT_WAIT_DISTURBED, /* by lt_parker_ask or a signal handler */
  LT_WAIT_LOOKS      /* at the time it named */
} lt_Occasion;

typedef plat_Time (*lt_Attend)(void *attendant, const lt_Wait *wait, plat_Time since,
                               lt_Occasion occasion);

#define LT_END_WAIT ((plat_Time)-1)

/* How much an interrupt may break. */
typedef enum lt_Urgency {
  LT_CALM,
  LT_INTERRUPT, /* a wait that is not deaf to it */
  LT_MUST_END   /* any wait but a brief one */
} lt_Urgency;

/* What a wait goes on in spite of, each kind including the ones before. */
typedef enum lt_Deafness {
  LT_HEARS_ALL,
  LT_DEAF_TO_INTERRUPTS, /* the thread is in a handler that must finish first */
  LT_DEAF_TO_SIGNALS,    /* who waits must not come back without what it waits for */
  LT_BRIEF               /* it ends by itself soon: it is not attended to either */
} lt_Deafness;

/*
** One for each thread; only that thread parks with it. It has a count of references because
** an unpark still needs it when its thread, already awake, is gone.
*/
struct lt_Parker {
  atomic_uint references;
  atomic_int urgency;            /* raised by lt_parker_interrupt, cleared by its own thread */
  atomic_bool asked;             /* set by lt_parker_ask, cleared by its own thread */
  atomic_uint blocked;           /* see lt_parker_blocked */
  _Atomic(const char *) waiting; /* what it waits in, for diagnostics; NULL while it runs */
  atomic_uint_least64_t arrow;   /* in a trace, from who has woken it last; 0: none */
  lt_Attend attend;              /* NULL: nothing; from here on all is only for its own thread */
  void *attendant;
  bool apart;          /* who ended its last park ran on another processor than its thread does */
  unsigned stays;      /* how many waits not to yield in, where that is in vain */
  unsigned stays_left; /* of them */
  plat_Parker native;
};

lt_Parker *lt_parker_new(void); /* NULL without memory */
void lt_parker_release(lt_Parker *parker);

/*
** Before a wait that polls: its thread makes the descriptor by which others wake it then, if it has
** none. 0 or an errno. Its thread, or the child of a fork, closes it again.
*/
int lt_parker_enable_polling(lt_Parker *parker);
void lt_parker_end_polling(lt_Parker *parker);

/* Ends the current or the next park of this parker with LT_INTERRUPTED. */
void lt_parker_interrupt(lt_Parker *parker, lt_Urgency urgency);

/* Makes a waiting thread attend. */
void lt_parker_ask(lt_Parker *parker);

/* Makes one that waits look at its 'elsewhere', see lt_Wait. */
void lt_parker_wake(lt_Parker *parker);

/*
** Odd while its thread waits without a deadline and nobody has woken it. It is another
** number each time, so who finds it unchanged knows that the thread has waited all along.
*/
unsigned lt_parker_blocked(const lt_Parker *parker);

typedef enum lt_Parked {
  LT_UNPARKED,    /* it has come */
  LT_TIMED_OUT,   /* the deadline passed */
  LT_INTERRUPTED, /* lt_parker_interrupt */
  LT_SIGNALLED    /* the parker's attendant said so */
} lt_Parked;

/*
** What is waited for. Each function is called on the waiting thread, and may be NULL:
**
** take      Tries to get it, with no mutex held: first of all, and whenever it may have come. True:
**           it has. NULL: it has when 'validate' says no.
** spin      Before a park: waits for a moment, with no mutex held, because others often come soon.
**           True: it may have come.
** validate  Under the mutex of the bucket, so that no unpark can come between this and the wait.
**           False: it may have come. What it counts of those who wait, it counts when it says true.
**           NULL: it never comes.
** leave     Under the mutex too, in the step in which a waiter whom nobody has woken is taken out
**           of the bucket: takes back what 'validate' has counted.
*/
typedef bool (*lt_Take)(void *context);
typedef bool (*lt_Spin)(lt_Parker *parker, const lt_Wait *wait);
typedef bool (*lt_Validate)(void *context);
typedef void (*lt_Leave)(void *context);
typedef uint64_t (*lt_Ender)(void *context);

struct lt_Wait {
  const void *address;
  void *context; /* of the functions */
  lt_Take take;
  lt_Spin spin;
  lt_Validate validate;
  lt_Leave leave;
  plat_Time since;       /* when it began; 0: it begins now */
  plat_Time deadline;    /* PLAT_FOREVER for none; if it has passed, nothing is waited for */
  plat_Polled *polled;   /* NULL, or descriptors that are waited for besides: see below */
  unsigned polled_count; /* with the first one, which is the parker's */
  const atomic_bool
      *elsewhere; /* NULL, or set by one who then wakes the parker: it may have come */
  lt_Deafness deaf;

  /* For diagnostics; the last three may be NULL. */
  const char *what;     /* "lock", "join", ... */
  const void *shown;    /* the object whose address is told */
  lt_Ender ender;       /* the ident of the thread that could end the wait, 0: not known */
  const char *relation; /* of what is waited for to that thread: "held by" */
};

/*
** A wait that polls tries to take whenever a descriptor is ready, too; what is ready 'take' finds
** in 'revents', where it is cleared before.
*/

/*
** Waits until it is taken, or until the one who unparks hands it over with something that is not 0;
** or until one of the other three comes.
*/
lt_Parked lt_await(lt_Parker *parker, lt_Wait *wait);

/*
** Before a park, waits for a moment, because others often come soon; returns whether 'look' says
** that they have. If the last one who woke this parker was on another processor, it keeps its own
** at work, and looks every 'between' nanoseconds. Otherwise it lets others run on this one, once,
** unless the deadline is near. Nothing is announced, so nobody needs to know of it.
*/
typedef bool (*lt_Look)(void *context);

bool lt_spin(lt_Parker *parker, plat_Time deadline, plat_Time between, lt_Look look, void *context);

/*
** Unparks the one that has waited longest. 'hand' is called under the bucket's mutex: with the time
** at which that waiter came and whether more wait behind it, or with LT_NOBODY. What it returns
** is handed over; LT_KEEP_PARKED leaves the waiter parked. NULL hands nothing over.
*/
#define LT_NOBODY (-1)
#define LT_KEEP_PARKED INTPTR_MIN

typedef intptr_t (*lt_HandOver)(void *context, plat_Time since, bool more);

void lt_unpark_one(const void *address, lt_HandOver hand, void *context);
void lt_unpark_all(const void *address);

/* In the child of a fork: nobody is parked any more, and nobody holds a mutex of this. */
void lt_park_after_fork(void);

#endif
