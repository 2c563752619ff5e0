/*
** Lookers, src/sync/look.c, at queues, src/shared/queue.c: who puts counts an item, and then wakes
** one getter that is counted, and all who only look. Lookers wait for one of two queues; one takes
** what it finds there, as any getter may, and may give up; the other only looks.
**
** Invariant: when nothing moves any more, neither a getter nor a looker is parked while there is an
** item in a queue of his.
**
** Putter: lt_queue_put with lt_queue_wake. Getter: count_waiter, with park. Looker: find_or_enter of
** src/thread/watch.c with lt_look_enter and lt_look_leave. The mutex of a bucket is an atomic block
** where only that counts, and a lock where a putter may come in between.
*/
#define QUEUES 2
#define LOOKERS 2

byte items[QUEUES];
byte waiting[QUEUES];  /* getters that are counted */
bool looked_at[QUEUES];
bool mutex[QUEUES];    /* of the lookers of a queue */
bool parked[QUEUES];   /* the getter of it */
bool woken[QUEUES];
bool queued[4];        /* LOOKERS * queue + looker */
bool seen[LOOKERS];
bool sleeps[LOOKERS];

#define LOOKER(queue, looker) queued[LOOKERS * (queue) + (looker)]

inline lock(queue) { atomic { !mutex[queue] -> mutex[queue] = true } }
inline unlock(queue) { mutex[queue] = false }

proctype Putter(byte at) {
  bool called, shows;
  items[at]++;
  atomic { /* the compare-and-swap of lt_queue_wake */
    called = waiting[at] > 0;
    if
    :: called -> waiting[at]--
    :: else
    fi;
    shows = looked_at[at];
    looked_at[at] = false
  }
  atomic { /* lt_unpark_one */
    if
#ifdef WITHOUT_LOOKING_APART
    :: called && LOOKER(at, 0) -> LOOKER(at, 0) = false; seen[0] = true
#endif
    :: called && parked[at] -> parked[at] = false; woken[at] = true
    :: else
    fi
  }
  if
  :: shows ->
    lock(at);
    atomic {
      if
      :: LOOKER(at, 0) -> LOOKER(at, 0) = false; seen[0] = true
      :: else
      fi;
      if
      :: LOOKER(at, 1) -> LOOKER(at, 1) = false; seen[1] = true
      :: else
      fi
    }
    unlock(at)
  :: else
  fi
}

proctype Getter(byte at) {
  bool got, parks;
try_again:
  atomic {
    got = items[at] > 0;
    if
    :: got -> items[at]--
    :: else
    fi
  }
  if
  :: got -> goto done
  :: else
  fi;
  atomic {
    woken[at] = false;
    waiting[at]++;
    parks = items[at] == 0;
    if
    :: parks -> parked[at] = true
    :: else -> waiting[at]--
    fi
  }
  if
  :: !parks -> goto try_again
  :: else
  fi;
end_parked:
  woken[at] -> goto try_again;
done:
  skip
}

/* At both queues. */
proctype Looker(byte me; bool takes; bool patient) {
  byte at;
  bool ready, in_first;
look:
  at = 0;
  do /* lt_look_leave */
  :: at == QUEUES -> break
  :: else ->
    lock(at);
    LOOKER(at, me) = false;
    unlock(at);
    at++
  od;
  at = 0;
  ready = false;
  do
  :: at == QUEUES || ready -> break
  :: else ->
    atomic {
      ready = items[at] > 0;
      if
      :: ready && takes -> items[at]--
      :: else
      fi
    }
    at++
  od;
  if
  :: ready -> goto done
  :: else
  fi;
  seen[me] = false;
  at = 0;
  do /* lt_look_enter */
  :: at == QUEUES || ready -> break
  :: else ->
    lock(at);
    LOOKER(at, me) = true;
#if defined(WITHOUT_LOOKING_APART)
    waiting[at]++; /* it counts as a waiter, and is woken in the place of one */
#elif !defined(WITHOUT_ANNOUNCING)
    looked_at[at] = true;
#endif
#ifndef WITHOUT_LOOKING_AGAIN
    ready = items[at] > 0;
#endif
    unlock(at);
    at++
  od;
  if
  :: ready -> goto look
  :: else
  fi;
  sleeps[me] = true;
end_parked:
  if
  :: seen[me] -> sleeps[me] = false; goto look
  :: !patient -> sleeps[me] = false
  fi;
done:
  at = 0;
  do /* lt_look_leave */
  :: at == QUEUES -> break
  :: else ->
    lock(at);
    LOOKER(at, me) = false;
    unlock(at);
    at++
  od
}

active proctype Observer() {
end_before:
  timeout ->
    assert(items[0] == 0 || !parked[0]);
    assert(items[1] == 0 || !parked[1]);
    assert(items[0] + items[1] == 0 || (!sleeps[0] && !sleeps[1]))
}

init {
  atomic {
    run Looker(0, false, true);
    run Looker(1, true, false);
    run Getter(0);
    run Putter(0);
    run Putter(1)
  }
}
