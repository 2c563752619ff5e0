/*
** Invariant: a notification that finds somebody in the list reaches one who goes on because of it.
** Checked by spec/model/condition.pml.
**
** Shared state: the list, under the guard. A waiter enters it while he has the lock, so that no
** notification can come between his look at what he waits for and the wait. Who leaves it learns in
** the same step whether he was notified. If he was, he goes on as one who is, even if his time is
** up; if he raises an interrupt instead, he notifies another one. When the guard is released the
** notified waiter may be gone: who wakes him compares his address only.
*/
#include "src/sync/condition.h"

void lt_condition_init(lt_Condition *condition) {
  plat_mutex_init(&condition->guard);
  condition->first = NULL;
  condition->last = NULL;
  condition->count = 0;
}

void lt_condition_destroy(lt_Condition *condition) {
  plat_mutex_destroy(&condition->guard);
}

size_t lt_condition_waiters(lt_Condition *condition) {
  plat_mutex_lock(&condition->guard);
  size_t count = condition->count;
  plat_mutex_unlock(&condition->guard);
  return count;
}

void lt_condition_enter(lt_Condition *condition, lt_ConditionWaiter *waiter) {
  waiter->condition = condition;
  waiter->next = NULL;
  atomic_init(&waiter->notified, false);
  plat_mutex_lock(&condition->guard);
  waiter->previous = condition->last;
  *(condition->last != NULL ? &condition->last->next : &condition->first) = waiter;
  condition->last = waiter;
  condition->count++;
  plat_mutex_unlock(&condition->guard);
}

static void take_out_waiter(lt_Condition *condition, lt_ConditionWaiter *waiter) {
  *(waiter->previous != NULL ? &waiter->previous->next : &condition->first) = waiter->next;
  *(waiter->next != NULL ? &waiter->next->previous : &condition->last) = waiter->previous;
  condition->count--;
}

static bool is_notified(const lt_ConditionWaiter *waiter) {
  /* Acquire: what was done before the notification is seen. */
  return atomic_load_explicit(&waiter->notified, memory_order_acquire);
}

bool lt_condition_leave(lt_ConditionWaiter *waiter) {
  lt_Condition *condition = waiter->condition;
  plat_mutex_lock(&condition->guard);
  bool notified = is_notified(waiter);
  if (!notified)
    take_out_waiter(condition, waiter);
  plat_mutex_unlock(&condition->guard);
  return notified;
}

static bool is_not_notified(void *context) {
  return !is_notified(context);
}

lt_Wait lt_condition_wait(lt_ConditionWaiter *waiter, plat_Time deadline) {
  return (lt_Wait){.address = waiter,
                   .context = waiter,
                   .validate = is_not_notified,
                   .deadline = deadline,
                   .what = "Condition",
                   .shown = waiter->condition};
}

/* So many are woken in one go. */
#define HANDFUL_OF_WAITERS 32

void lt_condition_notify(lt_Condition *condition, uint64_t count) {
  size_t woken;
  do {
    const void *addresses[HANDFUL_OF_WAITERS];
    woken = 0;
    plat_mutex_lock(&condition->guard);
    while (woken < count && woken < HANDFUL_OF_WAITERS && condition->first != NULL) {
      lt_ConditionWaiter *waiter = condition->first;
      take_out_waiter(condition, waiter);
      addresses[woken++] = waiter;
      /* Release: pairs with is_notified. */
      atomic_store_explicit(&waiter->notified, true, memory_order_release);
    }
    plat_mutex_unlock(&condition->guard);
    for (size_t i = 0; i < woken; i++)
      lt_unpark_one(addresses[i], NULL, NULL);
    count -= woken;
  } while (woken == HANDFUL_OF_WAITERS);
}
