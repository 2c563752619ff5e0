/*
** The modules of this library that are written in Lua. Their text is in the library, so that also a
** program that only links it has them.
*/
#ifndef lt_lua_modules_h
#define lt_lua_modules_h

#include <lua.h>

typedef struct lt_LuaModule {
  const char *name;
  const char *chunk; /* as tracebacks call it */
  const char *const *lines;
} lt_LuaModule;

extern const lt_LuaModule lt_lua_modules[]; /* the last one has no name */

/*
** Pushes what the module returns that has this name. On the top are the tables of lthread, of
** lthread.queue and of lt_push_core, which it gets and which are popped.
*/
void lt_load_lua_module(lua_State *L, const char *name);

#endif
