/*
** Hosts whose luaL_openlibs, with which the states of threads are opened, is not that of Lua.
** usage: libraries kind
** Runs threads one after the other, and prints what the library has for each.
*/
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"
#include "spec/hosts/own_openlibs.h"

#define THREADS 8

static const luaL_Reg standard[] = {{LUA_GNAME, luaopen_base},
                                    {LUA_LOADLIBNAME, luaopen_package},
                                    {LUA_COLIBNAME, luaopen_coroutine},
                                    {LUA_TABLIBNAME, luaopen_table},
                                    {LUA_IOLIBNAME, luaopen_io},
                                    {LUA_OSLIBNAME, luaopen_os},
                                    {LUA_STRLIBNAME, luaopen_string},
                                    {LUA_MATHLIBNAME, luaopen_math},
                                    {LUA_UTF8LIBNAME, luaopen_utf8},
                                    {LUA_DBLIBNAME, luaopen_debug},
                                    {NULL, NULL}};

static const luaL_Reg few[] = {{LUA_GNAME, luaopen_base},
                               {LUA_COLIBNAME, luaopen_coroutine},
                               {LUA_STRLIBNAME, luaopen_string},
                               {NULL, NULL}};

static void open_all(lua_State *L, const luaL_Reg *libraries) {
  for (const luaL_Reg *library = libraries; library->func != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
}

/*
** A box has something on the heap, which its finalizer frees.
*/
typedef struct Box {
  char *text;
} Box;

static int free_box(lua_State *L) {
  Box *box = lua_touserdata(L, lua_isuserdata(L, 1) ? 1 : lua_upvalueindex(1));
  free(box->text);
  box->text = NULL;
  return 0;
}

static void set_metatable(lua_State *L, int upvalues) {
  lua_pushcclosure(L, free_box, upvalues);
  lua_newtable(L);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

static Box *push_box(lua_State *L) {
  Box *box = lua_newuserdatauv(L, sizeof(*box), 0);
  box->text = NULL;
  return box;
}

static void fill_box(Box *box, const char *text) {
  box->text = malloc(strlen(text) + 1);
  if (box->text == NULL)
    abort();
  strcpy(box->text, text); /* NOLINT: it fits */
}

static int read_box(lua_State *L) {
  const Box *box = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushstring(L, box->text);
  return 1;
}

static int own_execute(lua_State *L) {
  lua_pushliteral(L, "the host's own");
  return 1;
}

/*
** The kinds
*/

/* Kept by a function. */
static void open_box(lua_State *L) {
  open_all(L, standard);
  Box *box = push_box(L);
  set_metatable(L, 0);
  fill_box(box, "on the heap");
  lua_pushcclosure(L, read_box, 1);
  lua_setglobal(L, "check");
}

/* Nothing leads to it when the libraries are open. */
static void open_garbage(lua_State *L) {
  open_all(L, standard);
  Box *box = push_box(L);
  set_metatable(L, 0);
  fill_box(box, "garbage");
  lua_pop(L, 1);
}

/* The finalizer is that of a table. */
static void open_table(lua_State *L) {
  open_all(L, standard);
  lua_newtable(L);
  fill_box(push_box(L), "of a table");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, read_box, 1);
  lua_setglobal(L, "check");
  set_metatable(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "host's table");
}

/* A stream of its own as the default output. */
static void open_stream(lua_State *L) {
  open_all(L, standard);
  if (luaL_dostring(L, "io.output(io.tmpfile()) "
                       "function check() io.write('x') return io.output():seek() end") != LUA_OK)
    lua_error(L);
}

/* A number that no other state has. */
static void open_number(lua_State *L) {
  static atomic_int states;
  open_all(L, standard);
  lua_pushinteger(L, atomic_fetch_add(&states, 1));
  lua_setglobal(L, "number");
}

static void open_few(lua_State *L) {
  open_all(L, few);
}

static void open_replaced(lua_State *L) {
  open_all(L, standard);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, own_execute);
  lua_setfield(L, -2, "execute");
  lua_pop(L, 1);
}

static atomic_int openings;

/* What Lua's own does. */
static void open_standard(lua_State *L) {
  atomic_fetch_add(&openings, 1);
  open_all(L, standard);
}

typedef struct Kind {
  const char *name;
  void (*open)(lua_State *L);
  const char *check; /* run by each thread */
} Kind;

static const Kind kinds[] = {
    {"box", open_box, "return check()"},
    {"garbage", open_garbage, "return #os.getenv 'PATH' > 0"},
    {"table", open_table, "return check()"},
    {"stream", open_stream, "return check()"},
    {"number", open_number,
     "local t = require 'lthread' "
     "if t.globals[number] then return 'seen before' end t.globals[number] = true return 'new'"},
    {"few", open_few, "return tostring(io) .. tostring(os) .. ('x'):rep(3)"},
    {"replaced", open_replaced, "return os.execute()"},
    {"standard", open_standard, "return os.time() > 0 and math.type(1)"},
    {NULL, NULL, NULL}};

static const Kind *kind;

DEFINE_OPENLIBS(kind->open)

static int run(lua_State *L) {
  lua_pushstring(L, kind->check);
  lua_setglobal(L, "code");
  if (luaL_dostring(L, "local t = require 'lthread' "
                       "local check = load(code) "
                       "return t.start_joinable_thread(check):result()") != LUA_OK)
    return lua_error(L);
  printf("%s\n", luaL_tolstring(L, -1, NULL));
  return 0;
}

int main(int argc, char **argv) {
  for (kind = kinds; kind->name != NULL && (argc < 2 || strcmp(kind->name, argv[1]) != 0); kind++)
    ;
  lua_State *L = luaL_newstate();
  if (kind->name == NULL || L == NULL)
    return EXIT_FAILURE;
  open_all(L, standard);
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  lua_settop(L, 0);
  for (int i = 0; i < THREADS; i++) {
    lua_pushcfunction(L, run);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
      printf("%s\n", luaL_tolstring(L, -1, NULL));
  }
  lua_close(L);
  if (atomic_load(&openings) > 0)
    printf("states that were opened: %s\n", atomic_load(&openings) < THREADS ? "few" : "many");
  return EXIT_SUCCESS;
}
