#include "src/shutdown.h"

#include "src/interrupt.h"
#include "src/wait.h"

/* How long threads have to end, and when those that catch SystemExit are not asked any more. */
#define GRACE (2 * PLAT_SECOND)
#define PATIENCE (PLAT_SECOND / 4)
#define AGAIN (PLAT_SECOND / 50)

typedef struct Others {
  lt_Thread *self;
  bool daemons_too;
} Others;

static bool others_left(void *context) {
  Others *others = context;
  return lt_runtime_has_others(others->self->runtime, others->self, others->daemons_too);
}

static lt_Parked wait_for_others(lua_State *L, Others *others, plat_Time deadline) {
  const lt_Wait wait = {.address = others->self->runtime,
                        .validate = others_left,
                        .context = others,
                        .deadline = deadline,
                        .what = "the end of the other threads"};
  return lt_park(lt_wait_begin(L, others->self), &wait, NULL);
}

void lt_shutdown_wait(lua_State *L, lt_Thread *self) {
  Others others = {self, false};
  for (;;) {
    lt_Parked parked = wait_for_others(L, &others, PLAT_FOREVER);
    if (parked == LT_CHANGED)
      return;
    if (parked == LT_INTERRUPTED || parked == LT_SIGNALLED)
      lt_wait_broken(L, self);
  }
}

static void interrupt_others(lt_Runtime *runtime, const lt_Thread *self, bool must_end) {
  plat_mutex_lock(&runtime->guard);
  for (lt_Thread *thread = runtime->threads; thread != NULL; thread = thread->next)
    if (thread != self)
      lt_interrupt_to_exit(thread, must_end);
  plat_mutex_unlock(&runtime->guard);
}

void lt_shutdown(lua_State *L, lt_Thread *main) {
  Others others = {main, false};
  lt_Parked parked;
  atomic_store(&main->status, LT_DONE); /* for those who have joined it */
  lt_unpark_all(&main->status);
  do /* an interrupt ends the patience with threads that are no daemons */
    parked = wait_for_others(L, &others, PLAT_FOREVER);
  while (!lt_runtime_close(main->runtime, main, parked == LT_INTERRUPTED));
  lt_interrupt_clear(L, main, true);
  others.daemons_too = true;
  plat_Time begin = plat_now();
  plat_Time now = begin;
  while (now - begin < GRACE && others_left(&others)) {
    interrupt_others(main->runtime, main, now - begin >= PATIENCE);
    wait_for_others(L, &others, now + AGAIN);
    now = plat_now();
  }
}
