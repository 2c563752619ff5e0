/*
** Lua's collector takes its next step when so many more bytes have been allocated.
**
** Lua 5.4 is told for the time of the call that a great many are left. At the end that is taken
** back, so what has been allocated meanwhile counts, and the steps that have become due are done. To
** stop the collector would not do: when it is started again it has forgotten its count and begins
** at once, so a state that sends on and on would collect with every message.
**
** A collection for want of memory makes it forget the count, too. Then it is started as if it had
** been stopped: what it would do at once, with many finalizers, might fail for want of memory. A Lua
** 5.4 that can't be told so is stopped, too.
**
** Lua 5.5 can't be told so. There the collector is stopped, but only when something comes for which
** Lua allocates; no step is due before. When it is started again it is given a step at once that is
** as large as what has been allocated: so it keeps pace with a state that sends on and on.
*/
#include "src/state/quiet_call.h"

#include <stddef.h>

#include "src/base/protected_call.h"
#include "src/state/lua_traits.h"

/* One that was stopped, or that waits for a finalizer that calls this, does nothing anyway. */
static bool is_running(lua_State *L) {
  return lua_gc(L, LUA_GCISRUNNING) == 1;
}

#if LUA_VERSION_NUM >= 505

static void begin_quiet(lua_State *L, lt_QuietCall *quiet) {
  (void)L;
  quiet->holds = false;
}

void lt_quiet_hold_now(lua_State *L, lt_QuietCall *quiet) {
  quiet->holds = is_running(L);
  if (quiet->holds)
    lua_gc(L, LUA_GCSTOP);
}

/* One that was stopped stays so. */
void lt_quiet_call_again(lua_State *L, const lt_QuietCall *quiet) {
  (void)L;
  (void)quiet;
}

static size_t bytes_in_use(lua_State *L) {
  return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

/* In bytes. Smaller ones of its own Lua does not take back as it has told them. */
enum { LEAST_STEP = 128, MOST_STEP = 1 << 24 };

/*
** The step that is due, for twice what has been allocated since the last one: also where that is
** more than Lua's usual step, which it would do after one large string as after a small one.
*/
static void step(lua_State *L, lt_AllocationNotes *notes) {
  size_t bytes = bytes_in_use(L);
  size_t size = bytes <= notes->bytes_before ? 0 : 2 * (bytes - notes->bytes_before);
  int usual = lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPSIZE, -1);
  if (usual >= LEAST_STEP)
    lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPSIZE,
           size < LEAST_STEP  ? LEAST_STEP
           : size > MOST_STEP ? MOST_STEP
                              : (int)size);
  lua_gc(L, LUA_GCSTEP, (size_t)0);
  if (usual >= LEAST_STEP)
    lua_gc(L, LUA_GCPARAM, LUA_GCPSTEPSIZE, usual);
  notes->bytes_before = bytes_in_use(L);
}

static void end_quiet(lua_State *L, const lt_QuietCall *quiet) {
  if (!quiet->holds)
    return;
  lua_gc(L, LUA_GCRESTART);
  if (quiet->notes != NULL && !lt_quiet_memory_was_short(quiet))
    step(L, quiet->notes);
}

#else

static void hold(lua_State *L) {
  if (lt_lua_has(LT_LUA_PUTS_STEPS_OFF))
    lua_gc(L, LUA_GCSTEP, -LT_ENDLESS_STEP);
  else
    lua_gc(L, LUA_GCSTOP);
}

static void begin_quiet(lua_State *L, lt_QuietCall *quiet) {
  quiet->holds = is_running(L);
  if (quiet->holds)
    hold(L);
}

/* It has waited from the beginning. */
void lt_quiet_hold_now(lua_State *L, lt_QuietCall *quiet) {
  (void)L;
  (void)quiet;
}

void lt_quiet_call_again(lua_State *L, const lt_QuietCall *quiet) {
  if (quiet->notes != NULL && is_running(L))
    hold(L);
}

static void end_quiet(lua_State *L, const lt_QuietCall *quiet) {
  if (!quiet->holds)
    return;
  if (!lt_lua_has(LT_LUA_PUTS_STEPS_OFF)) {
    lua_gc(L, LUA_GCRESTART);
  } else if (quiet->notes == NULL || !lt_quiet_memory_was_short(quiet)) {
    lua_gc(L, LUA_GCSTEP, LT_ENDLESS_STEP);
  } else if (is_running(L)) {
    lua_gc(L, LUA_GCRESTART);
    if (quiet->notes->quiet_calls > 0) /* this call was made within another */
      lt_quiet_call_again(L, quiet);
  }
}

#endif

int lt_quiet_call(lua_State *L, lt_QuietCall *quiet, lua_CFunction function, void *first,
                  int others, int result_count) {
  quiet->notes = lt_coroutines_notes(L);
  if (quiet->notes != NULL) {
    quiet->failures_before = quiet->notes->failures;
    quiet->notes->quiet_calls++;
  }
  begin_quiet(L, quiet);
  int status = lt_protected_call(L, function, first, others, result_count);
  if (quiet->notes != NULL)
    quiet->notes->quiet_calls--;
  end_quiet(L, quiet);
  return status;
}
