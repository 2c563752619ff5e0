/*
** A host that gives its runtime options. usage: options scene
*/
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

static atomic_int began, ended;
static _Thread_local int inside; /* Lua threads that this OS thread runs now */

static void thread_begins(void *context) {
  inside++;
  atomic_fetch_add((atomic_int *)context, 1);
}

static void thread_ends(void *context) {
  (void)context;
  inside--;
  atomic_fetch_add(&ended, 1);
}

static int push_inside(lua_State *L) {
  lua_pushinteger(L, inside);
  return 1;
}

static lua_State *new_host(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    abort();
  luaL_openlibs(L);
  lua_register(L, "inside", push_inside);
  return L;
}

static void run_code(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) != LUA_OK)
    printf("%s\n", luaL_tolstring(L, -1, NULL));
}

/* Prints what comes of opening with these options. */
static void try_to_open(lua_State *L, const lthread_Options *options) {
  int top = lua_gettop(L);
  int status = lthread_try_open(L, options);
  if (status == LTHREAD_OK && lua_istable(L, -1))
    printf("open: %s\n", lthread_is_open(L) ? "yes" : "no");
  else
    printf("%d: %s\n", status, luaL_tolstring(L, -1, NULL));
  lua_settop(L, top);
}

/*
** Scenes
*/

static void show_version(lua_State *L) {
  lthread_checkversion(L);
  int number = 0, part[3] = {0};
  if (sscanf(LTHREAD_VERSION, "%d.%d.%d", &part[0], &part[1], &part[2]) == 3) /* NOLINT */
    number = part[0] * 10000 + part[1] * 100 + part[2];
  printf("agree: %s %s\n", strcmp(lthread_version(), LTHREAD_VERSION) == 0 ? "yes" : "no",
         number == LTHREAD_VERSION_NUMBER ? "yes" : "no");
}

static int check_later_version(lua_State *L) {
  lthread_checkversion_(L, LTHREAD_VERSION_NUMBER + 100, sizeof(lthread_Options));
  return 0;
}

static void refuse_version(lua_State *L) {
  lua_pushcfunction(L, check_later_version);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    printf("%s\n", lua_tostring(L, -1));
}

static void open_twice(lua_State *L) {
  lthread_Options options = {.size = sizeof(options)};
  options.grace_period = 1;
  printf("before: %d\n", lthread_is_open(L));
  try_to_open(L, &options);
  try_to_open(L, &options);
  try_to_open(L, NULL);
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  options.grace_period = 2;
  try_to_open(L, &options);
}

/* What an older header has, and one that has more, which may be set or not. */
static void change_size(lua_State *L) {
  struct {
    lthread_Options known;
    long more;
  } later;
  memset(&later, 0, sizeof(later));
  try_to_open(L, &later.known);
  later.known.size = sizeof(later);
  later.more = 1;
  try_to_open(L, &later.known);
  later.known.size = sizeof(size_t);
  later.known.grace_period = -1; /* beyond the size, so it is not read */
  try_to_open(L, &later.known);
  try_to_open(L, NULL);
  later.known.grace_period = 0;
  later.known.size = sizeof(later);
  later.more = 0;
  try_to_open(L, &later.known);
}

static void watch_threads(lua_State *L) {
  lthread_Options options = {.size = sizeof(options)};
  options.context = &began;
  options.on_thread_start = thread_begins;
  options.on_thread_end = thread_ends;
  try_to_open(L, &options);
  run_code(L, "local start = require 'lthread'.start_joinable_thread "
              "print(inside()) "
              "for _ = 1, 3 do print(start(inside):result()) end "
              "local handles = {} for i = 1, 5 do handles[i] = start(inside) end "
              "for i = 1, 5 do assert(handles[i]:result() == 1) end");
  printf("%d began, %d ended\n", atomic_load(&began), atomic_load(&ended));
}

/* Each thread tells how many KB it had when no more fitted. */
#define FILL                                                                                       \
  "local start = require 'lthread'.start_joinable_thread "                                         \
  "local function fill(wait, hold) local list = {} "                                               \
  "local _, e = pcall(function() for i = 1, 1e7 do list[i] = ('x'):rep(1000) .. i end end) "       \
  "assert(e == 'not enough memory') local kb = collectgarbage 'count' "                            \
  "if wait then wait:release() hold:acquire() end return kb end "

static void limit_each(lua_State *L) {
  lthread_Options options = {.size = sizeof(options)};
  options.memory_limit = (size_t)2 << 20;
  try_to_open(L, &options);
  run_code(L, FILL "local kb = start(fill):result() print(kb > 1500 and kb <= 2048) "
                   "kb = start(fill, {memory = 1 << 20}):result() print(kb > 700 and kb <= 1024) "
                   "print(pcall(start, fill, {memory = 3 << 20})) "
                   "print(#('x'):rep(4 << 20) == 4 << 20)");
}

/* One after the other has all of it; two at a time share it. */
static void limit_all(lua_State *L) {
  lthread_Options options = {.size = sizeof(options)};
  options.total_memory_limit = (size_t)4 << 20;
  try_to_open(L, &options);
  run_code(
      L, FILL
      "for _ = 1, 20 do local kb = start(fill):result() assert(kb > 3500 and kb <= 4096) end "
      "local lock = require 'lthread'.allocate_lock local wait, hold = lock(), lock() "
      "wait:acquire() hold:acquire() local first = start(fill, {args = {wait, hold}}) "
      "wait:acquire() print(pcall(function() return start(fill, {report = false}):result() end)) "
      "hold:release() local kb = first:result() print(kb > 3500 and kb <= 4096) "
      "local half = start(fill, {args = {wait, hold}, memory = 2 << 20}) wait:acquire() "
      "kb = start(fill):result() print(kb > 1500 and kb <= 2200) hold:release() half:join() "
      "local all = {} for i = 1, 40 do all[i] = start(fill, {report = false}) end "
      "for i = 1, 40 do all[i]:join() end "
      "kb = start(fill):result() print(kb > 3500 and kb <= 4096)");
}

/* It does not come back, whatever breaks the waits off. */
static int wait_in_c(lua_State *L) {
  const struct timespec long_time = {5, 0};
  while (lua_gettop(L) >= 0)
    nanosleep(&long_time, NULL);
  return 0;
}

/* The thread stays in C; the process ends without it. */
static void end_with_grace(lua_State *L, double seconds) {
  lthread_Options options = {.size = sizeof(options)};
  options.grace_period = seconds;
  lua_register(L, "wait_in_c", wait_in_c);
  try_to_open(L, &options);
  run_code(L, "local t = require 'lthread' local there = t.allocate_lock() there:acquire() "
              "t.start_new_thread(function() there:release() "
              "wait_in_c() end, {}) there:acquire()");
}

static void end_soon(lua_State *L) {
  end_with_grace(L, 0.1);
}

static void end_at_once(lua_State *L) {
  end_with_grace(L, -1);
}

static void end_by_default(lua_State *L) {
  end_with_grace(L, 0);
}

static const struct {
  const char *name;
  void (*play)(lua_State *L);
} scenes[] = {{"version", show_version}, {"later", refuse_version},   {"twice", open_twice},
              {"size", change_size},     {"threads", watch_threads},  {"short", end_soon},
              {"none", end_at_once},     {"default", end_by_default}, {"each", limit_each},
              {"all", limit_all}};

/* Says whether the threads have had less than the two seconds that they have by default. */
static void close_host(lua_State *L) {
  struct timespec begin, end;
  timespec_get(&begin, TIME_UTC);
  lua_close(L);
  timespec_get(&end, TIME_UTC);
  double seconds = difftime(end.tv_sec, begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  printf("closed %s\n", seconds < 2 ? "soon" : "late");
}

int main(int argc, char **argv) {
  lua_State *L = new_host();
  setvbuf(stdout, NULL, _IONBF, 0);
  for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
    if (argc > 1 && strcmp(scenes[i].name, argv[1]) == 0)
      scenes[i].play(L);
  close_host(L);
  return EXIT_SUCCESS;
}
