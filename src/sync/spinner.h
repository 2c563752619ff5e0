/*
** Spinning: waiting for a moment without parking, for what other threads bring over and over. A
** spinner learns how long to spin between two looks, and whether it is of any use.
*/
#ifndef lt_spinner_h
#define lt_spinner_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Guesses, which any number of threads use and correct. */
typedef struct lt_Spinner {
  atomic_int pauses;     /* before a look */
  atomic_int skips;      /* how many waits to park at once in, when spinning is in vain */
  atomic_int skips_left; /* of them */
} lt_Spinner;

/* How much there is; 0: go on. */
typedef uint64_t (*lt_Chances)(const void *context);

void lt_spinner_init(lt_Spinner *spinner);

/* Returns whether the wait is over. Not at once: who has just looked need not look again. */
bool lt_spinner_spin(lt_Spinner *spinner, lt_Chances chances, const void *context);

#endif
