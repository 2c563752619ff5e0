#include "src/shutdown.h"

#include "src/interrupt.h"

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

static lt_Parked wait_for_others(Others *others, plat_Time deadline) {
  const lt_Wait wait = {others->self->runtime, others_left, others, deadline, "shutdown"};
  return lt_park(others->self->parker, &wait, NULL);
}

void lt_shutdown_wait(lua_State *L, lt_Thread *self) {
  Others others = {self, false};
  for (;;) {
    switch (wait_for_others(&others, PLAT_FOREVER)) {
    case LT_CHANGED:
      return;
    case LT_INTERRUPTED:
      lt_interrupt_raise(L, self);
    default:
      break;
    }
  }
}

static void interrupt_others(lt_Runtime *runtime, const lt_Thread *self, bool must_end) {
  plat_mutex_lock(&runtime->guard);
  for (lt_Thread *thread = runtime->threads; thread != NULL; thread = thread->next) {
    if (thread != self) {
      if (must_end)
        atomic_store(&thread->must_end, true);
      lt_interrupt(thread);
    }
  }
  plat_mutex_unlock(&runtime->guard);
}

void lt_shutdown(lua_State *L, lt_Thread *main) {
  Others others = {main, false};
  while (wait_for_others(&others, PLAT_FOREVER) != LT_CHANGED)
    lt_interrupt_clear(L, main);
  lt_runtime_close(main->runtime);
  others.daemons_too = true;
  plat_Time begin = plat_now();
  plat_Time now = begin;
  while (now - begin < GRACE && others_left(&others)) {
    interrupt_others(main->runtime, main, now - begin >= PATIENCE);
    lt_interrupt_clear(L, main);
    wait_for_others(&others, now + AGAIN);
    now = plat_now();
  }
}
