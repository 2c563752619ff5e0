/*
** Room on Lua's stack. Where lua_checkstack finds none it does not tell why: the stack may have the
** greatest size that Lua allows, or memory may be short. Here the two are kept apart.
*/
#ifndef lt_stack_room_h
#define lt_stack_room_h

#include <stdbool.h>

#include <lua.h>

/* After lua_checkstack has failed: tries again, and raises if memory is short. */
bool lt_stack_room_retry(lua_State *L, int count);

/* Makes room for so many values more. False: Lua allows no larger stack. Raises without memory. */
static inline bool lt_stack_room(lua_State *L, int count) {
  return lua_checkstack(L, count) || lt_stack_room_retry(L, count);
}

_Noreturn void lt_stack_overflow(lua_State *L);

/* The same for the values of the library itself: raises where there is no room. */
static inline void lt_check_stack(lua_State *L, int count) {
  if (!lt_stack_room(L, count))
    lt_stack_overflow(L);
}

#endif
