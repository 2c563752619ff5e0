/*
** Loads the modules that are written in Lua.
*/
#include "lib/libs.h"
#include "lib/lua_modules.h"

#include <string.h>

static const lt_LuaModule *find_lua_module(const char *name) {
  const lt_LuaModule *module = lt_lua_modules;
  while (module->name != NULL && strcmp(module->name, name) != 0)
    module++;
  return module->name != NULL ? module : NULL;
}

static const char *read_line(lua_State *L, void *lines, size_t *size) {
  (void)L;
  const char *const **next = lines;
  const char *line = **next;
  if (line == NULL)
    return NULL;
  ++*next;
  *size = strlen(line);
  return line;
}

void lt_load_lua_module(lua_State *L, const char *name) {
  enum { GIVEN = 3 };
  const lt_LuaModule *module = find_lua_module(name);
  if (module == NULL) {
    luaL_error(L, "lthread has no module '%s'", name);
    return;
  }
  const char *const *lines = module->lines;
  if (lua_load(L, read_line, (void *)&lines, module->chunk, "t") != LUA_OK)
    lua_error(L);
  lua_insert(L, -1 - GIVEN);
  lua_call(L, GIVEN, 1);
}
