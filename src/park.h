/*
** The one way to wait: park on an address until an unpark, an interrupt, or a deadline.
**
** A waiter is queued under its address in a table of buckets. Whoever changes what the address
** stands for looks for waiters and wakes them; the address itself is only compared, never read.
*/
#ifndef lt_park_h
#define lt_park_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/platform.h"

/*
** One for each thread; only that thread parks with it. It has a count of references because
** an unpark still needs it when its thread, already awake, is gone.
*/
typedef struct lt_Parker {
  atomic_uint references;
  atomic_bool interrupted;       /* set by lt_parker_interrupt, cleared by its own thread */
  _Atomic(const char *) waiting; /* what the thread waits in, for people; NULL while it runs */
  plat_Parker native;
} lt_Parker;

lt_Parker *lt_parker_new(void); /* NULL without memory */
void lt_parker_release(lt_Parker *parker);

/* Ends the current or the next park of this parker with LT_INTERRUPTED. */
void lt_parker_interrupt(lt_Parker *parker);

typedef enum lt_Parked {
  LT_UNPARKED,    /* somebody unparked this waiter */
  LT_TIMED_OUT,   /* the deadline passed */
  LT_INTERRUPTED, /* lt_parker_interrupt */
  LT_SIGNALLED,   /* a signal handler of the host ran on this thread */
  LT_CHANGED      /* the validation said no: nothing was waited for */
} lt_Parked;

/*
** Parks on 'address'. 'validate' is called under the bucket's mutex, so that no unpark can come
** between it and the wait: it returns false when there is nothing to wait for. If the one who
** unparks hands something over, 'handed' receives it.
*/
typedef bool (*lt_Validate)(void *context);

typedef struct lt_Wait {
  const void *address;
  lt_Validate validate;
  void *context;
  plat_Time deadline; /* PLAT_FOREVER for none */
  const char *what;   /* for people: "lock", "join", ... */
} lt_Wait;

lt_Parked lt_park(lt_Parker *parker, const lt_Wait *wait, intptr_t *handed);

/*
** Unparks the one that has waited longest. 'hand' is called under the bucket's mutex: with the time
** at which that waiter came and whether more wait behind it, or with LT_NOBODY. What it returns
** is handed over; LT_KEEP_PARKED leaves the waiter parked.
*/
#define LT_NOBODY (-1)
#define LT_KEEP_PARKED INTPTR_MIN

typedef intptr_t (*lt_Hand)(void *context, plat_Time since, bool more);

void lt_unpark_one(const void *address, lt_Hand hand, void *context);
void lt_unpark_all(const void *address);

#endif
