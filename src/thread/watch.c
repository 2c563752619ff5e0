/*
** A watch belongs to its thread. Only while that waits in lt_watch_wait are its lookers seen by
** others, and each way out of the wait takes them back, before any code of the script runs.
*/
#include "src/thread/watch.h"

#include <string.h>

#include "src/thread/wait.h"

#define BETWEEN_LOOKS ((plat_Time)200)

lt_Watch *lt_watch_push(lua_State *L, size_t objects, size_t descriptors) {
  size_t lookers = objects * sizeof(lt_Looker);
  size_t places = (objects + descriptors) * sizeof(size_t);
  size_t polled = (descriptors + 1) * sizeof(plat_Polled);
  lt_Watch *watch = lua_newuserdatauv(L, sizeof(lt_Watch) + lookers + places + polled, 0);
  lt_Looker *first = (lt_Looker *)(watch + 1);
  memset(watch, 0, sizeof(*watch));
  lt_looking_init(&watch->looking, first);
  watch->looker_places = (size_t *)(void *)(first + objects);
  watch->polled_places = watch->looker_places + objects;
  watch->polled = (plat_Polled *)(void *)(watch->polled_places + descriptors);
  lt_watch_clear(watch);
  return watch;
}

void lt_watch_clear(lt_Watch *watch) {
  watch->looking.count = 0;
  watch->polled_count = 1;
}

void lt_watch_add(lt_Watch *watch, const lt_Sight *sight, size_t place) {
  size_t number = watch->looking.count++;
  watch->looking.lookers[number].sight = *sight;
  watch->looker_places[number] = place;
}

void lt_watch_add_descriptor(lt_Watch *watch, int descriptor, size_t place) {
  unsigned number = watch->polled_count++;
  watch->polled[number] = (plat_Polled){.fd = descriptor, .events = PLAT_READABLE};
  watch->polled_places[number - 1] = place;
}

/*
** Waiting
*/

static bool find_object(lt_Watch *watch) {
  for (size_t i = 0; i < watch->looking.count; i++) {
    const lt_Sight *sight = &watch->looking.lookers[i].sight;
    if (sight->is_ready(sight)) {
      watch->found = watch->looker_places[i];
      return true;
    }
  }
  return false;
}

static bool find_descriptor(lt_Watch *watch) {
  if (watch->polled_count == 1 || !plat_poll(watch->polled + 1, watch->polled_count - 1))
    return false;
  unsigned number = 1;
  while (watch->polled[number].revents == 0)
    number++;
  watch->found = watch->polled_places[number - 1];
  return true;
}

static bool find_ready(lt_Watch *watch) {
  bool is_object = find_object(watch);
  size_t place = watch->found;
  bool is_descriptor = find_descriptor(watch);
  if (is_object && is_descriptor && place < watch->found)
    watch->found = place;
  return is_object || is_descriptor;
}

/* True: one is ready. False: all are entered, so that its thread is woken. */
static bool find_or_enter(void *context) {
  lt_Watch *watch = context;
  do {
    lt_look_leave(&watch->looking);
    if (find_ready(watch))
      return true;
  } while (watch->waits && !lt_look_enter(&watch->looking));
  return false;
}

static bool is_shown(void *context) {
  const lt_Watch *watch = context;
  /* Relaxed: what it is looks again. */
  return atomic_load_explicit(&watch->looking.seen, memory_order_relaxed);
}

static bool spin_for_sight(lt_Parker *parker, const lt_Wait *wait) {
  return lt_spin(parker, wait->deadline, BETWEEN_LOOKS, is_shown, wait->context);
}

bool lt_watch_wait(lua_State *L, lt_Watch *watch, plat_Time deadline, const char *what) {
  lt_Thread *self = lt_self(L);
  bool polls = watch->polled_count > 1;
  lt_Wait wait = {.address = watch,
                  .context = watch,
                  .take = find_or_enter,
                  .spin = polls ? NULL : spin_for_sight,
                  .deadline = deadline,
                  .polled = polls ? watch->polled : NULL,
                  .polled_count = watch->polled_count,
                  .elsewhere = &watch->looking.seen,
                  .what = what};
  watch->looking.parker = self->parker;
  watch->waits = deadline != PLAT_AT_ONCE;
  lt_Parked parked = lt_wait_unless_interrupted(L, self, &wait);
  while (parked == LT_INTERRUPTED || parked == LT_SIGNALLED) {
    lt_look_leave(&watch->looking);
    lt_wait_attend(L, self, &wait, 1);
    parked = lt_wait_unless_interrupted(L, self, &wait);
  }
  lt_look_leave(&watch->looking);
  return parked == LT_UNPARKED;
}
