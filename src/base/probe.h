/*
** What happens to threads, told to those who look into a program. They stand above, in src/diagnose,
** and are called through a table. Without one nothing is told, and only slow paths look whether
** there is one: a wait whose first try was in vain, for one.
*/
#ifndef lt_probe_h
#define lt_probe_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"

struct lt_Parker;
struct lt_Wait;
struct lua_State;

/* What is known of a wait between its beginning and its end. */
typedef struct lt_WaitNote {
  bool goes_on; /* it was broken off before, for a moment, and is the same one still */
  plat_Time begin;
  uint64_t ender; /* the ident of who could end it when it began, 0: not known */
  uint64_t slice; /* in a trace, see trace.h */
} lt_WaitNote;

/* All are called on the thread that does it, and raise nothing. */
typedef struct lt_Probe {
  /* Without a mutex of park.c; a brief wait's thread may hold others. */
  void (*wait_begins)(struct lt_Parker *parker, const struct lt_Wait *wait, lt_WaitNote *note);
  /* 'parked' is an lt_Parked. */
  void (*wait_ends)(struct lt_Parker *parker, const struct lt_Wait *wait, const lt_WaitNote *note,
                    int parked);

  /* Whom the caller wakes, interrupts, or makes look; a mutex of park.c or a guard may be held. */
  void (*wakes)(struct lt_Parker *parker);

  /* A message was packed, or unpacked, in L. */
  void (*message)(struct lua_State *L, bool is_packed, size_t bytes);

  /* Garbage of the shared data space was looked for since then. */
  void (*collection)(plat_Time begin, size_t objects, size_t freed);
} lt_Probe;

/* Tables are constants, so that one may still be used by a thread when it is taken out. */
extern _Atomic(const lt_Probe *) lt_probe;

static inline const lt_Probe *lt_probe_get(void) {
  /* Relaxed: what it leads to is constant, and what that uses has guards of its own. */
  return atomic_load_explicit(&lt_probe, memory_order_relaxed);
}

static inline void lt_probe_wakes(struct lt_Parker *parker) {
  const lt_Probe *probe = lt_probe_get();
  if (probe != NULL)
    probe->wakes(parker);
}

#endif
