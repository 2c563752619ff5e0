/*
** The blocking sections that a thread is in; section.h begins and ends them.
*/
#ifndef lt_section_list_h
#define lt_section_list_h

#include "src/thread/thread.h"

#define LT_SECTION_BYTES 40 /* of its name, of which no more is shown */

typedef void (*lt_Wake)(void *context);

/* What dumps tell of one. */
typedef struct lt_SectionText {
  plat_Time since;
  char name[LT_SECTION_BYTES];
  int line; /* that has called it; 0: none is known */
  char source[LUA_IDSIZE];
} lt_SectionText;

/* The record of one. What the thread fills in it does before it enters. */
typedef struct lt_Section {
  struct lt_Section *outer;
  lt_Thread *thread; /* NULL: it has not begun, or is over */
  lua_State *L;      /* the coroutine of its C call */
  const void *frame; /* of its C call; NULL: the host has begun it in none */
  bool in_main;      /* L is the main coroutine */
  bool woken;
  bool refused;        /* only for the thread: it was not to begin */
  atomic_bool is_deaf; /* what is pending is held back, so it is only woken when it must end */
  lt_Wake wake;        /* NULL: the poke ends it */
  void *context;
  lt_SectionText text;
  uint64_t slice; /* in a trace, see observer.h; 0: none */
} lt_Section;

/* On the thread itself: it is the innermost from now on. */
void lt_section_enter(lt_Section *section);

/*
** On the thread itself: it and those within it are over, if they are not yet; a wake that runs is
** waited for. Returns whether it was over.
*/
bool lt_section_leave(lt_Section *section);

/* On the thread itself: all of them are over, for its state is being closed. */
void lt_sections_end_all(lt_Thread *thread);

/* Within the handler of a poke, which has set the hook. */
PLAT_IN_HANDLER void lt_sections_find_place(lt_Thread *thread);

/*
** On the thread itself, as it runs Lua again, before the hook is taken away: sections whose coroutine
** has died of an error are over, and a wake that runs is waited for.
*/
void lt_sections_settle_now(lt_Thread *thread);

static inline void lt_sections_settle(lt_Thread *thread) {
  if (atomic_load(&thread->sections.innermost) != NULL ||
      atomic_load(&thread->sections.place) != LT_PLACE_UNKNOWN)
    lt_sections_settle_now(thread);
}

/*
** On another OS thread, which holds no guard: wakes the innermost section if that is due. 'patiently':
** the thread may yet hear the interrupt; else it may be that it blocks signals, or blocks in what the
** section has called.
*/
void lt_section_wake(lt_Thread *thread, bool patiently);

/* What is told of the innermost section; false: the thread is in none. */
bool lt_section_show(lt_Thread *thread, lt_SectionText *text);

#endif
