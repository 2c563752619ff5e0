/*
** Futures, src/thread/future.c, and how lib/futurelib.c runs a task: one thread runs it, another one
** cancels it, a third one interrupts it, while a fourth one adds a callback and a fifth one waits.
**
** Invariants: the future ends once, and the callback is called once; nobody waits for one that is
** done; an interrupt that was accepted is delivered before the runner goes on to its next task, and
** none reaches that.
**
** An atomic block is what happens under the guard. Whoever waits is unparked by who has ended the
** future, behind the guard; under the bucket's mutex, the second atomic block of the waiter, he looks
** at the state before he sleeps.
*/
mtype = { pending, running, cancelled, finished };

mtype state = pending;
bool has_runner = false;     /* the field 'runner' */
bool is_listed = false;      /* the callback is in the list */
byte calls = 0;              /* of the callback */
byte ends = 0;
bool is_asleep = false;
byte asked = 0;              /* interrupts that the runner's thread has been asked for */
bool in_next_task = false;
bool accepted = false;
bool delivered = false;

/* With the guard: the listeners become the caller's. */
inline end_as(new_state, mine) {
  state = new_state;
  ends++;
  mine = is_listed;
  is_listed = false
}

/* Behind the guard: wakes who waits, then calls the callbacks. */
inline announce(mine) {
#ifndef WITHOUT_UNPARK
  atomic { is_asleep = false };
#endif
  if
  :: mine -> calls++
  :: else
  fi
}

active proctype Runner() {
  bool mine = false;
  bool runs = false;
  atomic {
    if
    :: state == pending -> state = running; has_runner = true; runs = true
    :: else
    fi
  };
  if
  :: runs ->
    /* the task: an interrupt may come here, or not before it is over */
    if
    :: asked > 0 -> asked--; delivered = true
    :: true
    fi;
#ifndef WITHOUT_LEAVING_RUNNER
    atomic { has_runner = false };
#endif
#ifndef WITHOUT_TAKING_LATE_INTERRUPTS
    if
    :: asked > 0 -> asked = 0; delivered = true
    :: else
    fi;
#endif
    atomic { end_as(finished, mine) };
    announce(mine)
  :: else
  fi;
  in_next_task = true;
  assert(asked == 0);
  assert(!accepted || delivered)
}

active proctype Canceller() {
  bool mine = false;
  bool ended = false;
  atomic {
    if
#ifdef WITHOUT_LOOK_BEFORE_CANCEL
    :: true -> end_as(cancelled, mine); ended = true
#else
    :: state == pending -> end_as(cancelled, mine); ended = true
    :: else
#endif
    fi
  };
  if
  :: ended -> announce(mine)
  :: else
  fi
}

active proctype Interrupter() {
  atomic {
    if
    :: has_runner -> asked++; accepted = true; assert(!in_next_task)
    :: else
    fi
  }
}

active proctype Listener() {
  bool done = false;
#ifdef WITHOUT_LISTING_UNDER_GUARD
  done = state == cancelled || state == finished;
  if
  :: !done -> is_listed = true
  :: else
  fi;
#else
  atomic {
    done = state == cancelled || state == finished;
    if
    :: !done -> is_listed = true
    :: else
    fi
  };
#endif
  if
  :: done -> calls++
  :: else
  fi
}

active proctype Waiter() {
  if
  :: state == cancelled || state == finished -> goto through
  :: else
  fi;
#ifdef WITHOUT_LOOK_UNDER_MUTEX
  is_asleep = true;
#else
  atomic {
    if
    :: state == cancelled || state == finished
    :: else -> is_asleep = true
    fi
  };
#endif
end_waits:
  !is_asleep;
through:
  skip
}

active proctype Observer() {
end_before:
  timeout -> assert(ends == 1 && calls == 1 && !is_asleep)
}
