/*
** What lthread takes for granted of the Lua it runs in, and no manual says: found out once in a
** process, when lthread is first required, in a state of its own. That takes 60 us. Where Lua does
** otherwise, what is built on it is switched off, or lthread refuses to be loaded.
**
** What else is tried so, where it is used: how tables lie in memory (table_digest.h), coroutines
** (coroutines.c), Lua's own libraries (libraries.h), and bytecode (bytecode_trial.h).
*/
#ifndef lt_lua_traits_h
#define lt_lua_traits_h

#include <stdatomic.h>
#include <stdbool.h>

#include <lua.h>

typedef enum lt_LuaTrait {
  /* A __close handler in coroutine.close goes on after a hook. Not before Lua 5.4.4. */
  LT_LUA_FINISHES_HANDLERS = 1,
  /* Told that a great many bytes are left to its next step, the collector waits. Not in Lua 5.5. */
  LT_LUA_PUTS_STEPS_OFF = 2,
  /* Equal strings of at most LT_LONGEST_SHORT_STRING bytes are one. */
  LT_LUA_SHARES_SHORT_STRINGS = 4
} lt_LuaTrait;

#define LT_LONGEST_SHORT_STRING 40

/* More than memory holds, in kilobytes: even if several calls within each other add theirs. */
#define LT_ENDLESS_STEP (sizeof(void *) > 4 ? 1 << 30 : 1 << 19)

/* Raises without memory, and where lthread can't work. Needs 3 free slots of the stack. */
void lt_lua_traits_learn(lua_State *L);

/* Written by lt_lua_traits_learn. */
extern atomic_uint lt_lua_traits;

/* Relaxed: nothing else is read because of it. */
static inline bool lt_lua_has(lt_LuaTrait trait) {
  return (atomic_load_explicit(&lt_lua_traits, memory_order_relaxed) & (unsigned)trait) != 0;
}

#endif
