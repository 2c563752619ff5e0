/*
** Two runtimes of one host share its workers. The host can hold up a worker: while it makes itself
** ready for the next thread, which opens libraries, and while it frees what a runtime has left,
** which discards a value of the host's. usage: workers close|start
*/
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"
#include "spec/hosts/own_openlibs.h"

#define PATIENCE 20 /* seconds, for what never takes so long */

/*
** Who comes to a gate that is shut waits until it is opened.
*/
typedef struct Gate {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool shut;
  bool reached; /* somebody waits */
} Gate;

#define GATE                                                                                       \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, false }

static Gate gate = GATE;
static Gate way_out = GATE;

static void pass_gate(Gate *at) {
  pthread_mutex_lock(&at->mutex);
  while (at->shut) {
    at->reached = true;
    pthread_cond_broadcast(&at->changed);
    pthread_cond_wait(&at->changed, &at->mutex);
  }
  pthread_mutex_unlock(&at->mutex);
}

static void open_gate(Gate *at) {
  pthread_mutex_lock(&at->mutex);
  at->shut = false;
  pthread_cond_broadcast(&at->changed);
  pthread_mutex_unlock(&at->mutex);
}

static void await_at_gate(Gate *at) {
  pthread_mutex_lock(&at->mutex);
  while (!at->reached)
    pthread_cond_wait(&at->changed, &at->mutex);
  pthread_mutex_unlock(&at->mutex);
}

/*
** States
*/

static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
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

static atomic_int openings;
static int gated_opening; /* the one that passes the gate, 0: none does */

static void open_standard(lua_State *L) {
  for (const luaL_Reg *library = libraries; library->func != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
}

/* The host's own, in the place of that of Lua: the threads' states are opened with it. */
static void open_at_gate(lua_State *L) {
  open_standard(L);
  if (atomic_fetch_add(&openings, 1) + 1 == gated_opening)
    pass_gate(&gate);
}

DEFINE_OPENLIBS(open_at_gate)

static lua_State *open_runtime(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    abort();
  open_standard(L);
  luaL_requiref(L, "lthread", luaopen_lthread, 1);
  lua_pop(L, 1);
  return L;
}

static void run(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) != LUA_OK) {
    fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
    abort();
  }
}

static atomic_bool closed;

static void *close_runtime(void *L) {
  lua_close(L);
  atomic_store(&closed, true);
  return NULL;
}

static const char *comes_soon(atomic_bool *event) {
  const struct timespec moment = {0, 1000L * 1000};
  time_t limit = time(NULL) + PATIENCE;
  while (!atomic_load(event) && time(NULL) < limit)
    nanosleep(&moment, NULL);
  return atomic_load(event) ? "yes" : "no";
}

/*
** Scenes
*/

/* A runtime closes and waits for a worker; then another runtime opens, which could use that. */
static void close_while_another_opens(void) {
  const struct timespec moment = {0, 50 * 1000L * 1000};
  gated_opening = 3; /* after one that shows what is opened: that of the thread, that in store */
  lua_State *closing = open_runtime();
  run(closing, "require 'lthread'.start_joinable_thread(function() end):join()");
  await_at_gate(&gate);
  pthread_t closer;
  pthread_create(&closer, NULL, close_runtime, closing);
  nanosleep(&moment, NULL); /* if it is too short, the close finds the other runtime open */
  lua_State *other = open_runtime();
  printf("closed while the other runtime lives: %s\n", comes_soon(&closed));
  open_gate(&gate);
  pthread_join(closer, NULL);
  run(other, "require 'lthread'.start_joinable_thread(function() end):join()");
  lua_close(other);
}

static void *send_value(lua_State *L, int index) {
  return lua_touserdata(L, index);
}

static void receive_value(lua_State *L, void *token) {
  lua_pushlightuserdata(L, token);
}

static void discard_value(void *token) {
  (void)token;
  pass_gate(&gate);
}

static const lthread_Transfer transfer = {send_value, receive_value, discard_value};

static int push_value(lua_State *L) {
  lua_newuserdatauv(L, 1, 0);
  lua_newtable(L);
  lua_pushlightuserdata(L, (void *)&transfer);
  lua_setfield(L, -2, LTHREAD_TRANSFER);
  lua_setmetatable(L, -2);
  return 1;
}

/* In C, where no interrupt comes. */
static int wait_in_c(lua_State *L) {
  (void)L;
  pass_gate(&way_out);
  return 0;
}

static atomic_bool started;

static void *start_in_other(void *L) {
  run(L, "require 'lthread'.start_joinable_thread(function() end):join()");
  atomic_store(&started, true);
  return NULL;
}

/*
** A daemon outlives its runtime, and is the one that frees what that has left. Meanwhile another
** runtime starts a thread.
*/
static void start_while_another_collects(void) {
  lua_State *ending = open_runtime();
  lua_State *other = open_runtime();
  lua_register(ending, "push_value", push_value);
  lua_register(ending, "wait_in_c", wait_in_c);
  run(ending, "local t = require 'lthread' t.globals.left = push_value() "
              "t.start_joinable_thread(wait_in_c, {daemon = true})");
  await_at_gate(&way_out);
  lua_close(ending);
  open_gate(&way_out);
  await_at_gate(&gate);
  pthread_t starter;
  pthread_create(&starter, NULL, start_in_other, other);
  printf("started while the other runtime's globals are freed: %s\n", comes_soon(&started));
  open_gate(&gate);
  pthread_join(starter, NULL);
  lua_close(other);
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "close") == 0)
    close_while_another_opens();
  else if (argc == 2 && strcmp(argv[1], "start") == 0)
    start_while_another_collects();
  else
    return EXIT_FAILURE;
  return EXIT_SUCCESS;
}
