/*
** DEFINE_OPENLIBS(open): luaL_openlibs of the host's own, in the place of Lua's, calls open(L). In
** Lua 5.5 it is a macro for a function with another name.
*/
#ifndef own_openlibs_h
#define own_openlibs_h

#include <lualib.h>

#if LUA_VERSION_NUM >= 505
#define DEFINE_OPENLIBS(open)                                                                      \
  void luaL_openselectedlibs(lua_State *L, int load, int preload) {                                \
    (void)load;                                                                                    \
    (void)preload;                                                                                 \
    open(L);                                                                                       \
  }
#else
#define DEFINE_OPENLIBS(open)                                                                      \
  void luaL_openlibs(lua_State *L) {                                                               \
    open(L);                                                                                       \
  }
#endif

#endif
