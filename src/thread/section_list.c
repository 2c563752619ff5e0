/*
** A section ends as its C call does, but for one case: an error of which a coroutine dies closes no
** slots of its stack, and what the wake is called with may be freed then. The thread finds such a
** coroutine dead before it runs any Lua again, once the handler of a poke has set a hook on all
** coroutines; and the handler looks whether it is dead already. So a wake runs after the handler has
** found the thread within the section. Where it is in what the section has called, the interrupt is
** mostly raised there, and the section goes on; that is woken only if the interrupt is not heard for
** a while, for what blocks may be called through Lua, too. In the main coroutine, where no error
** leaves a section open, so is the section of a thread that does not hear the poke at all.
**
** Shared state: 'sections' of a thread. The list, and what a record says, is changed by the thread
** under the guard, but for 'woken', which others change, and 'is_deaf'; it is read by others under
** the guard, and by the thread, also in its handler, without it. 'place' is set by the handler, and
** taken back by the thread, under the guard. The guard is held while a wake runs, and no other
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
  atomic_store(&thread->sections.place, LT_PLACE_UNKNOWN);
  plat_mutex_unlock(&thread->sections.guard);
  tell_end(thread, slice);
}

/* Those who have died of an error are within all others: each section looks for them as it begins. */
void lt_sections_settle_now(lt_Thread *thread) {
  plat_mutex_lock(&thread->sections.guard);
  atomic_store(&thread->sections.place, LT_PLACE_UNKNOWN);
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
PLAT_IN_HANDLER void lt_sections_find_place(lt_Thread *thread) {
  lua_Debug top;
  const lt_Section *section = atomic_load(&thread->sections.innermost);
  if (section == NULL)
    return;
  const void *frame = lua_getstack(section->L, 0, &top) ? top.i_ci : NULL;
  int place = frame == section->frame ? LT_PLACE_WITHIN : LT_PLACE_BEYOND;
  atomic_store(&thread->sections.place, lua_status(section->L) == LUA_OK ? place : LT_PLACE_GONE);
}

static bool may_be_within(const lt_Thread *thread, const lt_Section *section, bool patiently) {
  int place = atomic_load(&thread->sections.place);
  return place == LT_PLACE_WITHIN || (place == LT_PLACE_BEYOND && !patiently) ||
         (place == LT_PLACE_UNKNOWN && section->in_main && !patiently);
}

static bool is_to_be_woken(const lt_Thread *thread, const lt_Section *section, bool patiently) {
  if (section == NULL || section->wake == NULL || section->woken || !lt_interrupted(thread) ||
      !may_be_within(thread, section, patiently))
    return false;
  return atomic_load(&thread->must_end) ||
         (atomic_load(&thread->shields) == 0 && !atomic_load(&section->is_deaf));
}

void lt_section_wake(lt_Thread *thread, bool patiently) {
  plat_mutex_lock(&thread->sections.guard);
  lt_Section *section = atomic_load(&thread->sections.innermost);
  if (is_to_be_woken(thread, section, patiently)) {
    section->woken = true;
    section->wake(section->context);
    atomic_store(&thread->sections.have_wake, false);
  }
  plat_mutex_unlock(&thread->sections.guard);
}

bool lt_section_show(lt_Thread *thread, lt_SectionText *text) {
  plat_mutex_lock(&thread->sections.guard);
  const lt_Section *section = atomic_load(&thread->sections.innermost);
  if (section != NULL)
    *text = section->text;
  plat_mutex_unlock(&thread->sections.guard);
  return section != NULL;
}
