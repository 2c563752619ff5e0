/*
** Profiles: the stacks of all threads of a runtime, sampled again and again, and counted.
*/
#ifndef lt_profile_h
#define lt_profile_h

#include "src/thread/runtime.h"

typedef struct lt_Profile lt_Profile;

typedef enum lt_ProfileStart {
  LT_PROFILE_STARTED,
  LT_PROFILE_RUNS_ALREADY,
  LT_PROFILE_FAILED /* 'error' is an errno */
} lt_ProfileStart;

/*
** From now on each thread is asked for its stack so many times a second, by a watcher, an OS thread
** without a state. Of one that has been waiting since the sample before, that is taken again: so it
** is not disturbed.
*/
lt_ProfileStart lt_profile_start(lt_Runtime *runtime, unsigned hz, int *error);

/* Ends it. The caller gets the profile, NULL: none was being made. */
lt_Profile *lt_profile_stop(void);

/*
** Writes a line for each stack, in folded form with how often it was met. 0 or an errno. In any
** case the profile is freed.
*/
int lt_profile_write(lt_Profile *profile, const char *path, uint64_t *samples);

/* The runtime ends: its profile is dropped. */
void lt_profile_end(const lt_Runtime *runtime);
void lt_profile_after_fork(void);

#endif
