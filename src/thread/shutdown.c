#include "src/thread/shutdown.h"

#include "src/thread/interrupt.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/wait.h"

/*
** How often threads are asked to end in the grace that the runtime's options give them. A thread
** that goes on, because it catches SystemExit or is in a handler, must end once it has heard so many
** requests that it could have ended: one that gets no processor hears none. Towards the end of the
** grace all must. One whose on_interrupt has taken the request has all the grace, but for the time
** that its handlers may need.
*/
#define MOST_PATIENCE (PLAT_SECOND / 4)
#define AGAIN (PLAT_SECOND / 50)
#define HEARD_ENOUGH (MOST_PATIENCE / AGAIN)

static plat_Time patience_in(plat_Time grace) {
  return grace / 8 < MOST_PATIENCE ? grace / 8 : MOST_PATIENCE;
}

typedef struct OtherThreads {
  lt_Thread *self;
  bool daemons_too;
} OtherThreads;

static bool others_left(void *context) {
  OtherThreads *others = context;
  return lt_runtime_threads_has_others(others->self->runtime, others->self, others->daemons_too);
}

static lt_Wait wait_for_others(OtherThreads *others, plat_Time deadline) {
  return (lt_Wait){.address = others->self->runtime,
                   .context = others,
                   .validate = others_left,
                   .deadline = deadline,
                   .what = "the end of the other threads"};
}

void lt_shutdown_wait(lua_State *L, lt_Thread *self) {
  OtherThreads others = {self, false};
  lt_Wait wait = wait_for_others(&others, PLAT_FOREVER);
  lt_wait(L, self, &wait);
}

/* One that waits after it has heard is in a handler, where it waits on. */
static void count_heard(lt_Thread *thread) {
  if (atomic_load(&thread->heard) ||
      (thread->exits_heard > 0 && atomic_load(&thread->parker->waiting) != NULL))
    thread->exits_heard++;
}

static void ask_to_end(lt_Thread *thread, plat_Time since_begin) {
  plat_Time grace = thread->runtime->options.grace;
  plat_Time patience = patience_in(grace);
  int taken = LT_TAKEN;
  if (since_begin >= grace - 2 * patience)
    atomic_compare_exchange_strong(&thread->exit_taken, &taken, LT_TAKEN_LONG);
  if (since_begin > 0 && atomic_load(&thread->exit_taken) != LT_TAKEN)
    count_heard(thread);
  atomic_store(&thread->heard, false);
  lt_interrupt_to_exit(thread,
                       since_begin >= grace - patience ||
                           (since_begin >= patience && thread->exits_heard >= HEARD_ENOUGH));
}

static void ask_others_to_end(lt_Runtime *runtime, const lt_Thread *self, plat_Time since_begin) {
  plat_mutex_lock(&runtime->guard);
  for (lt_Thread *thread = runtime->threads; thread != NULL; thread = thread->next)
    if (thread != self)
      ask_to_end(thread, since_begin);
  plat_mutex_unlock(&runtime->guard);
}

void lt_shutdown(lua_State *L, lt_Thread *main) {
  OtherThreads others = {main, false};
  lt_Parked parked;
  lt_Wait wait;
  lt_interrupt_accept(main); /* in the child of a fork its function has ended, which accepts none */
  atomic_store(&main->status, LT_DONE); /* for those who have joined it */
  lt_thread_tell_status(main);
  do { /* an interrupt ends the patience with threads that are no daemons */
    wait = wait_for_others(&others, PLAT_FOREVER);
    parked = lt_wait_unless_interrupted(L, main, &wait);
  } while (!lt_runtime_threads_close(main->runtime, main, parked == LT_INTERRUPTED));
  lt_interrupt_clear(L, main, true);
  others.daemons_too = true;
  plat_Time grace = main->runtime->options.grace;
  plat_Time begin = plat_now();
  plat_Time now = begin;
  if (grace == 0) /* they are asked, and left alone */
    ask_others_to_end(main->runtime, main, 0);
  while (now - begin < grace && others_left(&others)) {
    ask_others_to_end(main->runtime, main, now - begin);
    wait = wait_for_others(&others, now + AGAIN);
    lt_wait_unless_interrupted(L, main, &wait);
    now = plat_now();
  }
}
