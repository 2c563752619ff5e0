/*
** Shared state: what the header says to be under the ring's mutex, which is held for a few
** instructions, and within which nothing else is acquired. The mutex of a bucket of park.c may be
** held around it.
*/
#include "src/diagnose/trace_ring.h"

#include <stdlib.h>

#define FIRST_EVENTS 32u

lt_TraceRing *lt_trace_ring_new(lt_Thread *thread, unsigned session) {
  lt_TraceRing *ring = calloc(1, sizeof(*ring));
  if (ring == NULL)
    return NULL;
  ring->events = malloc(FIRST_EVENTS * sizeof(*ring->events));
  if (ring->events == NULL) {
    free(ring);
    return NULL;
  }
  atomic_init(&ring->references, 1);
  plat_mutex_init(&ring->mutex);
  ring->session = session;
  ring->capacity = FIRST_EVENTS;
  ring->ident = atomic_load(&thread->ident);
  ring->thread = thread;
  return ring;
}

void lt_trace_ring_release(lt_TraceRing *ring) {
  /* Acquire and release: the last one sees all that the other did before it frees. */
  if (atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) > 1)
    return;
  plat_mutex_destroy(&ring->mutex);
  free(ring->events);
  free(ring);
}

/* False: it has its full size, or there is no memory. */
static bool grow_ring(lt_TraceRing *ring) {
  if (ring->capacity == LT_TRACE_MOST_EVENTS)
    return false;
  lt_TraceEvent *events = malloc((size_t)ring->capacity * 2 * sizeof(*events));
  if (events == NULL)
    return false;
  for (unsigned i = 0; i < ring->count; i++)
    events[i] = ring->events[(ring->first + i) & (ring->capacity - 1)];
  free(ring->events);
  ring->events = events;
  ring->first = 0;
  ring->capacity *= 2;
  return true;
}

static void drop_oldest_event(lt_TraceRing *ring) {
  ring->lost_ends += ring->events[ring->first].kind == LT_TRACE_END;
  ring->lost++;
  ring->first = (ring->first + 1) & (ring->capacity - 1);
  ring->count--;
}

static bool add_event(lt_TraceRing *ring, const lt_TraceEvent *event) {
  if (ring->has_ended)
    return false;
  if (ring->count == ring->capacity && !grow_ring(ring))
    drop_oldest_event(ring);
  ring->events[(ring->first + ring->count++) & (ring->capacity - 1)] = *event;
  return ring->count == LT_TRACE_MOST_EVENTS / 2;
}

bool lt_trace_ring_add(lt_TraceRing *ring, const lt_TraceEvent *event) {
  plat_mutex_lock(&ring->mutex);
  bool is_half_full = add_event(ring, event);
  plat_mutex_unlock(&ring->mutex);
  return is_half_full;
}

unsigned lt_trace_ring_open(lt_TraceRing *ring, const lt_TraceEvent *slice) {
  unsigned number = 0;
  plat_mutex_lock(&ring->mutex);
  if (ring->depth < LT_TRACE_DEPTH) {
    ring->last_number = ring->last_number % INT32_MAX + 1;
    number = ring->last_number;
    ring->open[ring->depth++] = (lt_OpenSlice){*slice, number, false};
  } else {
    ring->lost++;
  }
  plat_mutex_unlock(&ring->mutex);
  return number;
}

static bool close_innermost(lt_TraceRing *ring, plat_Time end, const char *outcome) {
  lt_OpenSlice *open = &ring->open[--ring->depth];
  open->slice.end = end;
  open->slice.outcome = outcome;
  if (open->is_told)
    open->slice.kind = LT_TRACE_END;
  return add_event(ring, &open->slice);
}

bool lt_trace_ring_close(lt_TraceRing *ring, unsigned number, plat_Time end, const char *outcome) {
  bool is_half_full = false;
  plat_mutex_lock(&ring->mutex);
  unsigned depth = ring->depth;
  while (depth > 0 && ring->open[depth - 1].number != number)
    depth--;
  while (depth > 0 && ring->depth >= depth)
    is_half_full = close_innermost(ring, end, outcome) || is_half_full;
  plat_mutex_unlock(&ring->mutex);
  return is_half_full;
}

void lt_trace_ring_end(lt_TraceRing *ring, plat_Time end) {
  plat_mutex_lock(&ring->mutex);
  while (ring->depth > 0 && !ring->has_ended)
    close_innermost(ring, end, NULL);
  ring->has_ended = true;
  plat_mutex_unlock(&ring->mutex);
}
