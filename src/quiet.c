/*
** The collector begins its next step when Lua has allocated so many bytes more. It is told that it
** has a great many left, and takes back what it was told at the end: that counts what has been
** allocated meanwhile, and does the steps that have become due. Stopping it would not do: when it
*is
** started again it has forgotten how much has been allocated and begins at once. In a state that
** sends on and on it would collect with every message.
**
** After a collection for want of memory the collector has forgotten what it was told. What is taken
** back then makes it finish one cycle, no more.
*/
#include "src/quiet.h"

#include <stddef.h>

/* More than memory holds, in kilobytes: even if several calls within each other add theirs. */
#define KILOBYTES (sizeof(ptrdiff_t) > 4 ? 1 << 30 : 1 << 19)

/* A collector that was stopped, or waits for a finalizer that calls this, does nothing anyway. */
static void hold(lua_State *L, lt_Quiet *quiet) {
  if (lua_gc(L, LUA_GCISRUNNING) == 1) {
    lua_gc(L, LUA_GCSTEP, -KILOBYTES);
    quiet->holds++;
  }
}

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  lt_Quiet *quiet = context;
  void *result = quiet->allocate(quiet->allocator, block, old_size, new_size);
  if (result == NULL && new_size > 0)
    quiet->memory_was_short = true;
  return result;
}

int lt_quiet_call(lua_State *L, lt_Quiet *quiet, int argument_count, int result_count) {
  quiet->holds = 0;
  quiet->memory_was_short = false;
  quiet->allocate = lua_getallocf(L, &quiet->allocator);
  hold(L, quiet);
  lua_setallocf(L, allocate, quiet);
  int status = lua_pcall(L, argument_count, result_count, 0);
  lua_setallocf(L, quiet->allocate, quiet->allocator);
  for (; quiet->holds > 0; quiet->holds--)
    lua_gc(L, LUA_GCSTEP, KILOBYTES);
  return status;
}

void lt_quiet_again(lua_State *L, lt_Quiet *quiet) {
  quiet->memory_was_short = false;
  hold(L, quiet);
}
