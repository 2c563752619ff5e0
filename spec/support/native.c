/*
** The module 'support.native': what the specs want of the system, and Lua does not offer.
*/

#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

#include <lauxlib.h>
#include <lua.h>

int luaopen_support_native(lua_State *L);

/*
** Processes
*/

/* fork() -> the child's id, 0 in the child. What the standard streams hold is written before. */
static int call_fork(lua_State *L) {
  fflush(NULL);
  pid_t child = fork();
  if (child < 0)
    return luaL_error(L, "fork: %s", strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
  lua_pushinteger(L, child);
  return 1;
}

/* wait(child) -> "exit" or "signal", number. Waits until the child has ended. */
static int await_child(lua_State *L) {
  pid_t child = (pid_t)luaL_checkinteger(L, 1);
  pid_t ended;
  int status = 0;
  do
    ended = waitpid(child, &status, 0);
  while (ended < 0 && errno == EINTR);
  if (ended < 0)
    return luaL_error(L, "waitpid: %s", strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
  lua_pushstring(L, WIFEXITED(status) ? "exit" : "signal");
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return 2;
}

/*
** What an OS thread has for itself
*/

/* is_rounding("nearest" or "upward") -> boolean */
static const char *const directions[] = {"nearest", "upward", NULL};
static const int modes[] = {FE_TONEAREST, FE_UPWARD};

static int is_rounding(lua_State *L) {
  lua_pushboolean(L, fegetround() == modes[luaL_checkoption(L, 1, NULL, directions)]);
  return 1;
}

/* set_rounding("nearest" or "upward") */
static int set_rounding(lua_State *L) {
  fesetround(modes[luaL_checkoption(L, 1, NULL, directions)]);
  return 0;
}

/* has_divided_by_zero() -> boolean: whether that exception's flag is raised */
static int has_divided_by_zero(lua_State *L) {
  lua_pushboolean(L, fetestexcept(FE_DIVBYZERO) != 0);
  return 1;
}

/* raise_divided_by_zero() */
static int raise_divided_by_zero(lua_State *L) {
  (void)L;
  feraiseexcept(FE_DIVBYZERO);
  return 0;
}

/* has_own_locale() -> boolean: whether the thread has another locale than the process */
static int has_own_locale(lua_State *L) {
  lua_pushboolean(L, uselocale((locale_t)0) != LC_GLOBAL_LOCALE);
  return 1;
}

/* set_own_locale(): gives the thread one, for as long as the process lives */
static int set_own_locale(lua_State *L) {
  static locale_t own;
  if (own == (locale_t)0)
    own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (own == (locale_t)0)
    return luaL_error(L, "no locale");
  uselocale(own);
  return 0;
}

/* is_blocked(signal) -> boolean: whether the thread blocks it */
static int is_blocked(lua_State *L) {
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  lua_pushboolean(L, sigismember(&blocked, (int)luaL_checkinteger(L, 1)) == 1);
  return 1;
}

/* set_blocked(signal, boolean) */
static int set_blocked(lua_State *L) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, (int)luaL_checkinteger(L, 1));
  pthread_sigmask(lua_toboolean(L, 2) ? SIG_BLOCK : SIG_UNBLOCK, &signals, NULL);
  return 0;
}

static const luaL_Reg functions[] = {{"fork", call_fork},
                                     {"wait", await_child},
                                     {"is_rounding", is_rounding},
                                     {"set_rounding", set_rounding},
                                     {"has_divided_by_zero", has_divided_by_zero},
                                     {"raise_divided_by_zero", raise_divided_by_zero},
                                     {"has_own_locale", has_own_locale},
                                     {"set_own_locale", set_own_locale},
                                     {"is_blocked", is_blocked},
                                     {"set_blocked", set_blocked},
                                     {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_support_native(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushinteger(L, SIGURG);
  lua_setfield(L, -2, "SIGURG");
  lua_pushinteger(L, SIGUSR2);
  lua_setfield(L, -2, "SIGUSR2");
  return 1;
}
