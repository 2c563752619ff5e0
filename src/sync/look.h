/*
** Looking: waiting for one of several things, of which none is taken. Who looks is woken besides
** those who are parked for the thing, and never in the place of one of them.
**
** Whatever can be looked at gives its lt_Sight. Who changes such a thing wakes its lookers with
** lt_look_wake, after the change; a flag of the thing may say whether there are any.
*/
#ifndef lt_look_h
#define lt_look_h

#include "src/sync/park.h"

typedef struct lt_Sight lt_Sight;

/*
** is_ready  Whether there is what is looked for. With no mutex held.
** announce  The same the other way round: true, there is nothing yet, and who brings it will wake
**           the lookers. It is called under their mutex, within which a guard may be taken.
*/
struct lt_Sight {
  const void *address; /* by which its lookers are woken */
  void *thing;
  bool (*is_ready)(const lt_Sight *sight);
  bool (*announce)(const lt_Sight *sight);
  uint64_t since; /* for the two: what the thing was when the sight was made */
};

typedef struct lt_Looking lt_Looking;

/* One thread that looks at one thing. */
typedef struct lt_Looker {
  struct lt_Looker *next;
  struct lt_Looker *previous;
  lt_Looking *looking;
  lt_Sight sight;
  bool queued; /* under the mutex of its bucket */
} lt_Looker;

/* One thread that looks at all it waits for. */
struct lt_Looking {
  lt_Parker *parker;
  lt_Looker *lookers;
  size_t count;
  size_t entered; /* of them */
  atomic_bool seen;
};

/* With no lookers yet. Of each the caller sets the sight, and of the whole the parker. */
void lt_looking_init(lt_Looking *looking, lt_Looker *lookers);

/*
** Enters all; false: one of them is ready. They stay until lt_look_leave, which must come in any
** case before the memory is given back.
*/
bool lt_look_enter(lt_Looking *looking);
void lt_look_leave(lt_Looking *looking);

/* Wakes all who look at this address. */
void lt_look_wake(const void *address);

/* In the child of a fork: nobody looks any more. */
void lt_look_after_fork(void);

#endif
