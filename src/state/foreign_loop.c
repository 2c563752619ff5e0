/*
** luv is found by what it keeps in the registry, and its functions by the table of the module.
** Its callbacks run in the coroutine that required it, in whichever the loop was run.
*/
#include "src/state/foreign_loop.h"

#include <lauxlib.h>

#include "src/base/library_functions.h"
#include "src/base/protected_call.h"

typedef struct Luv {
  lua_CFunction run;   /* these three call back, */
  lua_CFunction walk;  /* these two end by themselves */
  lua_CFunction close; /* of the state */
  lua_CFunction stop;
} Luv;

static lua_CFunction function_named(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  return function;
}

/* Argument: the Luv. */
static int find_luv(lua_State *L) {
  static const char *const names[] = {"luv", "uv"};
  Luv *luv = lua_touserdata(L, 1);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "luv_context") == LUA_TNIL ||
      lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) != LUA_TTABLE)
    return 0;
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && luv->run == NULL; i++) {
    lua_pushstring(L, names[i]);
    if (lua_rawget(L, 3) == LUA_TTABLE) {
      luv->run = function_named(L, "run");
      luv->walk = function_named(L, "walk");
      luv->stop = function_named(L, "stop");
    }
    lua_pop(L, 1);
  }
  if (luaL_getmetatable(L, "uv_loop.meta") == LUA_TTABLE)
    luv->close = function_named(L, "__gc");
  return 0;
}

/* How many calls of a stack are looked at, from the top. */
#define DEEPEST 1000

typedef struct LoopSearch {
  const Luv *luv;
  lua_State *running;
  lt_ForeignLoop found;
} LoopSearch;

static void search_stack(lua_State *L, LoopSearch *where) {
  const Luv *luv = where->luv;
  lua_Debug frame;
  for (int level = 0; level < DEEPEST && lua_getstack(L, level, &frame); level++) {
    lua_CFunction function = lt_function_of_call(L, &frame);
    if (function != NULL &&
        (function == luv->run || function == luv->walk || function == luv->close))
      where->found = (lt_ForeignLoop){function, L};
  }
}

static bool search_waiting(lua_State *L, void *context) {
  LoopSearch *where = context;
  if (L != where->running && lua_status(L) == LUA_OK && lua_checkstack(L, 2))
    search_stack(L, where);
  return where->found.function == NULL;
}

lt_ForeignLoop lt_foreign_loop_stop(lua_State *L, lt_Coroutines *coroutines) {
  Luv luv = {0};
  LoopSearch where = {.luv = &luv, .running = L};
  if (!lua_checkstack(L, 6))
    return where.found;
  if (lt_protected_call(L, find_luv, &luv, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  if (luv.run == NULL)
    return where.found;
  search_stack(L, &where);
  if (where.found.function == NULL)
    lt_coroutines_each(coroutines, search_waiting, &where);
  if (where.found.function == luv.run && luv.stop != NULL &&
      lt_protected_call(L, luv.stop, NULL, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  return where.found;
}
