/*
** What has happened to a thread, noted by itself in a ring until it is written: of a ring that is
** full the oldest event goes first, and is counted.
**
** A thread has one ring, in which its slices (what it does or waits for, from one moment to another)
** are nested. One that lasts is told when it has begun, so that a trace which breaks off has it.
*/
#ifndef lt_trace_ring_h
#define lt_trace_ring_h

#include "src/diagnose/place.h"
#include "src/thread/thread.h"

typedef enum lt_TraceKind {
  LT_TRACE_SLICE,        /* from 'begin' to 'end' */
  LT_TRACE_END,          /* at 'end', of a slice whose beginning was told */
  LT_TRACE_INSTANT,      /* at 'begin', as what follows */
  LT_TRACE_ARROW_LEAVES, /* with this number, from what the thread does at this moment */
  LT_TRACE_ARROW_ARRIVES,
  LT_TRACE_SPAN_BEGINS, /* of one that is not nested, with a number */
  LT_TRACE_SPAN_ENDS
} lt_TraceKind;

typedef enum lt_TraceCategory {
  LT_TRACE_THREAD,
  LT_TRACE_WAIT,
  LT_TRACE_SPAN,
  LT_TRACE_TASK,
  LT_TRACE_MESSAGE,
  LT_TRACE_INTERRUPT,
  LT_TRACE_COLLECTION
} lt_TraceCategory;

typedef struct lt_TraceEvent {
  plat_Time begin;
  plat_Time end;
  uint64_t number; /* of an arrow or span; bytes; objects */
  uint64_t other;  /* the ident of who could end a wait, 0: not known; freed objects */
  const void *shown;
  const char *what;    /* a constant */
  const char *outcome; /* the same; NULL: nothing to tell */
  lt_TraceKind kind;
  lt_TraceCategory category;
  char text[LT_PLACE_BYTES]; /* the place in the script, or the name of a span; may be empty */
} lt_TraceEvent;

typedef struct lt_OpenSlice {
  lt_TraceEvent slice;
  unsigned number; /* no other one of the ring has it */
  bool is_told;
} lt_OpenSlice;

#define LT_TRACE_DEPTH 16
#define LT_TRACE_MOST_EVENTS 1024u

typedef struct lt_TraceRing {
  struct lt_TraceRing *next; /* in the list of the trace; its writer's, once it is there */
  atomic_uint references;    /* of the thread and of the list */
  unsigned session;          /* of the trace; never changes */
  uint64_t ident;            /* the same */
  lt_Thread *thread;         /* the list's reference, for its name */
  bool is_written;           /* the writer's: nothing more will come */
  bool has_row;              /* the same: its row has the name that follows */
  char name[LT_NAME_BYTES];

  plat_Mutex mutex; /* of what follows */
  bool has_ended;   /* the thread has; or the trace: nothing is noted any more */
  lt_TraceEvent *events;
  unsigned capacity; /* a power of two; grows */
  unsigned first;
  unsigned count;
  uint64_t lost;
  unsigned lost_ends; /* those among them that ended a slice which was told */
  lt_OpenSlice open[LT_TRACE_DEPTH];
  unsigned depth;
  unsigned last_number;
} lt_TraceRing;

/* With a reference; that to the thread is taken. NULL without memory. */
lt_TraceRing *lt_trace_ring_new(lt_Thread *thread, unsigned session);
void lt_trace_ring_release(lt_TraceRing *ring);

/* Returns whether the writer should take what is there. */
bool lt_trace_ring_add(lt_TraceRing *ring, const lt_TraceEvent *event);

/* Opens a slice, of which 'end' is not known yet. Returns its number; 0: there was no room. */
unsigned lt_trace_ring_open(lt_TraceRing *ring, const lt_TraceEvent *slice);

/* Closes the slice, if it is open, with what is open within. The same result as of add. */
bool lt_trace_ring_close(lt_TraceRing *ring, unsigned number, plat_Time end, const char *outcome);

/* Closes all that is open; the thread has ended. */
void lt_trace_ring_end(lt_TraceRing *ring, plat_Time end);

#endif
