/*
** Blocking sections, src/thread/section_list.c and section.c: a thread enters one in its main coroutine or in another
** one, blocks, and leaves it in one of three ways: it ends it, an error leaves it through a slot that
** is to be closed, or the coroutine dies of an error, which closes nothing. Then it runs Lua, which
** may free what the wake is called with. An asker enters a request and pokes; a waker wakes.
**
** Invariants: the wake runs at most once, and only while what it is called with is there; the section
** is not over while it runs; no request is missed: the thread does not block for ever.
**
** The waker gives up where there is no section: who enters one later looks for the request himself.
**
** The handler of the poke is a step of the thread itself. An atomic block of thread or waker is what
** happens under the guard, which the waker keeps from the first of its two steps to the second.
*/
bool interrupted = false;
bool poked = false;
bool hooked = false;       /* the hook is set on all coroutines */
bool confirmed = false;    /* the handler has found the thread within its section */
bool has_guard = false;    /* the waker has it */
bool is_in = false;        /* the record is in the list */
bool is_alive = false;     /* its coroutine has not died */
bool in_coroutine = false;
bool woken = false;
bool freed = false;
bool is_over = false;
byte wakes = 0;

/* On the thread, between any two of its steps. */
inline handle_poke() {
  if
  :: poked -> poked = false; hooked = true;
#ifndef WITHOUT_LOOK_AT_COROUTINE
     confirmed = confirmed || (is_in && is_alive)
#else
     confirmed = confirmed || is_in
#endif
  :: true
  fi
}

/* Waits for the guard, then takes the section out. */
inline leave() {
#ifndef WITHOUT_GUARD
  atomic { !has_guard -> is_in = false }
#else
  is_in = false
#endif
}

active proctype Thread() {
  bool blocks = true;
  if
  :: in_coroutine = true
  :: true
  fi;
  atomic { handle_poke() };
  atomic { !has_guard -> is_in = true; is_alive = true };
  atomic { handle_poke() };
#ifndef WITHOUT_LOOK_AFTER_ENTERING
  blocks = !interrupted;
#endif
  atomic { handle_poke() };
  if
  :: blocks ->
    if
    :: goto left /* it ends by itself, or fails */
    :: do
       :: woken -> break
       :: poked -> atomic { handle_poke() }
       od
    fi
  :: else
  fi;
left:
  atomic { handle_poke() };
  if
  :: leave()
  :: atomic { in_coroutine && is_alive -> is_alive = false };
     atomic { handle_poke() };
     /* Lua goes on; if the hook is set, it comes first */
     atomic {
       if
#ifndef WITHOUT_SETTLING
       :: hooked -> skip
#endif
       :: !hooked -> goto runs
#ifdef WITHOUT_SETTLING
       :: hooked -> goto runs
#endif
       fi
     };
     atomic { !has_guard -> is_in = false; confirmed = false }
#ifdef WITHOUT_CLOSING
  :: !in_coroutine -> goto runs
#endif
  fi;
runs:
  freed = true;
  is_over = !is_in;
  /* a poke of now finds a coroutine that is dead, and no Lua runs behind it but the hook */
  atomic { handle_poke() };
  if
  :: is_in && hooked -> atomic { !has_guard -> is_in = false; confirmed = false }
  :: else
  fi
}

active proctype Asker() {
  interrupted = true;
  poked = true
}

active proctype Waker() {
  byte turns = 0;
end:
  do
  :: atomic {
       !has_guard && interrupted && is_in &&
#ifndef WITHOUT_WAKING_ONCE
       !woken &&
#else
       turns < 2 &&
#endif
#ifndef WITHOUT_CONFIRMATION
       (!in_coroutine || confirmed) ->
#else
       true ->
#endif
       has_guard = true;
       woken = true;
       turns++
     };
     assert(!freed);
     wakes++;
     assert(wakes == 1);
     assert(!freed && !is_over);
     has_guard = false
  :: atomic { interrupted && !is_in && !woken -> break } /* it has repeated it often enough */
  od
}
