/*
** Shared state: 'probing' and, with it, lt_probe, written under 'probing_guard'. 'probed_thread'
** belongs to its OS thread.
*/
#include "src/diagnose/probing.h"

#include <stdio.h>
#include <string.h>

#include "src/diagnose/contention.h"
#include "src/object/exception.h"
#include "src/thread/home.h"
#include "src/thread/wait.h"

#define FOR_CONTENTION 1u
#define FOR_TRACE 2u

static plat_Mutex probing_guard = PLAT_MUTEX_INIT;
static atomic_uint probing; /* bits */

/* The thread that this OS thread runs, from its beginning to its very end; NULL: see home.h. */
static PLAT_THREAD_LOCAL lt_Thread *probed_thread;

static lt_Thread *running_thread(void) {
  return probed_thread != NULL ? probed_thread : lt_home_thread();
}

/* Relaxed: it only says who is told; what they keep has guards of its own. */
static bool is_wanted_by(unsigned whose) {
  return (atomic_load_explicit(&probing, memory_order_relaxed) & whose) != 0;
}

/*
** Waits
*/

/* The arrow that leads to the thread, if there is one, arrives now. */
static void let_arrow_arrive(lt_Thread *thread, plat_Time now) {
  /* Relaxed: the number leads to nothing but what the file says. */
  lt_trace_arrive(thread, atomic_exchange_explicit(&thread->parker->arrow, 0, memory_order_relaxed),
                  now);
}

/* From who does something to the thread of the parker. */
static void let_arrow_leave(lt_Thread *from, lt_Parker *to, const char *what,
                            lt_TraceCategory category) {
  /* Relaxed: as above. */
  atomic_store_explicit(&to->arrow, lt_trace_arrow(from, what, category), memory_order_relaxed);
}

static uint64_t open_wait(lt_Thread *thread, const lt_Wait *wait, const lt_WaitNote *note) {
  lt_TraceEvent slice = {.begin = note->begin,
                         .other = note->ender,
                         .shown = wait->shown,
                         .what = wait->what == NULL ? "something" : wait->what,
                         .category = LT_TRACE_WAIT};
  atomic_store_explicit(&thread->parker->arrow, 0, memory_order_relaxed); /* as above */
  lt_place_of_wait(thread, wait, slice.text);
  return lt_trace_open(thread, &slice);
}

static void probe_wait_begins(lt_Parker *parker, const lt_Wait *wait, lt_WaitNote *note) {
  lt_Thread *thread = lt_wait_thread(parker);
  note->begin = plat_now();
  note->ender = wait->ender == NULL ? 0 : wait->ender(wait->context);
  note->slice = 0;
  if (thread != NULL && is_wanted_by(FOR_TRACE))
    note->slice = open_wait(thread, wait, note);
}

static const char *outcome_of(lt_Parked parked) {
  switch (parked) {
  case LT_UNPARKED:
    break;
  case LT_TIMED_OUT:
    return "timed out";
  case LT_INTERRUPTED:
    return "interrupted";
  case LT_SIGNALLED:
    return "signal";
  }
  return NULL;
}

/* The arrow arrives before the slice ends, for it is drawn to the slice. */
static void close_wait(lt_Thread *thread, const lt_WaitNote *note, lt_Parked parked,
                       plat_Time now) {
  if (parked == LT_UNPARKED)
    let_arrow_arrive(thread, now - 1);
  lt_trace_close(thread, note->slice, outcome_of(parked));
}

static void probe_wait_ends(lt_Parker *parker, const lt_Wait *wait, const lt_WaitNote *note,
                            int parked) {
  lt_Thread *thread = lt_wait_thread(parker);
  if (thread == NULL)
    return;
  plat_Time now = plat_now();
  if (note->slice != 0)
    close_wait(thread, note, (lt_Parked)parked, now);
  if (is_wanted_by(FOR_CONTENTION))
    lt_contention_count(thread, wait, note, now);
}

static void probe_wakes(lt_Parker *parker) {
  lt_Thread *thread = is_wanted_by(FOR_TRACE) ? running_thread() : NULL;
  if (thread != NULL)
    let_arrow_leave(thread, parker, "wakes", LT_TRACE_WAIT);
}

/*
** What else happens
*/

static void probe_message(lua_State *L, bool is_packed, size_t bytes) {
  lt_Thread *thread = is_wanted_by(FOR_TRACE) ? running_thread() : NULL;
  if (thread == NULL)
    return;
  lt_TraceEvent event = {.begin = plat_now(),
                         .number = bytes,
                         .what = is_packed ? "packs a message" : "unpacks a message",
                         .kind = LT_TRACE_INSTANT,
                         .category = LT_TRACE_MESSAGE};
  lt_place_in(L, event.text);
  lt_trace_note(thread, &event);
}

static void probe_collection(plat_Time begin, size_t objects, size_t freed) {
  lt_Thread *thread = is_wanted_by(FOR_TRACE) ? running_thread() : NULL;
  const lt_TraceEvent event = {.begin = begin,
                               .end = plat_now(),
                               .number = objects,
                               .other = freed,
                               .what = "collects shared garbage",
                               .category = LT_TRACE_COLLECTION};
  if (thread != NULL)
    lt_trace_note(thread, &event);
}

static const lt_Probe probing_probe = {probe_wait_begins, probe_wait_ends, probe_wakes,
                                       probe_message, probe_collection};

void lt_probing_thread_starts(lt_Thread *starter, const lt_Thread *thread) {
  if (is_wanted_by(FOR_TRACE))
    let_arrow_leave(starter, thread->parker, "starts a thread", LT_TRACE_THREAD);
}

void lt_probing_thread_begins(lt_Thread *thread) {
  probed_thread = thread;
  if (!is_wanted_by(FOR_TRACE))
    return;
  lt_trace_have_row(thread, true);
  let_arrow_arrive(thread, plat_now());
}

/* A row for it, if it has none because nothing has happened to it. */
void lt_probing_thread_ends(lt_Thread *thread) {
  if (is_wanted_by(FOR_TRACE))
    lt_trace_have_row(thread, false);
}

void lt_probing_thread_is_over(lt_Thread *thread) {
  probed_thread = NULL;
  lt_trace_end_thread(thread);
}

void lt_probing_interrupted(lt_Thread *thread, const lt_Class *class_object) {
  if (!is_wanted_by(FOR_TRACE))
    return;
  plat_Time now = plat_now();
  lt_TraceEvent event = {
      .begin = now, .end = now + 100, .what = "interrupt", .category = LT_TRACE_INTERRUPT};
  size_t length = strlen(class_object->name);
  memcpy(event.text, class_object->name,
         lt_string_buffer_fit(class_object->name, length, sizeof(event.text) - 1));
  lt_trace_note(thread, &event);
  let_arrow_arrive(thread, now);
}

/* Its name and place, as far as there is room for both. */
uint64_t lt_probing_section_begins(lua_State *L, lt_Thread *thread, const char *name) {
  char place[LT_PLACE_BYTES];
  char both[2 * LT_PLACE_BYTES];
  if (!is_wanted_by(FOR_TRACE))
    return 0;
  lt_TraceEvent slice = {.begin = plat_now(), .what = "C module", .category = LT_TRACE_WAIT};
  lt_place_in(L, place);
  int length = snprintf(both, sizeof(both), "%s, %s", name, place);
  memcpy(slice.text, both, lt_string_buffer_fit(both, (size_t)length, sizeof(slice.text) - 1));
  return lt_trace_open(thread, &slice);
}

void lt_probing_section_ends(lt_Thread *thread, uint64_t begun) {
  lt_trace_close(thread, begun, NULL);
}

/*
** Turning it on and off
*/

static void probing_set(unsigned whose, bool wanted) {
  plat_mutex_lock(&probing_guard);
  unsigned bits = wanted ? atomic_fetch_or(&probing, whose) | whose
                         : atomic_fetch_and(&probing, ~whose) & ~whose;
  atomic_store(&lt_probe, bits == 0 ? NULL : &probing_probe);
  plat_mutex_unlock(&probing_guard);
}

bool lt_probing_start_contention(void) {
  if (!lt_contention_clear())
    return false;
  lt_lock_want_owners(LT_OWNERS_FOR_CONTENTION, true);
  probing_set(FOR_CONTENTION, true);
  return true;
}

void lt_probing_stop_contention(void) {
  probing_set(FOR_CONTENTION, false);
  lt_lock_want_owners(LT_OWNERS_FOR_CONTENTION, false);
}

lt_TraceStart lt_probing_start_trace(lt_Runtime *runtime, uint64_t process, const char *path,
                                     int *error) {
  lt_TraceStart started = lt_trace_start(runtime, process, path, error);
  if (started == LT_TRACE_STARTED) {
    lt_lock_want_owners(LT_OWNERS_FOR_TRACE, true);
    probing_set(FOR_TRACE, true);
  }
  return started;
}

/* Another trace can begin once this one has ended, so it is turned off before. */
bool lt_probing_stop_trace(lt_Parker *parker, const lt_Runtime *runtime, int *error) {
  if (!lt_trace_take(runtime))
    return false;
  probing_set(FOR_TRACE, false);
  lt_lock_want_owners(LT_OWNERS_FOR_TRACE, false);
  *error = lt_trace_end(parker);
  return true;
}

void lt_probing_after_fork(void) {
  plat_mutex_init(&probing_guard);
  probing_set(FOR_TRACE, false);
  lt_lock_want_owners(LT_OWNERS_FOR_TRACE, false);
  lt_contention_after_fork();
  lt_trace_after_fork();
}
