/*
** Conditions: who waits for a notification stands in a list, and parks by park.h. The lock that
** belongs to a condition is the business of its users: they have it when they enter the list, and
** when they notify.
*/
#ifndef lt_condition_h
#define lt_condition_h

#include "src/sync/park.h"

typedef struct lt_ConditionWaiter lt_ConditionWaiter;

/* All under the guard. The list is in the order in which they came. */
typedef struct lt_Condition {
  plat_Mutex guard;
  lt_ConditionWaiter *first;
  lt_ConditionWaiter *last;
  size_t count;
} lt_Condition;

/* One who waits, in memory of his own until he has left. */
struct lt_ConditionWaiter {
  lt_Condition *condition;
  lt_ConditionWaiter *next;
  lt_ConditionWaiter *previous;
  atomic_bool notified; /* written under the guard, in the step in which he is taken out */
};

void lt_condition_init(lt_Condition *condition);
void lt_condition_destroy(lt_Condition *condition);
size_t lt_condition_waiters(lt_Condition *condition);

/* Before the lock is released. From now on he can be notified. */
void lt_condition_enter(lt_Condition *condition, lt_ConditionWaiter *waiter);

/* The wait for the notification, for lt_wait. */
lt_Wait lt_condition_wait(lt_ConditionWaiter *waiter, plat_Time deadline);

/* However the wait has ended. Whether he was notified: then nobody else was in his place. */
bool lt_condition_leave(lt_ConditionWaiter *waiter);

/* Notifies those that came first, so many of them at most. */
void lt_condition_notify(lt_Condition *condition, uint64_t count);

#endif
