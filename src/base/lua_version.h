/*
** What Lua 5.4 and Lua 5.5 call by different names, under one.
*/
#ifndef lt_lua_version_h
#define lt_lua_version_h

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* Of a stack of Lua's, in values. */
#ifdef LUAI_MAXSTACK
#define LT_STACK_LIMIT LUAI_MAXSTACK
#else
#define LT_STACK_LIMIT 1000000
#endif

static inline lua_State *lt_new_state(lua_Alloc allocate, void *context) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(allocate, context, luaL_makeseed(NULL));
#else
  return lua_newstate(allocate, context);
#endif
}

/* In 5.5 luaL_openlibs is a macro. */
static inline void lt_open_libraries(lua_State *L) {
  luaL_openlibs(L);
}

#endif
