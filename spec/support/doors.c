/*
** The module 'support.doors': doors at which C code waits in blocking sections. They are numbered, and
** all threads see the same.
*/
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "lthread.h"

LTHREAD_API int luaopen_support_doors(lua_State *L);

#define DOORS 4096
#define LONG_WAIT 60 /* seconds, after which it fails */

/* Under the mutex, all of it. */
typedef struct Door {
  bool is_open;      /* whoever waits goes on */
  bool holds_wakes;  /* a wake stays until this is over */
  int waiting;       /* who waits here in a section */
  int running_wakes; /* that have begun and not ended */
  int wakes;
  bool gone; /* no wake may come any more */
} Door;

static Door doors[DOORS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;

static Door *check_door(lua_State *L, int arg) {
  lua_Integer number = luaL_checkinteger(L, arg);
  luaL_argcheck(L, number >= 1 && number <= DOORS, arg, "no such door");
  return &doors[number - 1];
}

static void wake_door(void *context) {
  Door *door = (Door *)context;
  pthread_mutex_lock(&mutex);
  door->wakes++;
  door->running_wakes++;
  if (door->gone)
    door->wakes += 1000;
  pthread_cond_broadcast(&change);
  while (door->holds_wakes)
    pthread_cond_wait(&change, &mutex);
  door->running_wakes--;
  pthread_cond_broadcast(&change);
  pthread_mutex_unlock(&mutex);
}

/* Until the door is open or has been woken so often; false: it has taken too long. */
static bool wait_for(Door *door, int wakes, lua_Integer milliseconds) {
  struct timespec limit;
  int error = 0;
  clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_sec += (time_t)(milliseconds / 1000);
  limit.tv_nsec += (long)(milliseconds % 1000) * 1000000;
  if (limit.tv_nsec >= 1000000000) {
    limit.tv_sec++;
    limit.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&mutex);
  door->waiting++;
  pthread_cond_broadcast(&change);
  while (!door->is_open && door->wakes < wakes && error == 0)
    error = pthread_cond_timedwait(&change, &mutex, &limit);
  door->waiting--;
  pthread_mutex_unlock(&mutex);
  return error == 0;
}

static bool wait_for_wakes(Door *door, int wakes) {
  return wait_for(door, wakes, (lua_Integer)LONG_WAIT * 1000);
}

static bool wait_at(Door *door) {
  return wait_for_wakes(door, 1);
}

/* insist(door): waits in a section until the door is open, whatever wakes it. */
static int insist(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  if (!lthread_blocking_begin(L, &section, "insist", wake_door, door))
    wait_for_wakes(door, INT_MAX);
  lthread_blocking_end(L, &section);
  return 0;
}

/* deaf(door): waits in a section, and blocks all signals there. */
static int deaf(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  sigset_t all, before;
  sigfillset(&all);
  if (!lthread_blocking_begin(L, &section, "deaf", wake_door, door)) {
    pthread_sigmask(SIG_BLOCK, &all, &before);
    wait_at(door);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  lthread_blocking_end(L, &section);
  return 0;
}

/* linger(door, milliseconds [, fails]): waits in a section for so long, and then raises an error. */
static int linger(lua_State *L) {
  Door *door = check_door(L, 1);
  lua_Integer milliseconds = luaL_checkinteger(L, 2);
  int fails = lua_toboolean(L, 3);
  lthread_Section section;
  if (!lthread_blocking_begin(L, &section, "linger", wake_door, door))
    wait_for(door, 1, milliseconds);
  if (fails)
    return luaL_error(L, "left");
  lthread_blocking_end(L, &section);
  return 0;
}

/* claim() -> the number of a door that nobody else has, until thousands have been claimed */
static int claim(lua_State *L) {
  static int claimed = DOORS / 2;
  pthread_mutex_lock(&mutex);
  claimed = claimed < DOORS ? claimed + 1 : DOORS / 2 + 1;
  int number = claimed;
  pthread_mutex_unlock(&mutex);
  lua_pushinteger(L, number);
  return 1;
}

/* stay(door): waits until the door is open, in no section. */
static int stay(lua_State *L) {
  wait_for_wakes(check_door(L, 1), INT_MAX);
  return 0;
}

/*
** wait(door [, name]) -> "refused", "interrupted", "open" or "late": waits in a section that a wake
** ends. With a function as third argument that is called in the section before.
*/
static int wait(lua_State *L) {
  Door *door = check_door(L, 1);
  const char *name = luaL_optstring(L, 2, "wait");
  lthread_Section section;
  bool in_time = true;
  lua_settop(L, 3);
  int refused = lthread_blocking_begin(L, &section, name, wake_door, door);
  if (!refused && lua_isfunction(L, 3)) {
    lua_pushvalue(L, 3);
    lua_call(L, 0, 0);
  }
  if (!refused)
    in_time = wait_at(door);
  int interrupted = lthread_blocking_end(L, &section);
  if (lua_gettop(L) != 3)
    return luaL_error(L, "the stack has changed");
  lua_pushstring(L, !in_time ? "late" : refused ? "refused" : interrupted ? "interrupted" : "open");
  return 1;
}

/* fail(door): waits as before, then raises an error in the section, with which the door is gone. */
static int fail(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  if (!lthread_blocking_begin(L, &section, "fail", wake_door, door))
    wait_at(door);
  return luaL_error(L, "left");
}

/* forget(door): waits as before, and does not end the section. */
static int forget(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  if (!lthread_blocking_begin(L, &section, "forget", wake_door, door))
    wait_at(door);
  return 0;
}

/* be_asked(door): waits until the door is open, then begins a section. -> "refused" or "begun" */
static int be_asked(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  wait_at(door);
  int refused = lthread_blocking_begin(L, &section, "be_asked", wake_door, door);
  int interrupted = lthread_blocking_end(L, &section);
  lua_pushstring(L, refused && interrupted ? "refused" : "begun");
  return 1;
}

/* listen(door): waits in a system call that a signal ends. -> "interrupted" or "late" */
static int listen(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  int status = 0;
  int refused = lthread_blocking_begin(L, &section, "listen", NULL, NULL);
  pthread_mutex_lock(&mutex);
  door->waiting++;
  pthread_mutex_unlock(&mutex);
  if (!refused)
    status = poll(NULL, 0, LONG_WAIT * 1000);
  bool is_late = status == 0 || errno != EINTR;
  lua_pushstring(L, lthread_blocking_end(L, &section) && !is_late ? "interrupted" : "late");
  return 1;
}

/* stay_for_wakes(door): waits until the door is woken, in no section of its own. */
static int stay_for_wakes(lua_State *L) {
  wait_at(check_door(L, 1));
  return 0;
}

/* around(door, f) -> an integer: calls f(door) in a section */
static int around(lua_State *L) {
  Door *door = check_door(L, 1);
  lthread_Section section;
  lua_settop(L, 2);
  int refused = lthread_blocking_begin(L, &section, "around", wake_door, door);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  lua_pushinteger(L, refused + 2 * lthread_blocking_end(L, &section));
  return 1;
}

/*
** What others see of a door
*/

static int set_open(lua_State *L) {
  Door *door = check_door(L, 1);
  pthread_mutex_lock(&mutex);
  door->is_open = true;
  pthread_cond_broadcast(&change);
  pthread_mutex_unlock(&mutex);
  return 0;
}

/* hold_wakes(door, boolean) */
static int hold_wakes(lua_State *L) {
  Door *door = check_door(L, 1);
  pthread_mutex_lock(&mutex);
  door->holds_wakes = lua_toboolean(L, 2);
  pthread_cond_broadcast(&change);
  pthread_mutex_unlock(&mutex);
  return 0;
}

/* be_gone(door): from now on a wake counts as a thousand. */
static int be_gone(lua_State *L) {
  Door *door = check_door(L, 1);
  pthread_mutex_lock(&mutex);
  door->gone = true;
  pthread_mutex_unlock(&mutex);
  return 0;
}

/* see(door) -> who waits, wakes that run, wakes in all */
static int see(lua_State *L) {
  const Door *door = check_door(L, 1);
  pthread_mutex_lock(&mutex);
  int waiting = door->waiting, running = door->running_wakes, wakes = door->wakes;
  pthread_mutex_unlock(&mutex);
  lua_pushinteger(L, waiting);
  lua_pushinteger(L, running);
  lua_pushinteger(L, wakes);
  return 3;
}

/* make(door): as new */
static int make(lua_State *L) {
  Door *door = check_door(L, 1);
  pthread_mutex_lock(&mutex);
  memset(door, 0, sizeof(*door));
  pthread_mutex_unlock(&mutex);
  return 0;
}

/* spend(count): begins and ends so many sections */
static int spend(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  lthread_Section section;
  for (lua_Integer i = 0; i < count; i++) {
    lthread_blocking_begin(L, &section, "spend", wake_door, &doors[0]);
    lthread_blocking_end(L, &section);
  }
  return 0;
}

int luaopen_support_doors(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", wait},
                                       {"fail", fail},
                                       {"forget", forget},
                                       {"deaf", deaf},
                                       {"insist", insist},
                                       {"linger", linger},
                                       {"claim", claim},
                                       {"stay", stay},
                                       {"be_asked", be_asked},
                                       {"listen", listen},
                                       {"around", around},
                                       {"stay_for_wakes", stay_for_wakes},
                                       {"open", set_open},
                                       {"hold_wakes", hold_wakes},
                                       {"be_gone", be_gone},
                                       {"see", see},
                                       {"make", make},
                                       {"spend", spend},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
