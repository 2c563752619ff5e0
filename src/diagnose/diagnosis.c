/*
** Dumps, deadlocks, and what the environment asks for at the start.
*/
#include "src/diagnose/diagnosis.h"

#include <stdio.h>
#include <string.h>

#include "src/diagnose/contention.h"
#include "src/diagnose/deadlock.h"
#include "src/diagnose/dump.h"
#include "src/diagnose/dump_triggers.h"
#include "src/diagnose/probing.h"
#include "src/diagnose/profile.h"

/* The runtime that prints at its end for what threads have waited; NULL: none. */
static _Atomic(lt_Runtime *) contention_printer;

static plat_Time attend_thread(lua_State *L, lt_Thread *thread, const lt_Wait *wait,
                               plat_Time since) {
  if (wait == NULL) {
    lt_dump_answer(L, thread, NULL);
    return PLAT_FOREVER;
  }
  lt_dump_answer(L, thread, &(lt_Blocked){wait, since});
  return lt_deadlock_attend(thread, wait, since);
}

static bool is_switched_on(const char *name) {
  const char *value = plat_getenv(name);
  return value != NULL && *value != '\0' && strcmp(value, "0") != 0;
}

static void complain(const char *name, const char *reason) {
  char complaint[256];
  int length = snprintf(complaint, sizeof(complaint), "lthread: %s=%.60s has no effect: %s\n", name,
                        plat_getenv(name), reason);
  plat_write_error(complaint, (size_t)length);
}

/* The first runtime that finds it on has it on until it ends. */
static void heed_contention(lt_Runtime *runtime) {
  static const char name[] = "LTHREAD_CONTENTION";
  lt_Runtime *nobody = NULL;
  if (!is_switched_on(name) ||
      !atomic_compare_exchange_strong(&contention_printer, &nobody, runtime))
    return;
  if (!lt_probing_start_contention()) {
    atomic_store(&contention_printer, NULL);
    complain(name, "not enough memory");
  }
}

static void print_contention(lt_Runtime *runtime) {
  lt_Contention contention;
  lt_StringBuffer text = {NULL, 0, 0};
  if (!atomic_compare_exchange_strong(&contention_printer, &runtime, NULL))
    return;
  lt_probing_stop_contention();
  if (!lt_contention_get(&contention))
    return;
  lt_contention_write(&contention, &text);
  if (text.bytes != NULL)
    plat_write_error(text.bytes, text.length);
  lt_string_buffer_free(&text);
  lt_contention_free(&contention);
}

/*
** LTHREAD_DEADLOCK=1, LTHREAD_CONTENTION=1, LTHREAD_DUMP=signal. What can't be done is said, but does not keep a program
** from running: it is there to look into others.
*/
static void heed_environment(lt_Runtime *runtime) {
  char reason[128];
  if (is_switched_on("LTHREAD_DEADLOCK"))
    lt_deadlock_set_check(true);
  heed_contention(runtime);
  if (!lt_dump_triggers_enter(runtime, reason, sizeof(reason)))
    complain("LTHREAD_DUMP", reason);
}

static void end_with_threads(lt_Runtime *runtime) {
  lt_dump_triggers_cancel(runtime);
  lt_profile_end(runtime);
  print_contention(runtime);
}

static void after_fork(void) {
  atomic_store(&contention_printer, NULL);
  lt_dump_triggers_after_fork();
  lt_probing_after_fork();
  lt_profile_after_fork();
}

const lt_Observer lt_diagnosis = {attend_thread, heed_environment, end_with_threads,
                                  lt_dump_triggers_leave, after_fork};
