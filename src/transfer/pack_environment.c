/*
** Environments. A function finds its globals in an upvalue, _ENV, or in another that has _G. If that
** is the sender's _G, or falls back on it, the receiver's _G takes its place, and the globals that
** the function names are set there. Any other environment is copied: a sandbox stays one.
*/
#include "src/transfer/packer.h"

#include "src/object/exception.h"

/* Lua itself follows no more (MAXTAGLOOP). */
enum { LONGEST_CHAIN = 2000 };

/* Puts the __index of the table on the top in its place; false if there is none. */
static bool take_index(lua_State *L) {
  bool found = luaL_getmetafield(L, -1, "__index") != LUA_TNIL;
  if (found)
    lua_remove(L, -2);
  return found;
}

/* What is at the end of the chain of tables that begins with the one on the top, which it pops. */
static int end_of_chain(lua_State *L, bool *has_globals) {
  lua_pushglobaltable(L);
  lua_insert(L, -2);
  *has_globals = lua_rawequal(L, -1, -2);
  for (int i = 0; i < LONGEST_CHAIN && lua_istable(L, -1) && take_index(L); i++)
    *has_globals = *has_globals || lua_rawequal(L, -1, -2);
  int type = lua_type(L, -1);
  lua_pop(L, 2);
  return type;
}

bool lt_pack_environment_runs_code(lua_State *L) {
  bool has_globals;
  lua_pushvalue(L, -1);
  return end_of_chain(L, &has_globals) != LUA_TTABLE;
}

static int get_globals(lua_State *L) {
  lua_getfield(L, 1, LUA_GNAME);
  return 1;
}

/* Whether the environment on the top, whose __index is a function, has the state's _G as its _G. */
static bool has_globals_as_field(lua_State *L) {
  lua_pushcfunction(L, get_globals);
  lua_pushvalue(L, -2);
  bool answered = lua_pcall(L, 1, 1, 0) == LUA_OK;
  if (!answered && lt_ends_thread(L, -1))
    lt_throw(L);
  lua_pushglobaltable(L);
  bool has_globals = answered && lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return has_globals;
}

/* The same, asked once for all functions that have it in a row. */
static bool has_globals_as_field_cached(lua_State *L, lt_Packer *packer) {
  const void *address = lua_topointer(L, -1);
  if (packer->asked != address) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, packer->anchors, 0);
    packer->asked = address;
    packer->answer = has_globals_as_field(L);
  }
  return packer->answer;
}

/* Whether the environment on the top is the state's _G, or falls back on it. */
static bool stands_for_globals(lua_State *L, lt_Packer *packer) {
  bool has_globals;
  lua_pushvalue(L, -1);
  if (end_of_chain(L, &has_globals) != LUA_TFUNCTION || has_globals)
    return has_globals;
  if (packer->anchors != 0)
    return has_globals_as_field_cached(L, packer);
  lt_packer_demand_anchors(packer);
  return false;
}

static bool is_globals(lua_State *L) {
  lua_pushglobaltable(L);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

int lt_pack_environment_find(lua_State *L, lt_Packer *packer, int function,
                             lt_UpvalueSet *globals) {
  const char *name;
  int count = 0;
  memset(globals, 0, sizeof(*globals));
  while (!packer->starts_over && (name = lua_getupvalue(L, function, count + 1)) != NULL) {
    count++;
    if (lua_istable(L, -1) &&
        (is_globals(L) || (strcmp(name, "_ENV") == 0 && stands_for_globals(L, packer))))
      lt_upvalue_set_add(globals, count);
    lua_pop(L, 1);
  }
  return count;
}
