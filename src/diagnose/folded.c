#include "src/diagnose/folded.h"

#include <stdio.h>

/* How much of a deep stack is shown. */
#define OUTERMOST 64
#define INNERMOST 64

static void add_clean(lt_StringBuffer *text, const char *name) {
  char clean[128];
  size_t length = 0;
  for (; name[length] != '\0' && length < sizeof(clean) - 1; length++)
    clean[length] = name[length] == ';'                       ? ':'
                    : name[length] >= 0 && name[length] < ' ' ? ' '
                                                              : name[length];
  clean[lt_string_buffer_fit(name, length, sizeof(clean) - 1)] = '\0';
  lt_string_buffer_add(text, "%s", clean);
}

void lt_folded_add_frame(lt_StringBuffer *text, const char *name) {
  lt_string_buffer_add(text, ";");
  add_clean(text, name);
}

/* Those in C without a name, such as the one that a thread begins with, are left out. */
static void fold_function(lt_StringBuffer *text, lua_State *L, lua_Debug *frame) {
  char place[LUA_IDSIZE + 64];
  lua_getinfo(L, "Snt", frame);
  const char *name = *frame->namewhat == '\0' ? "function" : frame->name;
  if (*frame->what == 'C' && *frame->namewhat == '\0')
    return;
  if (*frame->what == 'm')
    snprintf(place, sizeof(place), "main chunk (%s)", frame->short_src);
  else if (*frame->what == 'C')
    snprintf(place, sizeof(place), "%.60s ([C])", name);
  else
    snprintf(place, sizeof(place), "%.30s (%s:%d)", name, frame->short_src, frame->linedefined);
  lt_folded_add_frame(text, place);
}

/* The number of levels that there are. */
static int folded_depth(lua_State *L) {
  lua_Debug frame;
  int low = 0;
  int high = 1;
  while (lua_getstack(L, high - 1, &frame)) {
    low = high;
    high *= 2;
  }
  while (low + 1 < high) {
    int middle = low + (high - low) / 2;
    if (lua_getstack(L, middle - 1, &frame))
      low = middle;
    else
      high = middle;
  }
  return low;
}

static void fold_stack(lt_StringBuffer *text, lua_State *L) {
  lua_Debug frame;
  int depth = folded_depth(L);
  for (int level = depth - 1; level >= 0; level--) {
    if (level == depth - 1 - OUTERMOST && level >= INNERMOST) {
      lt_string_buffer_add(text, ";...");
      level = INNERMOST - 1;
    }
    if (lua_getstack(L, level, &frame) && frame.i_ci != NULL)
      fold_function(text, L, &frame);
  }
}

void lt_folded_add(lt_StringBuffer *text, lua_State *L, lt_Thread *thread, const lt_Wait *wait) {
  char name[LT_NAME_BYTES];
  lua_State *main = lt_coroutines_main(thread->coroutines);
  lt_thread_name(thread, name);
  add_clean(text, name);
  if (L != main)
    fold_stack(text, main);
  fold_stack(text, L);
  if (wait != NULL) {
    lt_string_buffer_add(text, ";[waits for ");
    add_clean(text, wait->what == NULL ? "?" : wait->what);
    lt_string_buffer_add(text, "]");
  }
}
