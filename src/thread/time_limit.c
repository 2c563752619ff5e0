/*
** Shared state: the list of the threads whose time runs, the count of those that have a limit,
** started or not, and the field 'time_limit' of each, under the guard of this file. Within it the
** guard of repeated pokes and that of a thread may be taken. The thread alone writes its deadline.
*/
#include "src/thread/time_limit.h"

#include "src/thread/interrupt.h"

/*
** How often a thread is asked, and after how many requests, that it could have ended by, it must
** end: one that gets no processor hears none.
*/
#define AGAIN (PLAT_SECOND / 50)
#define PATIENCE (PLAT_SECOND / 4)
#define HEARD_ENOUGH (PATIENCE / AGAIN)

/*
** The OS thread looks through the list when the first deadline comes, but not more often than once in
** a TICK, and at least once while it STAYs: so long it stays when nobody has a limit.
*/
#define TICK (PLAT_SECOND / 200)
#define STAY (PLAT_SECOND / 4)

static plat_Mutex time_limit_guard = PLAT_MUTEX_INIT;
static lt_Thread *limited;
static size_t with_limit;
static bool timer_runs;
static plat_Time next_look;
static plat_Parker timer;

/* One that waits after it has heard is in a handler, where it waits on. */
static bool has_heard(const lt_Thread *thread) {
  return atomic_load(&thread->heard) ||
         (thread->time_limit.heard > 0 && atomic_load(&thread->parker->waiting) != NULL);
}

static void press(lt_Thread *thread, plat_Time now) {
  lt_TimeLimit *limit = &thread->time_limit;
  if (limit->is_over && has_heard(thread))
    limit->heard++;
  limit->is_over = true;
  limit->due = now + AGAIN;
  atomic_store(&thread->heard, false);
  lt_interrupt_for_time(thread, limit->is_ending || limit->heard >= HEARD_ENOUGH);
}

/* Returns when the next one is due. */
static plat_Time press_due(plat_Time now) {
  plat_Time first = PLAT_FOREVER;
  for (lt_Thread *thread = limited; thread != NULL; thread = thread->time_limit.next) {
    if (thread->time_limit.due <= now)
      press(thread, now);
    if (thread->time_limit.due < first)
      first = thread->time_limit.due;
  }
  return first;
}

static void run_timer(void *context) {
  (void)context;
  plat_Time busy = plat_now();
  bool stays = true;
  while (stays) {
    plat_mutex_lock(&time_limit_guard);
    plat_Time now = plat_now();
    plat_Time first = press_due(now);
    if (with_limit > 0)
      busy = now;
    stays = now - busy < STAY;
    timer_runs = stays;
    next_look = first < now + TICK ? now + TICK : first < now + STAY ? first : now + STAY;
    plat_Time until = next_look;
    plat_mutex_unlock(&time_limit_guard);
    if (stays)
      plat_park(&timer, until);
  }
}

/* Under the guard. 0 or an errno. */
static int start_timer(void) {
  static bool is_ready;
  int error = is_ready ? 0 : plat_parker_init(&timer);
  is_ready = error == 0;
  if (error == 0)
    error = plat_thread_start(0, run_timer, NULL);
  timer_runs = error == 0;
  next_look = PLAT_FOREVER;
  return error;
}

int lt_time_limit_set(lt_Thread *thread, plat_Time length, const lt_Thread *starter) {
  lt_TimeLimit *limit = &thread->time_limit;
  limit->length = length;
  limit->deadline = starter->time_limit.deadline;
  if (length == 0 && limit->deadline == 0)
    return 0;
  plat_mutex_lock(&time_limit_guard);
  int error = timer_runs ? 0 : start_timer();
  limit->is_set = error == 0;
  with_limit += limit->is_set;
  plat_mutex_unlock(&time_limit_guard);
  return error;
}

/* Under the guard. */
static void set_due(lt_TimeLimit *limit, plat_Time due) {
  limit->due = due;
  if (due < next_look) {
    next_look = due;
    plat_unpark(&timer);
  }
}

void lt_time_limit_begin(lt_Thread *thread) {
  lt_TimeLimit *limit = &thread->time_limit;
  if (!limit->is_set)
    return;
  plat_Time own = limit->length == 0 ? PLAT_FOREVER : plat_after(plat_now(), limit->length);
  if (limit->deadline == 0 || own < limit->deadline)
    limit->deadline = own;
  plat_mutex_lock(&time_limit_guard);
  limit->next = limited;
  limit->place = &limited;
  if (limited != NULL)
    limited->time_limit.place = &limit->next;
  limited = thread;
  set_due(limit, limit->deadline);
  plat_mutex_unlock(&time_limit_guard);
}

/* What it must do was for the function. At the end of the runtime it is asked for that again. */
void lt_time_limit_function_ended(lt_Thread *thread) {
  lt_TimeLimit *limit = &thread->time_limit;
  if (!limit->is_set)
    return;
  plat_Time now = plat_now();
  plat_mutex_lock(&time_limit_guard);
  limit->is_ending = true;
  set_due(limit, plat_after(now > limit->deadline ? now : limit->deadline, PATIENCE));
  lt_interrupt_end_of_time(thread);
  plat_mutex_unlock(&time_limit_guard);
}

void lt_time_limit_end(lt_Thread *thread) {
  lt_TimeLimit *limit = &thread->time_limit;
  if (!limit->is_set)
    return;
  plat_mutex_lock(&time_limit_guard);
  if (limit->place != NULL) {
    *limit->place = limit->next;
    if (limit->next != NULL)
      limit->next->time_limit.place = limit->place;
    limit->place = NULL;
  }
  with_limit--;
  limit->is_set = false;
  plat_mutex_unlock(&time_limit_guard);
}

void lt_time_limits_after_fork(void) {
  plat_mutex_init(&time_limit_guard);
  for (lt_Thread *thread = limited; thread != NULL; thread = thread->time_limit.next) {
    thread->time_limit.place = NULL;
    thread->time_limit.is_set = false;
    thread->time_limit.deadline = 0;
  }
  limited = NULL;
  with_limit = 0;
  timer_runs = false;
}
