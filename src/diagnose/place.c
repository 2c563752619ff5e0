#include "src/diagnose/place.h"

#include <stdio.h>
#include <string.h>

/* By their names those of our own modules in Lua are known. */
static bool is_of_library(const lua_Debug *frame) {
  static const char own[] = "@lthread/";
  return strncmp(frame->source, own, sizeof(own) - 1) == 0;
}

void lt_place_in(lua_State *L, char *place) {
  lua_Debug frame;
  *place = '\0';
  for (int level = 0; lua_getstack(L, level, &frame); level++) {
    if (frame.i_ci == NULL || !lua_getinfo(L, "Sl", &frame) || frame.currentline <= 0)
      continue;
    bool is_own = is_of_library(&frame);
    if (!is_own || *place == '\0')
      snprintf(place, LT_PLACE_BYTES, "%s:%d", frame.short_src, frame.currentline);
    if (!is_own)
      return;
  }
}

typedef struct Candidates {
  const lua_State *main;
  lua_State *last; /* or the main one */
  unsigned count;
} Candidates;

/* Of the coroutines but the main one, those that run, or have resumed one that does. */
static bool add_candidate(lua_State *L, void *context) {
  Candidates *candidates = context;
  if (L == candidates->main || lua_status(L) != LUA_OK)
    return true;
  candidates->last = L;
  return ++candidates->count < 2;
}

/* NULL: it is not known. */
static lua_State *running_coroutine(const lt_Thread *thread) {
  if (thread->coroutines == NULL)
    return NULL;
  lua_State *main = lt_coroutines_main(thread->coroutines);
  Candidates candidates = {main, main, 0};
  lt_coroutines_each(thread->coroutines, add_candidate, &candidates);
  return candidates.count < 2 ? candidates.last : NULL;
}

void lt_place_of_wait(lt_Thread *thread, const lt_Wait *wait, char *place) {
  lua_State *L = wait->deaf == LT_BRIEF ? running_coroutine(thread) : thread->waiting;
  *place = '\0';
  if (L != NULL)
    lt_place_in(L, place);
}
