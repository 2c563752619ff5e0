/*
** A lock that is biased to a thread lets in one at a time, and no wake-up is lost while the bias is
** used, taken away or given.
**
** Stands for src/sync/biased_lock.c and biased_lock.h (lt_biased_lock_begin_write,
** lt_biased_lock_enter, remove_bias, set_bias, lt_biased_lock_end), for the part of
** src/shared/queue.c that reads and counts waiters (read_waiting, call_waiters, count_waiter), and
** for the barriers of platform/platform.h and linux.c. The owner puts items into a queue by its
** bias; the revoker, as the collector does, locks the queue; the waiter, which gets the items,
** parks when there is none.
**
** Memory is that of x86 (TSO): what a thread writes waits in its store buffer, in order, and a read
** looks there first, then in memory. A locked instruction or a fence waits until the buffer is
** empty. The heavy barrier waits for an empty buffer of every thread, or fails, at any time.
*/

#define ITEMS 2
#define REVOCATIONS 2

/* Threads that have a store buffer: the waiter writes by locked instructions only. */
#define OWNER 0
#define REVOKER 1
#define WAITER 2

/* What is in memory. */
#define BIAS 0
#define SLOT 1
#define COUNT 2
#define WAITING 3
#define HAS_HEAVY 4
#define VARIABLES 5

/* What the lock is biased to. */
#define UNBIASED 0
#define TO_OWNER 1
#define UNBIASING 2

#define ROOM 3

typedef Buffer {
  byte variable[ROOM];
  byte value[ROOM];
  byte length;
  byte written; /* stores, ever */
  byte seen /* of them, by others */
}

Buffer buffers[2];
byte memory[VARIABLES];
bool all_are_full; /* only seen to be true after it is, so it needs no buffer */

bool locked;      /* the lock's word */
byte inside;      /* who is, counted */
bool mutex;       /* of the bucket */
bool parked;      /* the waiter is in the bucket */

inline store(me, v, x) {
  atomic {
    buffers[me].length < ROOM;
    buffers[me].variable[buffers[me].length] = v;
    buffers[me].value[buffers[me].length] = x;
    buffers[me].length++;
    buffers[me].written++
  }
}

inline load(me, v, result) {
  d_step {
    result = memory[v];
    if
    :: me != WAITER ->
      i = 0;
      do
      :: i < buffers[me].length ->
        if
        :: buffers[me].variable[i] == v -> result = buffers[me].value[i]
        :: else
        fi;
        i++
      :: else -> break
      od
    :: else
    fi;
    i = 0
  }
}

#define drained(me) (me == WAITER || buffers[me].length == 0)

inline fence(me) {
  drained(me)
}

/* The buffer's head goes to memory. */
proctype drain(byte me) {
end:
  do
  :: d_step {
       buffers[me].length > 0 ->
       memory[buffers[me].variable[0]] = buffers[me].value[0];
       buffers[me].variable[0] = buffers[me].variable[1];
       buffers[me].value[0] = buffers[me].value[1];
       buffers[me].variable[1] = buffers[me].variable[2];
       buffers[me].value[1] = buffers[me].value[2];
       buffers[me].variable[2] = 0;
       buffers[me].value[2] = 0;
       buffers[me].length--;
       buffers[me].seen++
     }
  od
}

/*
** Barriers
*/

inline light_barrier(me) {
#ifndef WITHOUT_READING_LATE
  load(me, HAS_HEAVY, heavy);
#endif
  if
  :: heavy
  :: else -> fence(me)
  fi
}

inline make_all_full() {
  memory[HAS_HEAVY] = false;
#ifndef WITHOUT_SETTLING
  /* What has been written by now is seen before long. */
  d_step { written_0 = buffers[0].written; written_1 = buffers[1].written };
  buffers[0].seen >= written_0;
  buffers[1].seen >= written_1;
  d_step { written_0 = 0; written_1 = 0 };
#endif
  all_are_full = true
}

inline heavy_barrier(me) {
  fence(me);
  if
  :: all_are_full
  :: else ->
    if
    :: memory[HAS_HEAVY] ->
      buffers[0].length == 0;
      buffers[1].length == 0
    :: make_all_full() /* it has failed, or does not exist any more */
    fi
  fi
}

/*
** The lock
*/

inline lock(me) {
  atomic { !locked && drained(me) -> locked = true }
}

inline unlock(me) {
  atomic { drained(me) -> locked = false }
}

inline remove_bias(me) {
#ifndef WITHOUT_UNBIASING
  store(me, BIAS, UNBIASING);
#else
  store(me, BIAS, UNBIASED);
#endif
#ifndef WITHOUT_BARRIER_OF_REVOKER
  heavy_barrier(me);
#endif
#ifndef WITHOUT_WAITING_FOR_THE_SLOT
  memory[SLOT] == false;
#endif
  store(me, BIAS, UNBIASED)
}

inline enter() {
  d_step { inside++; assert(inside == 1) }
}

inline leave() {
  inside--
}

/*
** The threads
*/

inline unpark() {
  atomic { !mutex -> parked = false }
}

inline call_waiter(me) {
  atomic {
    drained(me);
    if
    :: memory[WAITING] > 0 -> memory[WAITING]--; called = true
    :: else
    fi
  }
}

proctype owner() {
  byte i, put, bias, waiting;
  bool biased, called;
  bool heavy = true;
  do
  :: put < ITEMS ->
#ifdef WITHOUT_READING_LATE
    load(OWNER, HAS_HEAVY, heavy);
#endif
    load(OWNER, BIAS, bias);
    if
    :: bias == TO_OWNER ->
      store(OWNER, SLOT, true);
      light_barrier(OWNER);
#ifndef WITHOUT_SECOND_LOOK
      load(OWNER, BIAS, bias);
#endif
      biased = bias == TO_OWNER;
      if
      :: !biased -> store(OWNER, SLOT, false)
      :: else
      fi
    :: else
    fi;
    if
    :: !biased ->
      lock(OWNER);
      if
      :: true -> store(OWNER, BIAS, TO_OWNER); fence(OWNER)
      :: true
      fi
    :: else
    fi;
    enter();
    put++;
    store(OWNER, COUNT, put);
    if
    :: biased ->
      light_barrier(OWNER);
      load(OWNER, WAITING, waiting);
      if
      :: waiting > 0 -> call_waiter(OWNER)
      :: else
      fi
    :: else -> call_waiter(OWNER)
    fi;
    leave();
    if
    :: biased -> store(OWNER, SLOT, false)
    :: else -> unlock(OWNER)
    fi;
    if
    :: called -> unpark()
    :: else
    fi;
    d_step { biased = false; called = false; waiting = 0; bias = 0 }
  :: else -> break
  od
}

proctype revoker() {
  byte i, bias, left, written_0, written_1;
  left = REVOCATIONS;
  do
  :: left > 0 ->
    lock(REVOKER);
    load(REVOKER, BIAS, bias);
    if
    :: bias != UNBIASED -> remove_bias(REVOKER)
    :: else
    fi;
    enter();
    leave();
    unlock(REVOKER);
    left--
  :: else -> break
  od
}

proctype waiter() {
  byte i, got, count, bias, written_0, written_1;
  do
  :: got < ITEMS ->
    count = memory[COUNT];
    if
    :: count > got -> got++
    :: else ->
      atomic { !mutex -> mutex = true };
      memory[WAITING]++;
      bias = memory[BIAS];
#ifndef WITHOUT_BARRIER_OF_WAITER
      if
      :: bias != UNBIASED -> heavy_barrier(WAITER)
      :: else
      fi;
#endif
      count = memory[COUNT];
      atomic {
        if
        :: count > got ->
          if
          :: memory[WAITING] > 0 -> memory[WAITING]--
          :: else
          fi
        :: else -> parked = true
        fi;
        mutex = false
      };
      !parked
    fi
  :: else -> break
  od
}

init {
  atomic {
    memory[HAS_HEAVY] = true;
    if
    :: memory[BIAS] = TO_OWNER
    :: memory[BIAS] = UNBIASED
    fi;
    run drain(OWNER);
    run drain(REVOKER);
    run owner();
    run revoker();
    run waiter()
  }
}
