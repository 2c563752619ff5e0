/*
** Shared state: 'trace', whose fields are under 'trace_guard' but for the atomic ones and those of
** the writer. A thread's 'trace' belongs to itself; a ring whose session is over is left behind.
*/
#include "src/diagnose/trace.h"

#include <stdlib.h>

#include "src/diagnose/trace_writer.h"
#include "src/thread/runtime_threads.h"

/* How often what was noted is written. */
#define FLUSHES (PLAT_SECOND / 20)

typedef struct RunningTrace {
  atomic_uint references; /* of 'current_trace' and of the writer */
  lt_Runtime *runtime;    /* only compared */
  lt_Parker *parker;      /* the writer's */
  unsigned session;
  plat_Time begin;
  lt_TraceRing *rings; /* the newest first; what is behind the first belongs to the writer */
  atomic_bool wanted;  /* the writer is to write now */
  atomic_bool stopped;
  atomic_bool is_done; /* all is written */
  lt_TraceWriter writer;
} RunningTrace;

static plat_Mutex trace_guard = PLAT_MUTEX_INIT;
static RunningTrace *current_trace;
static unsigned last_session;
static atomic_uint trace_session; /* of the one that runs; 0: none does */
static atomic_uint_least64_t last_trace_number;
static atomic_uint_least64_t number_before; /* the last one before the trace began */
static atomic_uint_least64_t lost_without_memory;

static void trace_release(RunningTrace *trace) {
  /* Acquire and release: the last one sees all that the other did before it frees. */
  if (atomic_fetch_sub_explicit(&trace->references, 1, memory_order_acq_rel) > 1)
    return;
  lt_parker_release(trace->parker);
  free(trace);
}

/*
** Noting
*/

bool lt_trace_runs(void) {
  /* Relaxed: who finds it looks again under the guard. */
  return atomic_load_explicit(&trace_session, memory_order_relaxed) != 0;
}

/* NULL: the trace is over. */
static lt_TraceRing *enter_ring(lt_TraceRing *ring) {
  plat_mutex_lock(&trace_guard);
  bool runs = current_trace != NULL && atomic_load(&trace_session) == ring->session;
  if (runs) {
    lt_object_retain(&ring->thread->object);
    /* Relaxed: nobody else has it yet. */
    atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);
    ring->next = current_trace->rings;
    current_trace->rings = ring;
  }
  plat_mutex_unlock(&trace_guard);
  if (runs)
    return ring;
  lt_trace_ring_release(ring);
  return NULL;
}

/* A thread that was there before the trace has been running since its beginning. */
static plat_Time begin_of_row(unsigned session, bool is_new_thread) {
  plat_Time begin = plat_now();
  plat_mutex_lock(&trace_guard);
  if (!is_new_thread && current_trace != NULL && current_trace->session == session)
    begin = current_trace->begin;
  plat_mutex_unlock(&trace_guard);
  return begin;
}

static lt_TraceRing *ring_of(lt_Thread *thread, bool is_new_thread) {
  unsigned session = atomic_load(&trace_session);
  lt_TraceRing *ring = thread->trace;
  if (ring != NULL && ring->session == session)
    return ring;
  if (ring != NULL)
    lt_trace_ring_release(ring);
  thread->trace = NULL;
  if (session == 0)
    return NULL;
  ring = lt_trace_ring_new(thread, session);
  if (ring == NULL) {
    atomic_fetch_add(&lost_without_memory, 1);
    return NULL;
  }
  const lt_TraceEvent life = {
      .begin = begin_of_row(session, is_new_thread), .what = "thread", .category = LT_TRACE_THREAD};
  lt_trace_ring_open(ring, &life);
  thread->trace = enter_ring(ring);
  return thread->trace;
}

/* From wherever: also under the mutex of a bucket, of which the writer's is another. */
static void want_writer(void) {
  plat_mutex_lock(&trace_guard);
  if (current_trace != NULL && !atomic_exchange(&current_trace->wanted, true))
    plat_unpark(&current_trace->parker->native);
  plat_mutex_unlock(&trace_guard);
}

uint64_t lt_trace_open(lt_Thread *thread, const lt_TraceEvent *slice) {
  lt_TraceRing *ring = ring_of(thread, false);
  unsigned number = ring == NULL ? 0 : lt_trace_ring_open(ring, slice);
  return number == 0 ? 0 : (uint64_t)ring->session << 32 | number;
}

void lt_trace_close(lt_Thread *thread, uint64_t opened, const char *outcome) {
  lt_TraceRing *ring = opened == 0 ? NULL : ring_of(thread, false);
  if (ring != NULL && ring->session == (unsigned)(opened >> 32) &&
      lt_trace_ring_close(ring, (unsigned)(opened & UINT32_MAX), plat_now(), outcome))
    want_writer();
}

void lt_trace_note(lt_Thread *thread, const lt_TraceEvent *event) {
  lt_TraceRing *ring = ring_of(thread, false);
  if (ring != NULL && lt_trace_ring_add(ring, event))
    want_writer();
}

uint64_t lt_trace_new_number(void) {
  return atomic_fetch_add(&last_trace_number, 1) + 1;
}

uint64_t lt_trace_arrow(lt_Thread *thread, const char *what, lt_TraceCategory category) {
  lt_TraceRing *ring = ring_of(thread, false);
  if (ring == NULL)
    return 0;
  const lt_TraceEvent event = {.begin = plat_now(),
                               .number = lt_trace_new_number(),
                               .what = what,
                               .kind = LT_TRACE_ARROW_LEAVES,
                               .category = category};
  if (lt_trace_ring_add(ring, &event))
    want_writer();
  return event.number;
}

/* One that has left in another trace is not in the file of this. */
void lt_trace_arrive(lt_Thread *thread, uint64_t number, plat_Time now) {
  const lt_TraceEvent event = {.begin = now, .number = number, .kind = LT_TRACE_ARROW_ARRIVES};
  if (number > atomic_load(&number_before))
    lt_trace_note(thread, &event);
}

void lt_trace_have_row(lt_Thread *thread, bool is_new_thread) {
  (void)ring_of(thread, is_new_thread);
}

/* A ring of a session that is over is left alone: in the child of a fork somebody may hold it. */
void lt_trace_end_thread(lt_Thread *thread) {
  lt_TraceRing *ring = thread->trace;
  if (ring == NULL)
    return;
  if (ring->session == atomic_load(&trace_session))
    lt_trace_ring_end(ring, plat_now());
  lt_trace_ring_release(ring);
  thread->trace = NULL;
}

/*
** The writer
*/

/* In the list that begins with the ring; NULL: not there any more. */
static lt_Thread *thread_with_row(void *context, uint64_t ident) {
  for (lt_TraceRing *ring = context; ring != NULL; ring = ring->next)
    if (ring->ident == ident)
      return ring->thread;
  return NULL;
}

static lt_TraceRing *first_ring(RunningTrace *trace) {
  plat_mutex_lock(&trace_guard);
  lt_TraceRing *ring = trace->rings;
  plat_mutex_unlock(&trace_guard);
  return ring;
}

static void forget_ring(RunningTrace *trace, lt_TraceRing *ring) {
  plat_mutex_lock(&trace_guard);
  lt_TraceRing **place = &trace->rings;
  while (*place != ring)
    place = &(*place)->next;
  *place = ring->next;
  plat_mutex_unlock(&trace_guard);
  lt_object_release(&ring->thread->object);
  lt_trace_ring_release(ring);
}

/* 'end': of the trace, 0: it goes on. */
static void write_rings(RunningTrace *trace, plat_Time end) {
  lt_TraceRing *first = first_ring(trace);
  lt_TraceRing *next;
  trace->writer.find = thread_with_row;
  trace->writer.context = first;
  for (lt_TraceRing *ring = first; ring != NULL; ring = ring->next)
    lt_trace_writer_take(&trace->writer, ring, end);
  lt_trace_writer_flush(&trace->writer);
  for (lt_TraceRing *ring = first; ring != NULL; ring = next) {
    next = ring->next;
    if (end != 0 || ring->is_written)
      forget_ring(trace, ring);
  }
}

static bool has_nothing_to_do(void *context) {
  RunningTrace *trace = context;
  return !atomic_load(&trace->wanted) && !atomic_load(&trace->stopped);
}

static void await_events(RunningTrace *trace) {
  lt_Wait wait = {.address = trace,
                  .context = trace,
                  .validate = has_nothing_to_do,
                  .deadline = plat_now() + FLUSHES,
                  .elsewhere = &trace->wanted,
                  .what = "events"};
  lt_await(trace->parker, &wait);
  atomic_store(&trace->wanted, false);
}

static void write_trace(void *argument) {
  RunningTrace *trace = argument;
  while (!atomic_load(&trace->stopped)) {
    await_events(trace);
    write_rings(trace, 0);
  }
  plat_Time end = plat_now();
  write_rings(trace, end);
  lt_trace_writer_end(&trace->writer, end, atomic_load(&lost_without_memory));
  atomic_store(&trace->is_done, true);
  lt_unpark_all(&trace->is_done);
  trace_release(trace);
}

/*
** Starting and stopping
*/

static RunningTrace *trace_new(lt_Runtime *runtime) {
  RunningTrace *trace = calloc(1, sizeof(*trace));
  lt_Parker *parker = lt_parker_new();
  if (trace == NULL || parker == NULL) {
    if (parker != NULL)
      lt_parker_release(parker);
    free(trace);
    return NULL;
  }
  atomic_init(&trace->references, 1);
  atomic_init(&trace->wanted, false);
  atomic_init(&trace->stopped, false);
  atomic_init(&trace->is_done, false);
  trace->runtime = runtime;
  trace->parker = parker;
  trace->begin = plat_now();
  return trace;
}

/* Its session begins when the writer is there. False: another trace runs. */
static bool enter_trace(RunningTrace *trace) {
  plat_mutex_lock(&trace_guard);
  bool is_free = current_trace == NULL;
  if (is_free) {
    current_trace = trace;
    last_session = last_session % INT32_MAX + 1;
    trace->session = last_session;
  }
  plat_mutex_unlock(&trace_guard);
  return is_free;
}

static void leave_trace(RunningTrace *trace) {
  plat_mutex_lock(&trace_guard);
  current_trace = NULL;
  plat_mutex_unlock(&trace_guard);
  trace_release(trace);
}

uint64_t lt_trace_process(lt_Runtime *runtime) {
  lt_Thread *main = lt_runtime_threads_find(runtime, runtime->main_ident);
  uint64_t process = main == NULL ? 0 : lt_thread_native_id(main);
  if (main != NULL)
    lt_object_release(&main->object);
  return process;
}

lt_TraceStart lt_trace_start(lt_Runtime *runtime, uint64_t process, const char *path, int *error) {
  RunningTrace *trace = trace_new(runtime);
  *error = PLAT_NO_MEMORY;
  if (trace == NULL)
    return LT_TRACE_FAILED;
  if (!enter_trace(trace)) {
    trace_release(trace);
    return LT_TRACE_RUNS_ALREADY;
  }
  *error = lt_trace_writer_open(&trace->writer, path, process, trace->begin);
  if (*error != 0) {
    leave_trace(trace);
    return LT_TRACE_NO_FILE;
  }
  atomic_store(&lost_without_memory, 0);
  atomic_store(&number_before, atomic_load(&last_trace_number));
  atomic_fetch_add(&trace->references, 1);
  *error = plat_thread_start(0, write_trace, trace);
  if (*error != 0) {
    lt_trace_writer_close(&trace->writer);
    atomic_fetch_sub(&trace->references, 1);
    leave_trace(trace);
    return LT_TRACE_FAILED;
  }
  atomic_store(&trace_session, trace->session);
  return LT_TRACE_STARTED;
}

static bool is_not_done(void *context) {
  return !atomic_load(&((RunningTrace *)context)->is_done);
}

bool lt_trace_take(const lt_Runtime *runtime) {
  plat_mutex_lock(&trace_guard);
  const RunningTrace *trace = current_trace;
  bool is_taken = trace != NULL && (runtime == NULL || trace->runtime == runtime) &&
                  atomic_load(&trace_session) == trace->session;
  if (is_taken)
    atomic_store(&trace_session, 0);
  plat_mutex_unlock(&trace_guard);
  return is_taken;
}

/* 'current_trace' stays until then: who has taken it has it. */
int lt_trace_end(lt_Parker *parker) {
  RunningTrace *trace = current_trace;
  lt_Wait wait = {.address = &trace->is_done,
                  .context = trace,
                  .validate = is_not_done,
                  .deadline = PLAT_FOREVER,
                  .deaf = LT_BRIEF,
                  .what = "trace"};
  atomic_store(&trace->stopped, true);
  lt_unpark_all(trace);
  lt_await(parker, &wait);
  int error = trace->writer.error;
  leave_trace(trace);
  return error;
}

/* The writer is not there, and what it had in hand is left alone. The parent goes on writing. */
void lt_trace_after_fork(void) {
  plat_mutex_init(&trace_guard);
  current_trace = NULL;
  atomic_store(&trace_session, 0);
}
