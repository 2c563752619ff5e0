/*
** Workers, src/thread/worker.c: OS threads that stay for the next thread, of whatever runtime, and
** the close of the last runtime, which waits until they are gone.
**
** Invariant: when nothing moves any more, whoever was given work has done it, no close is parked
** unless a worker stays and no runtime is open, and no worker is parked when none is open. So a
** close waits for no other runtime, and a start for no other runtime's collection.
**
** Worker: live, be_ready, await_work and end_stay, with finish of src/thread/thread_life.c and
** lt_runtime_threads_leave of src/thread/runtime_threads.c. Runtime: lt_workers_open, worker_give
** with worker_find, lt_workers_close with dismiss_one. What is done under a guard is an atomic
** block. A runtime may live for ever, and so may a worker that is parked, or one that collects.
*/
#define WORKERS 3
#define RUNTIMES 2
#define STARTS 2

mtype = {NONE, BUSY, OFFERED, READY, GIVEN, DISMISSED};

byte open = 0;    /* runtime_count */
byte staying = 0; /* staying_count */
mtype state[WORKERS] = NONE;
byte owner[WORKERS];
bool is_parked[WORKERS];
bool is_closing[RUNTIMES]; /* parked in lt_workers_close */
bool has_left[RUNTIMES];   /* its main thread is not in the list any more */
byte running[RUNTIMES];

inline wake_closing() {
  d_step {
    is_closing[0] = false;
    is_closing[1] = false;
  }
}

inline offer() {
  if
  :: open > 0 -> state[id] = OFFERED; staying++
  :: else
  fi
}

proctype Worker(byte id) {
  bool is_last;
  bool is_given;
  do
  :: true ->
    atomic {
      is_last = has_left[owner[id]] && running[owner[id]] == 1;
#ifndef WITHOUT_COLLECTING_UNOFFERED
      if
      :: !is_last -> offer()
      :: else
      fi;
#else
      offer();
#endif
      running[owner[id]]--
    }
    if
    :: is_last -> skip
    :: is_last -> end_collecting: false
    :: !is_last
    fi;
    if
    :: state[id] == BUSY -> break
    :: else
    fi;
    atomic {
      if
      :: state[id] == OFFERED -> state[id] = READY
      :: else
      fi
    }
    atomic {
      if
#ifndef WITHOUT_LOOK_AT_RUNTIMES
      :: state[id] == READY && open > 0 -> is_parked[id] = true
#else
      :: state[id] == READY -> is_parked[id] = true
#endif
      :: else
      fi
    }
    if
    :: true ->
end_parked:
      !is_parked[id]
    :: is_parked[id] = false /* the time is over */
    fi;
    atomic {
      is_given = state[id] == GIVEN;
      if
      :: state[id] == READY -> state[id] = DISMISSED
      :: else -> state[id] = BUSY
      fi
    }
    if
    :: is_given
    :: else ->
      staying--;
#ifndef WITHOUT_WAKE_AT_END
      wake_closing();
#endif
      break
    fi
  od
}

inline start() {
  atomic {
    worker = 0;
    found = WORKERS;
    do
    :: worker == WORKERS -> break
    :: worker < WORKERS ->
      if
      :: state[worker] == READY -> found = worker
      :: state[worker] == OFFERED && (found == WORKERS || state[found] != READY) -> found = worker
      :: else
      fi;
      worker++
    od;
    running[id]++;
    if
    :: found < WORKERS ->
      state[found] = GIVEN;
      staying--;
      owner[found] = id
    :: else ->
      do
      :: found == WORKERS -> found = 0
      :: found < WORKERS && state[found] != NONE -> found++
      :: else -> break
      od;
      state[found] = BUSY;
      owner[found] = id;
      run Worker(found);
      found = WORKERS
    fi
  }
  if
  :: found < WORKERS ->
#ifndef WITHOUT_WAKE_BY_GIVING
    is_parked[found] = false
#else
    skip
#endif
  :: else
  fi
}

inline dismiss_one() {
  atomic {
    worker = 0;
    do
    :: worker == WORKERS -> break
    :: worker < WORKERS && open == 0 && state[worker] == READY ->
      state[worker] = DISMISSED;
      break
    :: else -> worker++
    od
  }
}

proctype Runtime(byte id) {
  byte started = 0;
  byte worker;
  byte found;
  open++;
#ifndef WITHOUT_WAKE_AT_OPENING
  wake_closing();
#endif
  do
  :: started < STARTS - id ->
    start();
    started++;
    if
    :: running[id] == 0        /* joined */
    :: started == STARTS - id /* a daemon, that may outlive its main thread */
    fi
  :: started == STARTS - id -> break
  od;
  if
  :: true -> end_living: running[id] == 0 -> end_done: false
  :: true
  fi;
  has_left[id] = true;
  open--;
  do
  :: true ->
    dismiss_one();
    if
    :: worker == WORKERS -> break
    :: else ->
#ifndef WITHOUT_WAKE_BY_DISMISSING
      is_parked[worker] = false
#else
      skip
#endif
    fi
  od;
  do
  :: true ->
    atomic {
      if
      :: open == 0 && staying > 0 -> is_closing[id] = true
      :: else -> break
      fi
    }
    !is_closing[id]
  od
}

/* What may stay parked for ever: a worker that is ready, while there is a runtime. */
active proctype Watch() {
end_watching:
  timeout -> assert(open > 0 || staying == 0);
  byte i;
  for (i : 0 .. WORKERS - 1) {
    assert(state[i] != GIVEN);
    assert(!is_parked[i] || open > 0)
  }
}

init {
  atomic {
    run Runtime(0);
    run Runtime(1)
  }
}
