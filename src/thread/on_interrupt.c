/*
** The function lies in the registry of its thread's state, and goes with that. Nothing is shared.
*/
#include "src/thread/on_interrupt.h"

#include "src/base/stack_room.h"

static const char function_key;

void lt_on_interrupt_set(lua_State *L, lt_Thread *thread) {
  lt_check_stack(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key);
  lua_insert(L, -2);
  bool is_set = !lua_isnil(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &function_key);
  thread->has_on_interrupt = is_set;
}

bool lt_on_interrupt_call(lua_State *L, const lt_Thread *thread) {
  if (!thread->has_on_interrupt || !lua_checkstack(L, 3))
    return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_replace(L, -2);
    return false;
  }
  lua_pop(L, 1);
  return true;
}
