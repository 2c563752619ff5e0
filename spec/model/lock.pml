/*
** Locks, src/sync/lock.c: the word and the waiters parked behind it, some of whom give up.
**
** Invariant: no two have the lock; and when nothing moves any more nobody has it, nor is anybody
** parked on it.
**
** Owner: lt_lock_try, announce_waiter under the mutex of the bucket, hand_over likewise, and
** lt_await with give_up of src/sync/park.c. Such a mutex is an atomic block. Whether the lock is
** handed over is open, so this is so for every rule of when it is; and any waiter is woken.
*/
#define OWNERS 3
#define TIMES 2

bool is_locked = false;
bool is_waited = false;
bool is_queued[OWNERS];
bool is_woken[OWNERS];
bool is_handed[OWNERS];
byte inside = 0;

/* Whether anybody else is queued. */
inline count_others() {
  more = false;
  if
  :: is_queued[0] || is_queued[1] || is_queued[2] -> more = true
  :: else
  fi
}

proctype Owner(byte me; bool is_patient) {
  byte times = 0;
  byte next;
  bool more;

try:
  atomic {
    if
    :: !is_locked -> is_locked = true; goto got
    :: else
    fi
  }
  if
  :: !is_patient -> goto left /* the time is up */
  :: true
  fi;
  atomic { /* the validation */
    if
#ifdef WITHOUT_ANNOUNCING
    :: true
#else
    :: is_locked -> is_waited = true
    :: else -> goto try
#endif
    fi;
    is_woken[me] = false;
    is_handed[me] = false;
    is_queued[me] = true
  }
  if
  :: is_woken[me]
  :: !is_patient
  fi;
  atomic { /* it was woken, or gives up */
    if
#ifdef WITHOUT_LOOK_AT_WOKEN
    :: is_queued[me] || !is_patient -> is_queued[me] = false; goto left
#else
    :: is_queued[me] -> is_queued[me] = false; goto left
#endif
    :: else
    fi;
    if
    :: is_handed[me] -> goto got
    :: else -> goto try
    fi
  }

got:
  inside++;
  assert(inside == 1);
  inside--;
  times++;
  atomic { /* lt_lock_release */
    if
    :: !is_waited -> is_locked = false; goto released
    :: else
    fi
  }
  atomic { /* lt_lock_release_waited */
    if
    :: is_queued[0] -> next = 0
    :: is_queued[1] -> next = 1
    :: is_queued[2] -> next = 2
    :: !(is_queued[0] || is_queued[1] || is_queued[2]) ->
      is_locked = false;
      is_waited = false;
      goto released
    fi;
    is_queued[next] = false;
    is_woken[next] = true;
    count_others();
#ifdef WITHOUT_KEEPING_WAITED
    more = false;
#endif
    is_waited = more;
    if
    :: is_handed[next] = true
    :: is_locked = false
    fi
  }

released:
  if
  :: times < TIMES -> goto try
  :: else
  fi;
left:
  skip
}

active proctype Observer() {
end_before:
  timeout -> assert(!is_locked && !is_queued[0] && !is_queued[1] && !is_queued[2])
}

init {
  atomic {
    run Owner(0, true);
    run Owner(1, true);
    run Owner(2, false)
  }
}
