/*
** Who wants to know what the probe of probe.h sees: the probe is set while somebody does.
*/
#ifndef lt_probing_h
#define lt_probing_h

#include <stdbool.h>

/*
** Counts what threads wait for, in the whole process, and forgets what was counted before. False
** without memory.
*/
bool lt_probing_start_contention(void);
void lt_probing_stop_contention(void);

void lt_probing_after_fork(void);

#endif
