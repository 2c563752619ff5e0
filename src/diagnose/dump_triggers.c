/*
** Shared state: a runtime's 'later', under its guard; 'cancelled' of one is atomic. The list of
** the runtimes that are dumped on a signal, under 'guard', with what says that its watcher runs.
*/
#include "src/diagnose/dump_triggers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/diagnose/dump.h"

static void dump(lt_Runtime *runtime, lt_Parker *parker, const char *header) {
  const lt_DumpAsker asker = {.runtime = runtime, .parker = parker};
  lt_StringBuffer text = {NULL, 0, 0};
  lt_Dump made;
  if (!lt_dump_take(&made, &asker))
    return;
  lt_string_buffer_add(&text, "%s", header);
  lt_dump_write(&made, &text);
  if (text.bytes != NULL)
    plat_write_error(text.bytes, text.length);
  lt_string_buffer_free(&text);
  lt_dump_free(&made);
}

/*
** Later
*/

typedef struct lt_DumpLater {
  atomic_uint references; /* of the runtime and of the watcher */
  atomic_bool cancelled;
  lt_Runtime *runtime; /* a reference */
  lt_Parker *parker;
  plat_Time span;
  bool repeat;
} lt_DumpLater;

static void free_later(lt_DumpLater *later) {
  lt_parker_release(later->parker);
  free(later);
}

static void release_later(lt_DumpLater *later) {
  /* Acquire and release: the last one sees all that the other did before it frees. */
  if (atomic_fetch_sub_explicit(&later->references, 1, memory_order_acq_rel) == 1)
    free_later(later);
}

static bool not_cancelled(void *context) {
  return !atomic_load(&((lt_DumpLater *)context)->cancelled);
}

static bool wait_span(lt_DumpLater *later, plat_Time begin) {
  lt_Wait wait = {.address = later,
                  .context = later,
                  .validate = not_cancelled,
                  .deadline = plat_after(begin, later->span),
                  .what = "time"};
  return lt_await(later->parker, &wait) == LT_TIMED_OUT;
}

static void watch_time(void *argument) {
  lt_DumpLater *later = argument;
  lt_StringBuffer header = {NULL, 0, 0};
  lt_string_buffer_add(&header, "Timeout (%.3f s)!\n", (double)later->span / (double)PLAT_SECOND);
  do {
    if (!wait_span(later, plat_now()))
      break;
    dump(later->runtime, later->parker, header.bytes == NULL ? "" : header.bytes);
  } while (later->repeat);
  lt_string_buffer_free(&header);
  lt_runtime_release(later->runtime);
  release_later(later);
}

static lt_DumpLater *new_later(lt_Runtime *runtime, plat_Time span, bool repeat) {
  lt_DumpLater *later = malloc(sizeof(*later));
  lt_Parker *parker = lt_parker_new();
  if (later == NULL || parker == NULL) {
    if (parker != NULL)
      lt_parker_release(parker);
    free(later);
    return NULL;
  }
  atomic_init(&later->references, 2);
  atomic_init(&later->cancelled, false);
  later->runtime = runtime;
  later->parker = parker;
  later->span = span;
  later->repeat = repeat;
  return later;
}

static void replace_later(lt_Runtime *runtime, lt_DumpLater *later) {
  plat_mutex_lock(&runtime->guard);
  lt_DumpLater *before = runtime->later;
  runtime->later = later;
  plat_mutex_unlock(&runtime->guard);
  if (before != NULL) {
    atomic_store(&before->cancelled, true);
    lt_unpark_all(before);
    release_later(before);
  }
}

int lt_dump_triggers_later(lt_Runtime *runtime, plat_Time span, bool repeat) {
  lt_DumpLater *later = new_later(runtime, span, repeat);
  if (later == NULL)
    return PLAT_NO_MEMORY;
  lt_runtime_retain(runtime);
  int error = plat_thread_start(0, watch_time, later);
  if (error != 0) {
    lt_runtime_release(runtime);
    free_later(later);
    return error;
  }
  replace_later(runtime, later);
  return 0;
}

void lt_dump_triggers_cancel(lt_Runtime *runtime) {
  replace_later(runtime, NULL);
}

/*
** On a signal
*/

static plat_Mutex triggers_guard = PLAT_MUTEX_INIT;
static lt_Runtime *watched;
static bool watcher_runs;

/* The one at this place in the list, with a reference, or NULL. */
static lt_Runtime *watched_at(size_t place) {
  plat_mutex_lock(&triggers_guard);
  lt_Runtime *runtime = watched;
  while (runtime != NULL && place-- > 0)
    runtime = runtime->next_watched;
  if (runtime != NULL)
    lt_runtime_retain(runtime);
  plat_mutex_unlock(&triggers_guard);
  return runtime;
}

static void watch_signal(void *argument) {
  lt_Parker *parker = argument;
  for (;;) {
    lt_Runtime *runtime;
    plat_watch_wait();
    for (size_t place = 0; (runtime = watched_at(place)) != NULL; place++) {
      dump(runtime, parker, "Signal!\n");
      lt_runtime_release(runtime);
    }
  }
}

/* The signal is watched for as long as the process lives. Returns 0 or an error of the system. */
static int start_watcher(int number) {
  lt_Parker *parker = lt_parker_new();
  if (parker == NULL)
    return PLAT_NO_MEMORY;
  int error = plat_watch_begin(number);
  if (error == 0)
    error = plat_thread_start(0, watch_signal, parker);
  watcher_runs = error == 0;
  if (error != 0)
    lt_parker_release(parker);
  return error;
}

static int triggers_watch(lt_Runtime *runtime, int number) {
  plat_mutex_lock(&triggers_guard);
  int error = watcher_runs ? 0 : start_watcher(number);
  runtime->next_watched = watched;
  watched = runtime;
  plat_mutex_unlock(&triggers_guard);
  return error;
}

bool lt_dump_triggers_enter(lt_Runtime *runtime, char *reason, size_t size) {
  const char *name = plat_getenv("LTHREAD_DUMP");
  if (name == NULL || *name == '\0')
    return true;
  int number = plat_signal_named(name);
  const char *refusal =
      number == 0 ? "no signal has this name or number" : plat_watch_refusal(number);
  if (refusal != NULL) {
    snprintf(reason, size, "%s; " PLAT_WATCHABLE " can be used", refusal);
    return false;
  }
  int error = triggers_watch(runtime, number);
  if (error != 0)
    plat_describe_error(error, reason, size);
  return error == 0;
}

void lt_dump_triggers_leave(lt_Runtime *runtime) {
  plat_mutex_lock(&triggers_guard);
  lt_Runtime **place = &watched;
  while (*place != NULL && *place != runtime)
    place = &(*place)->next_watched;
  if (*place != NULL)
    *place = runtime->next_watched;
  plat_mutex_unlock(&triggers_guard);
}

void lt_dump_triggers_after_fork(void) {
  plat_mutex_init(&triggers_guard);
  plat_watch_forget();
  watcher_runs = false;
}
