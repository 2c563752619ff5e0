/*
** Queues, src/shared/queue.c: who puts counts an item and wakes one that waits for it, and who
** waits may give up at any time, or have no memory to take what he was woken for.
**
** Invariant: when nothing moves any more, nobody is parked while there is an item. It holds because
** never more are parked than are counted in 'waiting' or about to be unparked.
**
** Putter: lt_queue_put with lt_queue_wake. Getter: lt_queue_get_batch of queue_batch.c with
** lt_queue_wake, count_waiter and leave_waiting, with park and give_up of src/sync/park.c. Those who
** wait for room do the same at the other end. The mutex of the bucket is an atomic block.
*/
#define PUTTERS 2
#define PUTS 2
#define GETTERS 3

byte items = 0;
byte waiting = 0; /* parked, and not about to be unparked */
byte called = 0;  /* taken off 'waiting', and not yet unparked */
byte parked = 0;
bool is_parked[GETTERS];
bool is_woken[GETTERS];

inline take_off_waiting() {
  if
  :: waiting > 0 -> waiting--
  :: else
  fi
}

/* lt_queue_wake: the loop of compare-and-swaps is one step. */
inline call_one() {
  atomic {
    calls = waiting > 0;
    if
    :: calls -> waiting--; called++
    :: else
    fi
  }
}

/* lt_unpark_one, if one was called. */
inline wake_one() {
  atomic {
    if
    :: calls ->
      called--;
      i = 0;
      do
      :: i == GETTERS -> break
      :: i < GETTERS && is_parked[i] ->
        is_parked[i] = false;
        is_woken[i] = true;
        parked--;
        break
      :: else -> i++
      od;
      i = 0
    :: else
    fi;
    calls = false
  }
}

proctype Putter() {
  byte puts = 0;
  byte i;
  bool calls;
  do
  :: puts == PUTS -> break
  :: else ->
    items++;
    call_one();
    wake_one();
    puts++
  od
}

proctype Getter(byte me; bool patient) {
  bool got, parks, gives_up, calls;
  byte i;
try_again:
  if
  :: !patient && items > 0 -> /* there is no memory to take it */
#ifndef WITHOUT_PASSING_ON
    call_one();
    wake_one();
#endif
    goto left
  :: true
  fi;
  atomic {
    got = items > 0;
    if
    :: got -> items--
    :: else
    fi
  }
  if
  :: got -> goto try_again
  :: else
  fi;
  atomic { /* the validation: it counts itself, and then looks once more */
    is_woken[me] = false;
    waiting++;
    parks = items == 0;
    if
    :: parks -> is_parked[me] = true; parked++
    :: else -> take_off_waiting()
    fi
  }
  if
  :: !parks -> goto try_again
  :: else
  fi;
end_parked:
  if
  :: is_woken[me] -> goto try_again
  :: !patient /* the time is up, or an interrupt has come */
  fi;
  atomic {
    gives_up = is_parked[me];
    if
    :: gives_up ->
      is_parked[me] = false;
      parked--;
#ifndef WITHOUT_LEAVING_IN_ONE_STEP
      take_off_waiting()
#endif
    :: else
    fi
  }
  if
  :: !gives_up -> goto try_again /* a wake-up that has come is not lost with it */
  :: else
  fi;
#ifdef WITHOUT_LEAVING_IN_ONE_STEP
  atomic { take_off_waiting() }
#endif
left:
  skip
}

active proctype Observer() {
end_before:
  timeout -> assert(items == 0 || parked == 0)
}

#ifndef WITHOUT_LEAVING_IN_ONE_STEP
active proctype Count() {
end_before:
  atomic { !(parked <= waiting + called) -> assert(false) }
}
#endif

init {
  atomic {
    run Getter(0, false);
    run Getter(1, false);
    run Getter(2, true);
    run Putter();
    run Putter()
  }
}
