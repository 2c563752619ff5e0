/*
** Dumps, deadlocks, and what the environment asks for at the start.
*/
#include "src/diagnose/diagnosis.h"

#include <stdio.h>
#include <string.h>

#include "src/diagnose/deadlock.h"
#include "src/diagnose/dump.h"
#include "src/diagnose/dump_triggers.h"

static plat_Time attend_thread(lua_State *L, lt_Thread *thread, const lt_Wait *wait,
                               plat_Time since) {
  if (wait == NULL) {
    lt_dump_answer(L, thread, NULL);
    return PLAT_FOREVER;
  }
  lt_dump_answer(L, thread, &(lt_Blocked){wait, since});
  return lt_deadlock_attend(thread, wait, since);
}

/*
** LTHREAD_DEADLOCK=1, LTHREAD_DUMP=signal. What can't be done is said, but does not keep a program
** from running: it is there to look into others.
*/
static void heed_environment(lt_Runtime *runtime) {
  const char *check = plat_getenv("LTHREAD_DEADLOCK");
  if (check != NULL && *check != '\0' && strcmp(check, "0") != 0)
    lt_deadlock_set_check(true);
  char reason[128];
  if (!lt_dump_triggers_enter(runtime, reason, sizeof(reason))) {
    char complaint[256];
    int length =
        snprintf(complaint, sizeof(complaint), "lthread: LTHREAD_DUMP=%.60s has no effect: %s\n",
                 plat_getenv("LTHREAD_DUMP"), reason);
    plat_write_error(complaint, (size_t)length);
  }
}

const lt_Observer lt_diagnosis = {attend_thread, heed_environment, lt_dump_triggers_cancel,
                                  lt_dump_triggers_leave, lt_dump_triggers_after_fork};
