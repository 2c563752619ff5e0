/*
** Parking in poll, platform/polling.c.
**
** Invariant: whoever turns the token from POLLING to 1 sets the event once, and the thread does not
** leave the poll before it has taken that. So no unpark is lost, nothing stale is left in the
** event, and nobody sets one that its thread has closed.
**
** Waiter: stay_parked of src/sync/park.c with plat_park_polling, until it has seen what it was
** unparked for; its descriptor may be ready, or its time be over, a few times before. Then it ends,
** and closes the event. Unparker: lt_parker_interrupt or lt_unpark_one with plat_unpark, whose thread
** goes on when the waiter may be gone.
*/
#define UNPARKERS 3
#define POLLING 2

byte token = 0;
byte event = 0;
bool is_open = true;
byte asked = 0;

proctype Unparker() {
  byte before;
  asked++;
  atomic {
    before = token;
    token = 1
  }
  if
#ifndef WITHOUT_EVENT
  :: before == POLLING ->
    assert(is_open);
    event++
#endif
  :: else
  fi
}

active proctype Waiter() {
  byte before;
  byte others = 2; /* how often the descriptor is ready or the time over */
  do
  :: asked == UNPARKERS -> break
  :: asked < UNPARKERS ->
    atomic { /* begin */
      before = token;
#ifndef WITHOUT_LOOK_AT_TOKEN
      token = (before == 0 -> POLLING : 0)
#else
      token = POLLING;
      before = 0
#endif
    }
    if
    :: before != 0 -> skip
    :: before == 0 ->
      if /* poll */
      :: event > 0
      :: others > 0 -> others--
      fi;
      atomic { /* leave */
        before = token;
        token = 0
      }
      if
#ifndef WITHOUT_TAKING
      :: before != POLLING ->
        event > 0;
        event--
#endif
      :: else
      fi
    fi
  od;
  assert(event == 0);
  is_open = false
}

init {
  atomic {
    byte i;
    for (i : 1 .. UNPARKERS) {
      run Unparker()
    }
  }
}
