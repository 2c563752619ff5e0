#include "src/thread/wait.h"

#include <lauxlib.h>

#include "src/base/library_functions.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/thread/interrupt.h"
#include "src/thread/observer.h"

static const char heed_key;

/*
** Hooks of the host
*/

/* Those of scripts, which want to know of their lines and calls only, are left alone. */
static bool has_hook(const lt_Thread *thread, lua_State *L) {
  lua_Hook set = lua_gethook(L);
  return set != NULL && lua_gethookmask(L) != 0 && !lt_interrupt_armed(L) &&
         set != thread->heeded && set != lt_library_hook();
}

/* A function that does nothing, but in Lua, so that every kind of hook is called. */
static void call_hooks(lua_State *L) {
  lt_check_stack(L, 2);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &heed_key) != LUA_TFUNCTION) {
    lua_pop(L, 1);
    if (luaL_loadbuffer(L, "return", 6, "=(signal)") != LUA_OK)
      lt_throw(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &heed_key);
  }
  lua_call(L, 0, 0);
}

typedef struct Hook {
  lua_Hook function;
  int mask;
  int count;
} Hook;

static Hook get_hook(lua_State *L) {
  return (Hook){lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L)};
}

static void set_hook(lua_State *L, const Hook *set) {
  lua_sethook(L, set->function, set->mask, set->count);
}

/*
** A signal handler of the host sets its hook on the coroutine that it knows, the main one. It is
** moved from there to L, where the hook, if it raises, removes it.
*/
static void heed_hook_of_main(lua_State *L, lua_State *main) {
  const Hook before = get_hook(L);
  const Hook host = get_hook(main);
  lua_sethook(main, NULL, 0, 0);
  set_hook(L, &host);
  call_hooks(L);
  if (lua_gethook(L) == host.function && lua_gethook(main) == NULL)
    set_hook(main, &host);
  set_hook(L, &before);
}

/* In a shield, one that strikes at the next instruction, as the interpreter's does, is held. */
static bool hold_hook(lt_Thread *thread, lua_State *L) {
  if (atomic_load(&thread->shields) == 0 || !has_hook(thread, L) || lua_gethookcount(L) != 1 ||
      (lua_gethookmask(L) & LUA_MASKCOUNT) == 0)
    return false;
  thread->held = lua_gethook(L);
  thread->held_mask = lua_gethookmask(L);
  lua_sethook(L, NULL, 0, 0);
  return true;
}

/* One that is still there afterwards is there to stay, and ends no other wait. */
static void heed_hooks(lua_State *L, lt_Thread *thread) {
  lua_State *main = lt_coroutines_main(thread->coroutines);
  if (hold_hook(thread, L) || hold_hook(thread, main))
    return;
  if (has_hook(thread, L)) {
    call_hooks(L);
    thread->heeded = lua_gethook(L);
  } else if (has_hook(thread, main)) {
    heed_hook_of_main(L, main);
    thread->heeded = lua_gethook(main);
  }
}

/*
** Attending
*/

/*
** A signal that came just before the wait, or while the thread was answering or reporting, wakes
** nobody, so the thread looks once more a little later; where signals don't wake a thread at all,
** again and again. Where they do, they may do so only in a park that has a deadline.
*/
#define FIRST_LOOK (PLAT_SECOND / 100)
#define LATER_LOOKS (PLAT_SIGNALS_WAKE ? 3600 * PLAT_SECOND : PLAT_SECOND / 20)

static plat_Time attend_signals(const lt_Thread *thread, lt_Occasion occasion, plat_Time since) {
  if (!thread->is_main)
    return PLAT_FOREVER;
  if (occasion == LT_WAIT_BEGINS)
    return since + FIRST_LOOK;
  if (thread->waiting != NULL && (has_hook(thread, thread->waiting) ||
                                  has_hook(thread, lt_coroutines_main(thread->coroutines))))
    return LT_END_WAIT;
  if (occasion == LT_WAIT_DISTURBED)
    return plat_now() + FIRST_LOOK;
  return plat_now() + LATER_LOOKS;
}

static plat_Time attend_waiting_thread(void *attendant, const lt_Wait *wait, plat_Time since,
                                       lt_Occasion occasion) {
  lt_Thread *thread = attendant;
  plat_Time check = PLAT_FOREVER;
  if (thread->waiting != NULL) {
    check = lt_observer->attend(thread->waiting, thread, wait, since);
    if (lt_interrupt_armed(lt_coroutines_main(thread->coroutines)) && !lt_interrupted(thread))
      lt_interrupt_disarm(thread->waiting, thread); /* under it there may be one of the host */
  }
  plat_Time next = attend_signals(thread, occasion, since);
  return next < check ? next : check;
}

/*
** A wait
*/

void lt_wait_setup(lt_Thread *thread) {
  thread->parker->attend = attend_waiting_thread;
  thread->parker->attendant = thread;
}

lt_Thread *lt_wait_thread(const lt_Parker *parker) {
  return parker->attend == attend_waiting_thread ? parker->attendant : NULL;
}

lt_Parked lt_wait_unless_interrupted(lua_State *L, lt_Thread *thread, lt_Wait *wait) {
  thread->waiting = L;
  return lt_await(thread->parker, wait);
}

/*
** A wait is deaf on its own account: one that has ended, in whatever way, leaves nothing behind
** that would keep an interrupt from the next.
*/
static void go_on_deaf(const lt_Thread *thread, lt_Wait *wait) {
  lt_Deafness deaf = atomic_load(&thread->must_end) ? LT_BRIEF : LT_DEAF_TO_INTERRUPTS;
  if (wait->deaf < deaf)
    wait->deaf = deaf;
}

void lt_wait_attend(lua_State *L, lt_Thread *thread, lt_Wait *wait, int level) {
  if (lt_interrupted(thread) && lt_interrupt_deliver(L, thread, level))
    go_on_deaf(thread, wait);
  heed_hooks(L, thread);
}

bool lt_wait(lua_State *L, lt_Thread *thread, lt_Wait *wait) {
  lt_Parked parked = lt_wait_unless_interrupted(L, thread, wait);
  while (parked == LT_INTERRUPTED || parked == LT_SIGNALLED) {
    lt_wait_attend(L, thread, wait, 1);
    parked = lt_wait_unless_interrupted(L, thread, wait);
  }
  return parked == LT_UNPARKED;
}
