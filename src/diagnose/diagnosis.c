/*
** Dumps, deadlocks, and what the environment asks for at the start.
*/
#include "src/diagnose/diagnosis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/diagnose/contention.h"
#include "src/diagnose/deadlock.h"
#include "src/diagnose/dump.h"
#include "src/diagnose/dump_triggers.h"
#include "src/diagnose/probing.h"
#include "src/diagnose/profile.h"
#include "src/thread/runtime_threads.h"

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

/* Of the path, in which %p stands for the number of the process. */
static bool expand_path(const char *pattern, uint64_t process, char *path, size_t size) {
  size_t length = 0;
  for (; *pattern != '\0' && length + 21 < size; pattern++) {
    if (pattern[0] == '%' && pattern[1] == 'p') {
      length += (size_t)snprintf(path + length, size - length, "%" PRIu64, process);
      pattern++;
    } else {
      path[length++] = *pattern;
    }
  }
  path[length] = '\0';
  return *pattern == '\0';
}

/* A runtime that opens while one is being traced is traced with that. */
static void heed_trace(lt_Runtime *runtime) {
  static const char name[] = "LTHREAD_TRACE";
  char path[1024];
  char reason[128];
  int error;
  const char *pattern = plat_getenv(name);
  if (pattern == NULL || *pattern == '\0')
    return;
  uint64_t process = lt_trace_process(runtime);
  if (!expand_path(pattern, process, path, sizeof(path))) {
    complain(name, "it is too long for a path");
    return;
  }
  lt_TraceStart started = lt_probing_start_trace(runtime, process, path, &error);
  if (started == LT_TRACE_STARTED || started == LT_TRACE_RUNS_ALREADY)
    return;
  plat_describe_error(error, reason, sizeof(reason));
  complain(name, reason);
}

static void end_trace(lt_Runtime *runtime) {
  int error;
  char reason[128];
  lt_Thread *main = lt_runtime_threads_find(runtime, runtime->main_ident);
  if (main != NULL && lt_probing_stop_trace(main->parker, runtime, &error) && error != 0) {
    lt_StringBuffer text = {NULL, 0, 0};
    plat_describe_error(error, reason, sizeof(reason));
    lt_string_buffer_add(&text, "lthread: the trace was not written: %s\n", reason);
    if (text.bytes != NULL)
      plat_write_error(text.bytes, text.length);
    lt_string_buffer_free(&text);
  }
  if (main != NULL)
    lt_object_release(&main->object);
}

/*
** LTHREAD_TRACE=path, LTHREAD_DEADLOCK=1, LTHREAD_CONTENTION=1, LTHREAD_DUMP=signal. What can't be done is said, but does not keep a program
** from running: it is there to look into others.
*/
static void heed_environment(lt_Runtime *runtime) {
  char reason[128];
  if (is_switched_on("LTHREAD_DEADLOCK"))
    lt_deadlock_set_check(true);
  heed_contention(runtime);
  heed_trace(runtime);
  if (!lt_dump_triggers_enter(runtime, reason, sizeof(reason)))
    complain("LTHREAD_DUMP", reason);
}

static void end_with_threads(lt_Runtime *runtime) {
  lt_dump_triggers_cancel(runtime);
  lt_profile_end(runtime);
  print_contention(runtime);
  end_trace(runtime);
}

static void after_fork(void) {
  atomic_store(&contention_printer, NULL);
  lt_dump_triggers_after_fork();
  lt_probing_after_fork();
  lt_profile_after_fork();
}

const lt_Observer lt_diagnosis = {
    .attend = attend_thread,
    .thread_starts = lt_probing_thread_starts,
    .thread_begins = lt_probing_thread_begins,
    .thread_ends = lt_probing_thread_ends,
    .thread_is_over = lt_probing_thread_is_over,
    .interrupted = lt_probing_interrupted,
    .section_begins = lt_probing_section_begins,
    .section_ends = lt_probing_section_ends,
    .runtime_opens = heed_environment,
    .threads_have_ended = end_with_threads,
    .runtime_closes = lt_dump_triggers_leave,
    .after_fork = after_fork,
};
