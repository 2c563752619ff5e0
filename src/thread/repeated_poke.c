/*
** Shared state: the list, and the field 'repeated_poke' of a thread, under the guard of this file,
** within which the guard of a thread may be taken. A thread is in the list only while it has a
** home.
*/
#include "src/thread/repeated_poke.h"

#include <stdlib.h>

#include "src/thread/section_list.h"

/* The first repetition comes so soon, each next one after twice the time. */
#define FIRST_PAUSE (PLAT_SECOND / 1000)
#define REPETITIONS 9
#define PATIENCE (FIRST_PAUSE << 3) /* longer pauses tell that the interrupt is not heard soon */
#define LONGEST_PAUSE (FIRST_PAUSE << (REPETITIONS - 1))

/*
** How long the OS thread stays when there is no poke to repeat, and how often it looks whether
** there is one: nobody wakes it for that.
*/
#define STAY (PLAT_SECOND / 4)
#define LOOK (PLAT_SECOND / 500)

static plat_Mutex repeated_poke_guard = PLAT_MUTEX_INIT;
static lt_Thread *first;
static bool repeater_runs;
static plat_Parker repeater; /* where it waits, and nobody wakes it */

static void unlist(lt_Thread *thread) {
  lt_Thread **place = &first;
  while (*place != thread)
    place = &(*place)->repeated_poke.next;
  *place = thread->repeated_poke.next;
  thread->repeated_poke.is_listed = false;
  thread->repeated_poke.wakes = false;
}

/* Whether it is to go on: in a blocking section, until that is over. */
static bool repeat(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  bool unheard = lt_interrupted(thread) && !atomic_load(&thread->heard);
  if (unheard)
    lt_thread_poke_to_interrupt(thread, true);
  plat_mutex_unlock(&thread->guard);
  bool in_section = unheard && atomic_load(&thread->sections.innermost) != NULL;
  thread->repeated_poke.wakes = in_section;
  if (thread->repeated_poke.pause < LONGEST_PAUSE)
    thread->repeated_poke.pause *= 2;
  thread->repeated_poke.due = plat_now() + thread->repeated_poke.pause;
  return in_section || (unheard && --thread->repeated_poke.left > 0);
}

static void repeat_due(plat_Time now) {
  lt_Thread *thread = first;
  while (thread != NULL) {
    lt_Thread *after = thread->repeated_poke.next;
    if (thread->repeated_poke.due <= now && !repeat(thread))
      unlist(thread);
    thread = after;
  }
}

/* With a reference, or NULL. */
static lt_Thread *next_to_wake(bool *patiently) {
  plat_mutex_lock(&repeated_poke_guard);
  lt_Thread *thread = first;
  while (thread != NULL && !thread->repeated_poke.wakes)
    thread = thread->repeated_poke.next;
  if (thread != NULL) {
    thread->repeated_poke.wakes = false;
    *patiently = thread->repeated_poke.pause < PATIENCE;
    lt_object_retain(&thread->object);
  }
  plat_mutex_unlock(&repeated_poke_guard);
  return thread;
}

/* This runs code of others, so no guard is held but that of the thread's sections. */
static void wake_sections(void) {
  bool patiently;
  lt_Thread *thread = next_to_wake(&patiently);
  while (thread != NULL) {
    lt_section_wake(thread, patiently);
    lt_object_release(&thread->object);
    thread = next_to_wake(&patiently);
  }
}

static void run_repeater(void *context) {
  (void)context;
  plat_Time busy = plat_now();
  bool stays = true;
  while (stays) {
    plat_Time now = plat_now();
    plat_mutex_lock(&repeated_poke_guard);
    repeat_due(now);
    if (first != NULL)
      busy = now;
    stays = now - busy < STAY;
    repeater_runs = stays;
    plat_mutex_unlock(&repeated_poke_guard);
    wake_sections();
    if (stays)
      plat_park(&repeater, now + LOOK);
  }
}

/* Under the guard. */
static bool start_repeater(void) {
  static bool is_ready;
  if (!is_ready)
    is_ready = plat_parker_init(&repeater) == 0;
  return is_ready && plat_thread_start(0, run_repeater, NULL) == 0;
}

void lt_repeated_poke_begin(lt_Thread *thread) {
  plat_mutex_lock(&repeated_poke_guard);
  repeater_runs = repeater_runs || start_repeater();
  plat_mutex_lock(&thread->guard);
  bool reachable = repeater_runs && atomic_load(&thread->home) != NULL;
  plat_mutex_unlock(&thread->guard);
  if (reachable) {
    if (!thread->repeated_poke.is_listed) {
      thread->repeated_poke.next = first;
      first = thread;
    }
    thread->repeated_poke.is_listed = true;
    thread->repeated_poke.left = REPETITIONS;
    thread->repeated_poke.pause = FIRST_PAUSE;
    thread->repeated_poke.due = plat_now() + FIRST_PAUSE;
  }
  plat_mutex_unlock(&repeated_poke_guard);
}

void lt_repeated_poke_end(lt_Thread *thread) {
  plat_mutex_lock(&repeated_poke_guard);
  if (thread->repeated_poke.is_listed)
    unlist(thread);
  plat_mutex_unlock(&repeated_poke_guard);
}

void lt_repeated_pokes_after_fork(void) {
  plat_mutex_init(&repeated_poke_guard);
  while (first != NULL)
    unlist(first);
  repeater_runs = false;
}
