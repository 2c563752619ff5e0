/*
** A section ends as its C call does, but for one case: an error of which a coroutine dies closes no
** slots of its stack, and what the wake is called with may be freed then. The thread finds such a
** coroutine dead before it runs any Lua again, once the handler of a poke has set a hook on all
** coroutines; and the handler looks whether it is dead already. So in a coroutine a wake may run only
** after this confirmation. In the main coroutine it needs none.
**
** Shared state: 'sections' of a thread. The list, and what a record says, is changed by the thread
** under the guard, but for 'woken', which others change, and 'is_deaf'; it is read by others under
** the guard, and by the thread, also in its handler, without it. 'confirmed' is set by the handler
** and cleared by the thread, under the guard. The guard is held while a wake runs, and no other
** within it; so nobody leaves a section whose wake runs.
**
** The thread enters its section, then looks whether it has been asked; who asks enters his request,
** then looks for a section: one of them sees the other. Both are sequentially consistent.
*/
#include "src/thread/section_list.h"

#include <string.h>

#include "src/thread/observer.h"

/* Under the guard. */
static void set_innermost(lt_Thread *thread, lt_Section *section) {
  atomic_store(&thread->sections.innermost, section);
  atomic_store(&thread->sections.have_wake,
               section != NULL && section->wake != NULL && !section->woken);
}

void lt_section_enter(lt_Section *section) {
  lt_Sections *sections = &section->thread->sections;
  plat_mutex_lock(&sections->guard);
  section->outer = atomic_load(&sections->innermost);
  set_innermost(section->thread, section);
  plat_mutex_unlock(&sections->guard);
}

/* Under the guard: it and those within it are over. Returns the slice of the outermost of them. */
static uint64_t end_up_to(lt_Thread *thread, const lt_Section *last) {
  lt_Section *section = atomic_load(&thread->sections.innermost);
  bool found = false;
  uint64_t slice = 0;
  while (section != NULL && !found) {
    lt_Section *outer = section->outer;
    found = section == last;
    set_innermost(thread, outer);
    section->thread = NULL;
    if (section->slice != 0)
      slice = section->slice;
    section = outer;
  }
  return slice;
}

static void tell_end(lt_Thread *thread, uint64_t slice) {
  if (slice != 0)
    lt_observer->section_ends(thread, slice);
}

bool lt_section_leave(lt_Section *section) {
  lt_Thread *thread = section->thread;
  if (thread == NULL)
    return true;
  plat_mutex_lock(&thread->sections.guard);
  uint64_t slice = end_up_to(thread, section);
  plat_mutex_unlock(&thread->sections.guard);
  tell_end(thread, slice);
  return false;
}

void lt_sections_end_all(lt_Thread *thread) {
  plat_mutex_lock(&thread->sections.guard);
  uint64_t slice = end_up_to(thread, NULL);
  atomic_store(&thread->sections.confirmed, false);
  plat_mutex_unlock(&thread->sections.guard);
  tell_end(thread, slice);
}

/* Those who have died of an error are within all others: each section looks for them as it begins. */
void lt_sections_settle_now(lt_Thread *thread) {
  plat_mutex_lock(&thread->sections.guard);
  atomic_store(&thread->sections.confirmed, false);
  uint64_t slice = 0;
  const lt_Section *section = atomic_load(&thread->sections.innermost);
  while (section != NULL && lua_status(section->L) != LUA_OK) {
    uint64_t ended = end_up_to(thread, section);
    slice = ended != 0 ? ended : slice;
    section = atomic_load(&thread->sections.innermost);
  }
  plat_mutex_unlock(&thread->sections.guard);
  tell_end(thread, slice);
}

/*
** Waking
*/

/* The hook is set on all coroutines, or will be when whoever sets hooks at the moment has done so. */
PLAT_IN_HANDLER void lt_sections_confirm(lt_Thread *thread) {
  const lt_Section *section = atomic_load(&thread->sections.innermost);
  if (section != NULL && lua_status(section->L) == LUA_OK)
    atomic_store(&thread->sections.confirmed, true);
}

static bool is_to_be_woken(const lt_Thread *thread, const lt_Section *section) {
  if (section == NULL || section->wake == NULL || section->woken || !lt_interrupted(thread))
    return false;
  if (section->needs_confirmation && !atomic_load(&thread->sections.confirmed))
    return false;
  return atomic_load(&thread->must_end) ||
         (atomic_load(&thread->shields) == 0 && !atomic_load(&section->is_deaf));
}

void lt_section_wake(lt_Thread *thread) {
  plat_mutex_lock(&thread->sections.guard);
  lt_Section *section = atomic_load(&thread->sections.innermost);
  if (is_to_be_woken(thread, section)) {
    section->woken = true;
    section->wake(section->context);
    atomic_store(&thread->sections.have_wake, false);
  }
  plat_mutex_unlock(&thread->sections.guard);
}

bool lt_section_show(lt_Thread *thread, char name[LT_SECTION_BYTES], plat_Time *since) {
  plat_mutex_lock(&thread->sections.guard);
  const lt_Section *section = atomic_load(&thread->sections.innermost);
  if (section != NULL) {
    memcpy(name, section->name, LT_SECTION_BYTES);
    *since = section->since;
  }
  plat_mutex_unlock(&thread->sections.guard);
  return section != NULL;
}
