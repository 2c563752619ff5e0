/*
** Shared state: 'entries' and what belongs to them, under 'contention_guard'. They are taken once
** and stay, so that the child of a fork can't find them gone.
*/
#include "src/diagnose/contention.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/diagnose/dump.h"
#include "src/shared/shared_table.h"
#include "src/thread/runtime_threads.h"

/* A power of two, and how many places a thing may have among them. */
#define THINGS 1024u
#define PROBES 32u

static plat_Mutex contention_guard = PLAT_MUTEX_INIT;
static lt_Contended *entries;
static uint64_t uncounted;

/*
** Counting
*/

/* What the script knows by an address: of a table the lock is inside. */
static const void *address_of(const lt_Wait *wait) {
  static const char table[] = "shared table";
  if (wait->shown == NULL || strcmp(wait->what, table) != 0)
    return wait->shown;
  return (const char *)wait->shown - offsetof(lt_SharedTable, lock);
}

/* Names of what is waited for are constants, but those of equal bytes need not be one. */
static lt_Contended *contended_thing(const char *what, const void *shown) {
  uint64_t hash = (uint64_t)(uintptr_t)shown * UINT64_C(0x9E3779B97F4A7C15);
  for (unsigned i = 0; entries != NULL && i < PROBES; i++) {
    lt_Contended *entry = &entries[((hash >> 40) + i) % THINGS];
    if (entry->what == NULL) {
      entry->what = what;
      entry->shown = shown;
      return entry;
    }
    if (entry->shown == shown && strcmp(entry->what, what) == 0)
      return entry;
  }
  return NULL;
}

/* If all are taken, the one that has cost the least gives way, and its count goes to the new one. */
static lt_ContendedPlace *contended_place(lt_Contended *thing, const char *place) {
  lt_ContendedPlace *least = &thing->places[0];
  for (size_t i = 0; i < LT_CONTENDED_PLACES; i++) {
    lt_ContendedPlace *each = &thing->places[i];
    if (each->waits > 0 && strcmp(each->place, place) == 0)
      return each;
    if (each->waits < least->waits || (each->waits == least->waits && each->total < least->total))
      least = each;
  }
  memcpy(least->place, place, LT_PLACE_BYTES);
  return least;
}

/* 'span' is a part of the whole wait, if that was broken off. True: it is the longest for the thing. */
static bool count_wait(const lt_Wait *wait, plat_Time span, plat_Time whole, bool goes_on,
                       const char *place) {
  lt_Contended *thing = contended_thing(wait->what, address_of(wait));
  if (thing == NULL) {
    uncounted += !goes_on;
    return false;
  }
  lt_ContendedPlace *at = contended_place(thing, place);
  at->waits += !goes_on || at->waits == 0;
  at->total += span;
  thing->waits += !goes_on || thing->waits == 0;
  thing->total += span;
  if (whole < thing->longest)
    return false;
  thing->longest = whole;
  thing->holder[0] = '\0';
  return true;
}

static void note_holder_of_longest(const lt_Wait *wait, plat_Time whole, const char *name) {
  plat_mutex_lock(&contention_guard);
  lt_Contended *thing = contended_thing(wait->what, address_of(wait));
  if (thing != NULL && thing->longest == whole)
    memcpy(thing->holder, name, LT_NAME_BYTES);
  plat_mutex_unlock(&contention_guard);
}

/* Who had just got it when the wait began has noted that by now; the waiter itself not yet. */
static uint64_t holder_of(const lt_Wait *wait, const lt_WaitNote *note) {
  if (note->ender != 0 || wait->ender == NULL)
    return note->ender;
  return wait->ender(wait->context);
}

void lt_contention_count(lt_Thread *thread, const lt_Wait *wait, const lt_WaitNote *note,
                         plat_Time now) {
  char place[LT_PLACE_BYTES];
  if (wait->shown == NULL)
    return;
  lt_place_of_wait(thread, wait, place);
  plat_Time span = now - note->begin;
  plat_Time whole = wait->since == 0 ? span : now - wait->since;
  plat_mutex_lock(&contention_guard);
  bool is_longest = count_wait(wait, span, whole, note->goes_on, place);
  plat_mutex_unlock(&contention_guard);
  uint64_t ident = is_longest ? holder_of(wait, note) : 0;
  if (ident == 0)
    return;
  char name[LT_NAME_BYTES];
  lt_Thread *holder = lt_runtime_threads_find(thread->runtime, ident);
  if (holder != NULL) {
    lt_thread_name(holder, name);
    lt_object_release(&holder->object);
  } else {
    snprintf(name, sizeof(name), "ident %" PRIu64, ident);
  }
  note_holder_of_longest(wait, whole, name);
}

/*
** Forgetting
*/

static void forget_counts(void) {
  for (size_t i = 0; entries != NULL && i < THINGS; i++)
    if (entries[i].what != NULL)
      memset(&entries[i], 0, sizeof(entries[i]));
  uncounted = 0;
}

bool lt_contention_clear(void) {
  plat_mutex_lock(&contention_guard);
  if (entries == NULL)
    entries = calloc(THINGS, sizeof(*entries));
  else
    forget_counts();
  bool done = entries != NULL;
  plat_mutex_unlock(&contention_guard);
  return done;
}

/* The counts of the parent, which one of its other threads may just have been changing. */
void lt_contention_after_fork(void) {
  plat_mutex_init(&contention_guard);
  forget_counts();
}

/*
** Telling
*/

static int compare_times(plat_Time one, plat_Time other) {
  return one < other ? 1 : one > other ? -1 : 0;
}

static int compare_things(const void *one, const void *other) {
  return compare_times(((const lt_Contended *)one)->total, ((const lt_Contended *)other)->total);
}

static int compare_places(const void *one, const void *other) {
  return compare_times(((const lt_ContendedPlace *)one)->total,
                       ((const lt_ContendedPlace *)other)->total);
}

static size_t copy_used(lt_Contended *copies) {
  size_t count = 0;
  for (size_t i = 0; entries != NULL && i < THINGS; i++)
    if (entries[i].what != NULL) {
      if (copies != NULL)
        copies[count] = entries[i];
      count++;
    }
  return count;
}

bool lt_contention_get(lt_Contention *contention) {
  plat_mutex_lock(&contention_guard);
  contention->others = uncounted;
  contention->count = copy_used(NULL);
  contention->things = malloc((contention->count + 1) * sizeof(lt_Contended));
  if (contention->things != NULL)
    copy_used(contention->things);
  plat_mutex_unlock(&contention_guard);
  if (contention->things == NULL)
    return false;
  qsort(contention->things, contention->count, sizeof(lt_Contended), compare_things);
  for (size_t i = 0; i < contention->count; i++)
    qsort(contention->things[i].places, LT_CONTENDED_PLACES, sizeof(lt_ContendedPlace),
          compare_places);
  return true;
}

void lt_contention_free(lt_Contention *contention) {
  free(contention->things);
}

static double seconds_of(plat_Time span) {
  return (double)span / (double)PLAT_SECOND;
}

static void write_thing(const lt_Contended *thing, lt_StringBuffer *text) {
  char name[LT_BLOCKED_BYTES];
  snprintf(name, sizeof(name), "%s %p", thing->what, thing->shown);
  lt_string_buffer_add(text, "%-30s %9" PRIu64 " %10.3f s %10.6f s  %-16s", name, thing->waits,
                       seconds_of(thing->total), seconds_of(thing->longest),
                       *thing->holder == '\0' ? "-" : thing->holder);
  for (size_t i = 0; i < 2 && thing->places[i].waits > 0; i++)
    lt_string_buffer_add(text, "%s%s (%.0f %%)", i == 0 ? " " : ", ",
                         *thing->places[i].place == '\0' ? "?" : thing->places[i].place,
                         thing->total == 0
                             ? 0.0
                             : 100 * seconds_of(thing->places[i].total) / seconds_of(thing->total));
  lt_string_buffer_add(text, "\n");
}

void lt_contention_write(const lt_Contention *contention, lt_StringBuffer *text) {
  if (contention->count == 0) {
    lt_string_buffer_add(text, "nobody has waited for a lock, queue or table\n");
    return;
  }
  lt_string_buffer_add(text, "%-30s %9s %12s %12s  %-16s %s\n", "waited for", "times", "in all",
                       "at most", "held by", "at");
  for (size_t i = 0; i < contention->count; i++)
    write_thing(&contention->things[i], text);
  if (contention->others > 0)
    lt_string_buffer_add(text, "and %" PRIu64 " waits for others\n", contention->others);
}
