/*
** A lock that is biased to a thread lets in one at a time while the bias is used, taken away or
** given.
**
** Stands for src/sync/biased_lock.c and biased_lock.h (lt_biased_lock_begin_write,
** lt_biased_lock_enter, remove_bias, set_bias, lt_biased_lock_end), and for the barriers of
** platform/platform.h and linux.c. The owner uses the lock by its bias; the revoker, as the
** collector does, locks it.
**
** Memory is that of x86 (TSO): what a thread writes waits in its store buffer, in order, and a read
** looks there first, then in memory. A locked instruction or a fence waits until the buffer is
** empty. The heavy barrier waits for an empty buffer of every thread, or fails, at any time.
*/

#define USES 2
#define REVOCATIONS 2

/* Threads, each with a store buffer. */
#define OWNER 0
#define REVOKER 1

/* What is in memory. */
#define BIAS 0
#define SLOT 1
#define HAS_HEAVY 2
#define VARIABLES 3

/* What the lock is biased to. */
#define UNBIASED 0
#define TO_OWNER 1

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
    i = 0;
    do
    :: i < buffers[me].length ->
      if
      :: buffers[me].variable[i] == v -> result = buffers[me].value[i]
      :: else
      fi;
      i++
    :: else -> break
    od;
    i = 0
  }
}

#define drained(me) (buffers[me].length == 0)

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
  load(me, HAS_HEAVY, heavy);
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
  store(me, BIAS, UNBIASED);
#ifndef WITHOUT_BARRIER_OF_REVOKER
  heavy_barrier(me);
#endif
#ifndef WITHOUT_WAITING_FOR_THE_SLOT
  memory[SLOT] == false
#endif
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

proctype owner() {
  byte i, used, bias;
  bool biased;
  bool heavy;
  do
  :: used < USES ->
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
      :: true -> store(OWNER, BIAS, TO_OWNER)
      :: true
      fi
    :: else
    fi;
    enter();
    used++;
    leave();
    if
    :: biased -> store(OWNER, SLOT, false)
    :: else -> unlock(OWNER)
    fi;
    d_step { biased = false; bias = 0 }
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
    run revoker()
  }
}
