/*
** A host with two runtimes, in one of which a type of its own crosses: a rule that is set for a name
** holds in all threads of one runtime, for as long as that lasts.
*/
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"

#define TYPE "host.ticket"

static int push_ticket(lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  luaL_newmetatable(L, TYPE);
  lua_setmetatable(L, -2);
  return 1;
}

static void *send_ticket(lua_State *L, int index) {
  (void)L;
  (void)index;
  return NULL;
}

static void receive_ticket(lua_State *L, void *token) {
  (void)token;
  push_ticket(L);
}

static void discard_ticket(void *token) {
  (void)token;
}

static const lthread_Transfer2 ticket_rule = {
    sizeof(ticket_rule), TYPE, {send_ticket, receive_ticket, discard_ticket}, NULL};

static int open_tickets(lua_State *L) {
  lua_pushcfunction(L, push_ticket);
  return 1;
}

static lua_State *new_runtime(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    abort();
  luaL_openlibs(L);
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_tickets);
  lua_setfield(L, -2, "ticket");
  lua_settop(L, 0);
  return L;
}

/* Tells whether a ticket comes out of a thread. */
static void try_ticket(lua_State *L, const char *what) {
  bool crosses = luaL_dostring(L, "local start = require 'lthread'.start_joinable_thread "
                                  "return start(function() return (require 'ticket'()) end)"
                                  ":result()") == LUA_OK;
  printf("%s: %s\n", what, crosses ? "crosses" : "is refused");
  lua_settop(L, 0);
}

int main(void) {
  lua_State *first = new_runtime();
  lua_State *second = new_runtime();
  try_ticket(first, "first, without a rule");
  lthread_set_transfer(first, TYPE, &ticket_rule);
  try_ticket(first, "first");
  try_ticket(second, "second");
  lua_close(first);
  first = new_runtime();
  try_ticket(first, "first, opened anew");
  lthread_set_transfer(second, TYPE, &ticket_rule);
  try_ticket(second, "second, with a rule");
  lthread_set_transfer(second, TYPE, NULL);
  try_ticket(second, "second, without it again");
  lua_close(second);
  lua_close(first);
  return EXIT_SUCCESS;
}
