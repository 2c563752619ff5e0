/*
** Shared state: 'deadlock_check'; 'deadlocked' of a runtime, which the one who reports sets.
*/
#include "src/diagnose/deadlock.h"

#include <stdlib.h>
#include <string.h>

#include "src/diagnose/dump.h"
#include "src/thread/runtime_threads.h"

/* How long a thread has been blocked when it looks. */
#define DELAY (PLAT_SECOND / 5)

static atomic_bool deadlock_check;

void lt_deadlock_set_check(bool on) {
  atomic_store(&deadlock_check, on);
  lt_lock_want_owners(LT_OWNERS_FOR_DEADLOCKS, on);
}

/* How often each thread's waiting has begun and ended, in 'seen'; false: one of them runs. */
static bool all_blocked(lt_Thread *first, unsigned *seen, size_t count) {
  size_t i = 0;
  for (lt_Thread *thread = first; thread != NULL; thread = thread->next) {
    unsigned blocked = lt_parker_blocked(thread->parker);
    if (blocked % 2 == 0 || atomic_load(&thread->parker->urgency) != LT_CALM || i == count)
      return false;
    seen[i++] = blocked;
  }
  return i == count;
}

static bool is_deadlocked(lt_Runtime *runtime) {
  size_t count = lt_runtime_threads_count(runtime) + 1;
  unsigned *seen = malloc(2 * count * sizeof(*seen));
  if (seen == NULL)
    return false;
  plat_mutex_lock(&runtime->guard);
  bool blocked = all_blocked(runtime->threads, seen, count) &&
                 all_blocked(runtime->threads, seen + count, count) &&
                 memcmp(seen, seen + count, count * sizeof(*seen)) == 0;
  plat_mutex_unlock(&runtime->guard);
  free(seen);
  return blocked;
}

/*
** Reporting
*/

static const lt_DumpAnswer *answer_of(const lt_Dump *dump, uint64_t ident) {
  for (size_t i = 0; i < dump->count; i++)
    if (atomic_load(&dump->answers[i].thread->ident) == ident)
      return &dump->answers[i];
  return NULL;
}

/* A thread that waits for one that waits for it, if there is one; else any that is blocked. */
static const lt_DumpAnswer *first_in_cycle(const lt_Dump *dump, const lt_Thread *self) {
  const lt_DumpAnswer *slow = answer_of(dump, atomic_load(&self->ident));
  for (size_t i = 0; slow != NULL && slow->ender != 0 && i < dump->count; i++)
    slow = answer_of(dump, slow->ender);
  return slow != NULL ? slow : answer_of(dump, atomic_load(&self->ident));
}

static void add_cycle(lt_StringBuffer *text, const lt_Dump *dump, const lt_Thread *self) {
  const lt_DumpAnswer *first = first_in_cycle(dump, self);
  const lt_DumpAnswer *answer = first;
  lt_string_buffer_add(text, "lthread: deadlock: all threads wait for one another: thread ");
  for (size_t i = 0; answer != NULL && i < dump->count; i++) {
    lt_dump_add_identity(text, answer->thread);
    lt_string_buffer_add(text, i == 0 ? " waits for %s" : ", which waits for %s",
                         answer->blocked_on);
    const char *relation = answer->relation;
    answer = answer_of(dump, answer->ender);
    if (answer == NULL)
      break;
    lt_string_buffer_add(text, " %s thread ", relation);
    if (answer == first) {
      lt_dump_add_identity(text, answer->thread);
      break;
    }
  }
  lt_string_buffer_add(text, "\n");
}

static void report_deadlock(lt_Thread *thread, const lt_Blocked *blocked) {
  lt_Dump dump;
  lt_StringBuffer text = {NULL, 0, 0};
  const lt_DumpAsker asker = {.runtime = thread->runtime,
                              .parker = thread->parker,
                              .thread = thread,
                              .L = thread->waiting,
                              .blocked = blocked};
  if (!lt_dump_take(&dump, &asker))
    return;
  add_cycle(&text, &dump, thread);
  lt_dump_write(&dump, &text);
  if (text.bytes != NULL)
    plat_write_error(text.bytes, text.length);
  lt_string_buffer_free(&text);
  lt_dump_free(&dump);
}

plat_Time lt_deadlock_attend(lt_Thread *thread, const lt_Wait *wait, plat_Time since) {
  /* Relaxed: it only says whether to look. */
  if (!atomic_load_explicit(&deadlock_check, memory_order_relaxed) ||
      wait->deadline != PLAT_FOREVER || thread->waiting == NULL)
    return PLAT_FOREVER;
  if (plat_now() < since + DELAY)
    return since + DELAY;
  if (!atomic_load(&thread->runtime->deadlocked) && is_deadlocked(thread->runtime) &&
      !atomic_exchange(&thread->runtime->deadlocked, true))
    report_deadlock(thread, &(lt_Blocked){wait, since});
  return PLAT_FOREVER;
}
