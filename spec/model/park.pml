/*
** Parking with time-outs and interrupts, src/sync/park.c.
**
** Invariant: when nothing moves any more, nobody is parked while there is something to take, nor,
** unless a handler must finish first, while he is asked by an interrupt.
**
** Waiter: lt_await with park, stay_parked and give_up; and of lt_wait in src/thread/wait.c that a
** wait goes deaf in a handler that must finish first. Giver: lt_unpark_one, after it has made
** something to take. Interrupter: lt_parker_interrupt. The mutex of the bucket is an atomic block.
** The token is that of plat_park and plat_unpark; a wait within the wait, of one who attends to
** something, may use it up. Of several waiters any is woken here, not just the one that has waited
** longest.
*/
#define WAITERS 3

byte things = 0;
bool is_queued[WAITERS];
bool is_woken[WAITERS];
bool token[WAITERS];

/* Of the one that is interrupted, who waits twice: in a handler, and then for what never comes. */
#define INTERRUPTED 0
bool is_asked = false;
bool must_hear = false; /* it waits, and need not finish a handler first */

inline unpark(waiter) {
#ifdef WITHOUT_TOKEN
  if
  :: is_asleep[waiter] -> token[waiter] = true
  :: else
  fi
#else
  token[waiter] = true
#endif
}

#ifdef WITHOUT_TOKEN
bool is_asleep[WAITERS];
#endif

proctype Giver() {
  byte i = 0;
  things++;
  atomic {
    if
    :: is_queued[0] -> i = 0
    :: is_queued[1] -> i = 1
    :: is_queued[2] -> i = 2
    :: !is_queued[0] && !is_queued[1] && !is_queued[2] -> i = WAITERS
    fi;
    if
    :: i < WAITERS -> is_queued[i] = false; is_woken[i] = true
    :: else
    fi
  }
  if
  :: i < WAITERS -> unpark(i)
  :: else
  fi
}

proctype Interrupter() {
  is_asked = true;
  unpark(INTERRUPTED)
}

proctype Waiter(byte me; bool is_timed) {
  bool is_over = false;    /* its time */
  bool is_deaf = false;
  bool is_endless = false; /* it waits for what never comes */
#ifdef WITHOUT_LOOK_BEFORE_PARK
  bool looks;
#endif

take:
  atomic {
    if
    :: things > 0 && !is_endless -> things--; goto taken
    :: else
    fi;
    if
    :: is_over -> goto left
    :: else
    fi
  }
  atomic { /* park */
    is_woken[me] = false;
#ifdef WITHOUT_LOOK_BEFORE_PARK
    looks = false;
#endif
#ifndef WITHOUT_VALIDATION
    if
    :: things > 0 && !is_endless -> goto take
    :: else
    fi;
#endif
    is_queued[me] = !is_endless
  }

stay:
  if
  :: token[me] = false /* used up by a wait within this one */
  :: true
  fi;
  atomic {
    if
    :: is_woken[me] -> goto take
    :: else
    fi
  }
  atomic {
    if
#ifdef WITHOUT_LOOK_BEFORE_PARK
    :: !looks -> looks = true
#endif
    :: me == INTERRUPTED && is_asked && !is_deaf -> goto give_up
    :: else
    fi;
#ifdef WITHOUT_TOKEN
    is_asleep[me] = true;
#endif
    must_hear = (me == INTERRUPTED -> is_endless || !is_deaf : must_hear)
  }
end_parked:
  atomic {
    if
    :: token[me] -> token[me] = false
    :: is_timed -> is_over = true
    fi;
#ifdef WITHOUT_TOKEN
    is_asleep[me] = false;
#endif
    must_hear = (me == INTERRUPTED -> false : must_hear);
    if
    :: is_over -> goto give_up
    :: else -> goto stay
    fi
  }

give_up:
  atomic {
    if
#ifndef WITHOUT_LOOK_AT_WOKEN
    :: is_woken[me] -> goto take
#endif
    :: else
    fi;
    is_queued[me] = false;
    if
    :: is_over -> goto take
    :: !is_over && !is_endless -> is_deaf = true; goto take /* a handler must finish first */
    :: !is_over -> goto left
    fi
  }

taken:
  atomic {
    if
    :: me == INTERRUPTED && !is_endless ->
      is_endless = true;
#ifndef WITHOUT_DEAFNESS_OF_ONE_WAIT
      is_deaf = false;
#endif
      goto take
    :: else
    fi
  }
left:
  skip
}

active proctype Observer() {
end_before:
  timeout -> atomic {
    assert(things == 0 || !(is_queued[0] || is_queued[1] || is_queued[2]));
    assert(!(is_asked && must_hear))
  }
}

init {
  atomic {
    run Waiter(INTERRUPTED, false);
    run Waiter(1, true);
    run Waiter(2, false);
    run Giver();
    run Giver();
    run Interrupter()
  }
}
