/*
** For which Lua this is; and what Lua 5.4 and Lua 5.5 call by different names, under one.
*/
#ifndef lt_lua_version_h
#define lt_lua_version_h

#include <limits.h>
#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* Before 5.4.4 an interrupt would leave open what __close handlers close: see lua_traits.h. */
#if LUA_VERSION_NUM < 504 || LUA_VERSION_RELEASE_NUM < 50404
#error "lthread needs Lua 5.4.4 or later: LUA_INCDIR=directory says where its headers are"
#endif

_Static_assert(sizeof(lua_Integer) >= 8 && sizeof(lua_Number) >= 8,
               "lthread needs integers and floats of 64 bits: neither its clocks nor the idents of "
               "threads fit into those of a Lua with LUA_32BITS");

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

/* A step of the collector, as if so many bytes, at least 1024, had been allocated besides. */
static inline void lt_collector_step(lua_State *L, size_t bytes) {
#if LUA_VERSION_NUM >= 505
  lua_gc(L, LUA_GCSTEP, bytes);
#else
  lua_gc(L, LUA_GCSTEP, bytes / 1024 < INT_MAX ? (int)(bytes / 1024) : INT_MAX);
#endif
}

/* In 5.5 luaL_openlibs is a macro. */
static inline void lt_open_libraries(lua_State *L) {
  luaL_openlibs(L);
}

#endif
