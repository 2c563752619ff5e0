/*
** Contention: for what threads have waited, how often and how long, and where.
*/
#ifndef lt_contention_h
#define lt_contention_h

#include "src/base/probe.h"
#include "src/base/string_buffer.h"
#include "src/diagnose/place.h"

/* Places of one thing that are counted; where there are more, those that cost the most time stay. */
#define LT_CONTENDED_PLACES 8

typedef struct lt_ContendedPlace {
  char place[LT_PLACE_BYTES]; /* may be empty: not known */
  uint64_t waits;
  plat_Time total;
} lt_ContendedPlace;

typedef struct lt_Contended {
  const char *what; /* NULL: an entry that is not used */
  const void *shown;
  uint64_t waits;
  plat_Time total;
  plat_Time longest;
  char holder[LT_NAME_BYTES]; /* who had it when the longest wait began; empty: not known */
  lt_ContendedPlace places[LT_CONTENDED_PLACES];
} lt_Contended;

/* Those that cost the most time come first; so do the places of each. */
typedef struct lt_Contention {
  size_t count;
  lt_Contended *things;
  uint64_t others; /* waits for things that had no room any more */
} lt_Contention;

/* Forgets what was counted before, and can count from now on. False without memory. */
bool lt_contention_clear(void);

/* A copy of what was counted; false without memory. */
bool lt_contention_get(lt_Contention *contention);
void lt_contention_free(lt_Contention *contention);

/* As a table to read. */
void lt_contention_write(const lt_Contention *contention, lt_StringBuffer *text);

/* At the end of a wait. */
void lt_contention_count(lt_Thread *thread, const lt_Wait *wait, const lt_WaitNote *note,
                         plat_Time now);

void lt_contention_after_fork(void);

#endif
