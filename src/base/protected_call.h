/*
** Protected calls of C functions: for a caller that has something to give back when they raise.
*/
#ifndef lt_protected_call_h
#define lt_protected_call_h

#include <lua.h>

/*
** As lua_pcall without a message handler. The first argument of the function is a pointer; the
** others, so many, are on the top. Needs 2 free slots of the stack.
*/
static inline int lt_protected_call(lua_State *L, lua_CFunction function, void *first, int others,
                                    int result_count) {
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, first);
  if (others > 0)
    lua_rotate(L, -2 - others, 2);
  return lua_pcall(L, 1 + others, result_count, 0);
}

#endif
