/*
** Conditions, src/sync/condition.c, and how lib/conditionlib.c waits for one: threads wait with
** the lock until there is an item for them, some of whom give up or are interrupted.
**
** Invariant: when nothing moves any more nobody waits while there is an item.
**
** Waiter: condition_wait in a loop, with lt_condition_enter, lt_await and lt_condition_leave.
** Giver: puts an item and calls lt_condition_notify for one. The guard of the list is an atomic
** block; whoever notifies takes the first one in the list, so each order is tried.
*/
#define WAITERS 3
#define ITEMS 2

bool is_locked = false;
bool is_listed[WAITERS];
bool is_notified[WAITERS];
bool is_waiting[WAITERS];
byte items = 0;

inline acquire() {
  atomic { !is_locked -> is_locked = true }
}

inline release() {
  is_locked = false
}

inline notify() {
  atomic {
    if
    :: is_listed[0] -> is_listed[0] = false; is_notified[0] = true
    :: is_listed[1] -> is_listed[1] = false; is_notified[1] = true
    :: is_listed[2] -> is_listed[2] = false; is_notified[2] = true
    :: else
    fi
  }
}

inline enter() {
  atomic {
    is_notified[me] = false;
    is_listed[me] = true
  }
}

/* The time may be up, or an interrupt come, at any moment, also with the notification or later. */
proctype Waiter(byte me; bool is_patient) {
  bool interrupted;
  bool notified;

  acquire();
again:
  if
  :: items > 0 -> items--; release(); goto left
  :: else
  fi;
  is_waiting[me] = true;
#ifdef WITHOUT_ENTERING_FIRST
  release();
  enter();
#else
  enter();
  release();
#endif
  interrupted = false;
end_waits:
  if
  :: is_notified[me]
  :: !is_patient
  :: !is_patient -> interrupted = true
  fi;
  atomic { /* lt_condition_leave */
    is_waiting[me] = false;
    notified = is_notified[me];
    is_listed[me] = false;
#ifdef WITHOUT_LOOK_AT_NOTIFIED
    notified = notified && is_patient
#endif
  }
#ifndef WITHOUT_PASSING_ON
  if
  :: notified && interrupted -> notify()
  :: else
  fi;
#endif
  acquire();
  if
  :: interrupted -> release(); goto left
  :: !interrupted && !is_patient && notified -> /* an interrupt that comes now */
#ifndef WITHOUT_PASSING_ON_LATE
    notify();
#endif
    release(); goto left
  :: !interrupted && (notified || is_patient) -> goto again
  :: !interrupted && !notified && !is_patient -> release(); goto left
  fi;
left:
  skip
}

active proctype Giver() {
  byte given = 0;
  do
  :: given < ITEMS ->
    acquire();
    items++;
    notify();
    release();
    given++
  :: else -> break
  od
}

active proctype Observer() {
end_before:
  timeout -> assert(items == 0 || !(is_waiting[0] || is_waiting[1] || is_waiting[2]))
}

init {
  atomic {
    run Waiter(0, true);
    run Waiter(1, true);
    run Waiter(2, false)
  }
}
