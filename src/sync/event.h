/*
** Events: a flag that threads wait for. One word each, with the table of parked waiters of park.h
** behind it.
*/
#ifndef lt_event_h
#define lt_event_h

#include "src/sync/look.h"

/*
** The bits of the word:
**
**   LT_EVENT_SET     the flag
**   LT_EVENT_WAITED  somebody may be parked on the word, or look at it: who sets the flag has to look
**   the rest         how often it was set
*/
#define LT_EVENT_SET ((uint64_t)1)
#define LT_EVENT_WAITED ((uint64_t)2)
#define LT_EVENT_TIME ((uint64_t)4)

typedef struct lt_Event {
  atomic_uint_least64_t state;
} lt_Event;

void lt_event_init(lt_Event *event);
void lt_event_set(lt_Event *event);
void lt_event_clear(lt_Event *event);

static inline bool lt_event_is_set(const lt_Event *event) {
  /* Acquire: what was done before the flag was set is seen. */
  return (atomic_load_explicit(&event->state, memory_order_acquire) & LT_EVENT_SET) != 0;
}

/*
** One who waits, and how often the event had been set when he began: he is through once it has been
** set again, also if it was cleared since.
*/
typedef struct lt_EventWaiter {
  lt_Event *event;
  uint64_t times;
} lt_EventWaiter;

lt_EventWaiter lt_event_waiter(lt_Event *event);

/* For lt_wait. The waiter must stay where it is until then. */
lt_Wait lt_event_wait(lt_EventWaiter *waiter, plat_Time deadline);

/* Ready if it is set, or has been since. */
lt_Sight lt_event_sight(lt_Event *event);

#endif
