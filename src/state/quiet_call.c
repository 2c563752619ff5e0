/*
** Lua's collector takes its next step when so many more bytes have been allocated. For the time of
** the call it is told that a great many are left. At the end that is taken back, so what has been
** allocated meanwhile counts, and the steps that have become due are done. To stop the collector
** would not do: when it is started again it has forgotten its count and begins at once, so a state
** that sends on and on would collect with every message.
**
** A collection for want of memory makes it forget the count, too. Then it is started as if it had
** been stopped: what it would do at once, with many finalizers, might fail for want of memory.
*/
#include "src/state/quiet_call.h"

#include <stddef.h>

#include "src/base/protected_call.h"

/* More than memory holds, in kilobytes: even if several calls within each other add theirs. */
#define KILOBYTES (sizeof(ptrdiff_t) > 4 ? 1 << 30 : 1 << 19)

/* One that was stopped, or that waits for a finalizer that calls this, does nothing anyway. */
static bool is_running(lua_State *L) {
  return lua_gc(L, LUA_GCISRUNNING) == 1;
}

static void *allocate_and_note(void *context, void *block, size_t old_size, size_t new_size) {
  lt_QuietCall *quiet = context;
  void *result = quiet->allocate(quiet->allocator, block, old_size, new_size);
  if (result == NULL && new_size > 0)
    quiet->memory_was_short = true;
  return result;
}

void lt_quiet_call_again(lua_State *L) {
  if (is_running(L))
    lua_gc(L, LUA_GCSTEP, -KILOBYTES);
}

static void release(lua_State *L, const lt_QuietCall *quiet) {
  if (!quiet->memory_was_short) {
    lua_gc(L, LUA_GCSTEP, KILOBYTES);
  } else if (is_running(L)) {
    lua_gc(L, LUA_GCRESTART);
    if (quiet->allocate == allocate_and_note) /* this call was made within another */
      lt_quiet_call_again(L);
  }
}

int lt_quiet_call(lua_State *L, lt_QuietCall *quiet, lua_CFunction function, void *first,
                  int others, int result_count) {
  quiet->memory_was_short = false;
  quiet->allocate = lua_getallocf(L, &quiet->allocator);
  bool held = is_running(L);
  if (held)
    lua_gc(L, LUA_GCSTEP, -KILOBYTES);
  lua_setallocf(L, allocate_and_note, quiet);
  int status = lt_protected_call(L, function, first, others, result_count);
  lua_setallocf(L, quiet->allocate, quiet->allocator);
  if (held)
    release(L, quiet);
  return status;
}
