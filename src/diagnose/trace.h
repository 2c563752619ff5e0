/*
** Traces: what happens to all threads of the process, written to a file while it happens, in the
** trace event format of Chrome. Each thread has a row; what it does is noted in its ring, and a
** writer, an OS thread without a state, takes it from there.
*/
#ifndef lt_trace_h
#define lt_trace_h

#include "src/diagnose/trace_ring.h"

typedef enum lt_TraceStart {
  LT_TRACE_STARTED,
  LT_TRACE_RUNS_ALREADY,
  LT_TRACE_NO_FILE, /* 'error' is an errno, as for the next */
  LT_TRACE_FAILED
} lt_TraceStart;

/* Until it is stopped, or the runtime ends. 'process' is its number in the file. */
lt_TraceStart lt_trace_start(lt_Runtime *runtime, uint64_t process, const char *path, int *error);

/*
** Notes nothing any more, if it is the trace of the runtime or this is NULL; false: there is none.
** Who has done so then waits until all is written. Returns an errno, 0: it was.
*/
bool lt_trace_take(const lt_Runtime *runtime);
int lt_trace_end(lt_Parker *parker);

/* The number of the process, where that of its first thread is the same. */
uint64_t lt_trace_process(lt_Runtime *runtime);

void lt_trace_after_fork(void);

/*
** Noting, on the thread itself. Without a trace, and without memory, nothing is done; what finds no
** memory is counted.
*/

bool lt_trace_runs(void);

/* Opens a slice. Returns what lt_trace_close takes; 0: it is not open. */
uint64_t lt_trace_open(lt_Thread *thread, const lt_TraceEvent *slice);
void lt_trace_close(lt_Thread *thread, uint64_t opened, const char *outcome);
void lt_trace_note(lt_Thread *thread, const lt_TraceEvent *event);

/* A number that no other arrow or span has. */
uint64_t lt_trace_new_number(void);

/*
** An arrow from what the thread does at this moment, and its arrival. Returns its number; 0: it was
** not noted, and does not arrive.
*/
uint64_t lt_trace_arrow(lt_Thread *thread, const char *what, lt_TraceCategory category);
void lt_trace_arrive(lt_Thread *thread, uint64_t number, plat_Time now);

/* The thread has a row from now on; it is over. */
void lt_trace_have_row(lt_Thread *thread, bool is_new_thread);
void lt_trace_end_thread(lt_Thread *thread);

#endif
