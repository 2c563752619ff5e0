/*
** Writes what rings have into a file: an array in JSON of events in the trace event format. Each is
** written whole, and whatever of the file is there can be read.
*/
#ifndef lt_trace_writer_h
#define lt_trace_writer_h

#include <stdio.h>

#include "src/diagnose/trace_ring.h"

/* The thread that has the ident, if it has a row; NULL: it has not. */
typedef lt_Thread *(*lt_FindNamed)(void *context, uint64_t ident);

typedef struct lt_TraceWriter {
  FILE *file;
  int error; /* the first errno, 0: none */
  uint64_t process;
  plat_Time begin;
  bool has_events; /* in the file */
  uint64_t lost;
  lt_FindNamed find;
  void *context;
  size_t length;                             /* of what follows */
  char bytes[1 << 15];                       /* to be written */
  lt_TraceEvent taken[LT_TRACE_MOST_EVENTS]; /* of the ring in hand */
  lt_OpenSlice open[LT_TRACE_DEPTH];
} lt_TraceWriter;

/* 0 or an errno. */
int lt_trace_writer_open(lt_TraceWriter *writer, const char *path, uint64_t process,
                         plat_Time begin);
void lt_trace_writer_close(lt_TraceWriter *writer);

/* Takes what the ring has. 'end': of the trace, with which all that is open ends; 0: it goes on. */
void lt_trace_writer_take(lt_TraceWriter *writer, lt_TraceRing *ring, plat_Time end);
void lt_trace_writer_flush(lt_TraceWriter *writer);

/* Ends the file and closes it. 'lost': events that found no memory for a ring. */
void lt_trace_writer_end(lt_TraceWriter *writer, plat_Time end, uint64_t lost);

#endif
