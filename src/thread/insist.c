/*
** Shared state: the list, and 'insisted' of a thread, under 'guard', within which the guard of a
** thread may be taken. A thread is in the list only while it has a home.
*/
#include "src/thread/insist.h"

#include <stdlib.h>

/* The first repetition comes so soon, each next one after twice the time. */
#define FIRST_PAUSE (PLAT_SECOND / 1000)
#define REPETITIONS 9

/*
** How long the OS thread stays when nobody insists, and how often it looks whether somebody does:
** who insists has better things to do than to wake it.
*/
#define STAY (PLAT_SECOND / 4)
#define LOOK (PLAT_SECOND / 500)

static plat_Mutex insist_guard = PLAT_MUTEX_INIT;
static lt_Thread *first;
static bool repeater_runs;
static plat_Parker repeater; /* where it waits, and nobody wakes it */

static void insist_unlist(lt_Thread *thread) {
  lt_Thread **place = &first;
  while (*place != thread)
    place = &(*place)->insisted.next;
  *place = thread->insisted.next;
  thread->insisted.is_listed = false;
}

/* Whether it is to go on. */
static bool repeat(lt_Thread *thread) {
  plat_mutex_lock(&thread->guard);
  bool unheard = lt_interrupted(thread) && !atomic_load(&thread->heard);
  if (unheard)
    lt_thread_poke(thread, PLAT_POKE_BREAKS, true);
  plat_mutex_unlock(&thread->guard);
  thread->insisted.pause *= 2;
  thread->insisted.due = plat_now() + thread->insisted.pause;
  return unheard && --thread->insisted.left > 0;
}

static void repeat_due(plat_Time now) {
  lt_Thread *thread = first;
  while (thread != NULL) {
    lt_Thread *after = thread->insisted.next;
    if (thread->insisted.due <= now && !repeat(thread))
      insist_unlist(thread);
    thread = after;
  }
}

static void run_repeater(void *context) {
  (void)context;
  plat_Time busy = plat_now();
  bool stays = true;
  while (stays) {
    plat_Time now = plat_now();
    plat_mutex_lock(&insist_guard);
    repeat_due(now);
    if (first != NULL)
      busy = now;
    stays = now - busy < STAY;
    repeater_runs = stays;
    plat_mutex_unlock(&insist_guard);
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

void lt_insist(lt_Thread *thread) {
  plat_mutex_lock(&insist_guard);
  repeater_runs = repeater_runs || start_repeater();
  plat_mutex_lock(&thread->guard);
  bool reachable = repeater_runs && atomic_load(&thread->home) != NULL;
  plat_mutex_unlock(&thread->guard);
  if (reachable) {
    if (!thread->insisted.is_listed) {
      thread->insisted.next = first;
      first = thread;
    }
    thread->insisted.is_listed = true;
    thread->insisted.left = REPETITIONS;
    thread->insisted.pause = FIRST_PAUSE;
    thread->insisted.due = plat_now() + FIRST_PAUSE;
  }
  plat_mutex_unlock(&insist_guard);
}

void lt_insist_cease(lt_Thread *thread) {
  plat_mutex_lock(&insist_guard);
  if (thread->insisted.is_listed)
    insist_unlist(thread);
  plat_mutex_unlock(&insist_guard);
}

void lt_insist_after_fork(void) {
  plat_mutex_init(&insist_guard);
  while (first != NULL)
    insist_unlist(first);
  repeater_runs = false;
}
