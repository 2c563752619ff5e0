/*
** Who wants to know what the probe of probe.h sees: the probe is set while somebody does.
*/
#ifndef lt_probing_h
#define lt_probing_h

#include "src/diagnose/trace.h"

/*
** Counts what threads wait for, in the whole process, and forgets what was counted before. False
** without memory.
*/
bool lt_probing_start_contention(void);
void lt_probing_stop_contention(void);

/* See lt_trace_start and lt_trace_stop. */
lt_TraceStart lt_probing_start_trace(lt_Runtime *runtime, uint64_t process, const char *path,
                                     int *error);
bool lt_probing_stop_trace(lt_Parker *parker, const lt_Runtime *runtime, int *error);

/* What lt_Observer has for a trace, see observer.h. */
void lt_probing_thread_starts(lt_Thread *starter, const lt_Thread *thread);
void lt_probing_thread_begins(lt_Thread *thread);
void lt_probing_thread_ends(lt_Thread *thread);
void lt_probing_thread_is_over(lt_Thread *thread);
uint64_t lt_probing_section_begins(lua_State *L, lt_Thread *thread, const char *name);
void lt_probing_section_ends(lt_Thread *thread, uint64_t begun);
void lt_probing_interrupted(lt_Thread *thread, const lt_Class *class_object);

void lt_probing_after_fork(void);

#endif
