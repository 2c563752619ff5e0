/*
** The module 'support.native': what the specs want of the system, and Lua does not offer.
*/

#define _POSIX_C_SOURCE 200809L
#define _DARWIN_C_SOURCE

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__DragonFly__)
#include <xlocale.h>
#endif

#include <lauxlib.h>
#include <lua.h>

#include "lthread.h"
#include <lualib.h>

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

/*
** Signals
*/

#define MOST_SIGNALS 65

static volatile sig_atomic_t handled[MOST_SIGNALS];
static lua_State *volatile to_be_hooked;

static void count_signal(int number) {
  handled[number]++;
}

/* Another function, for who looks whether the handler has changed. */
static void count_signal_too(int number) {
  handled[number]++;
}

static void raise_in_hook(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "struck!");
}

static void set_hook(int number) {
  (void)number;
  lua_sethook(to_be_hooked, raise_in_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static int check_signal(lua_State *L) {
  lua_Integer number = luaL_checkinteger(L, 1);
  luaL_argcheck(L, number > 0 && number < MOST_SIGNALS, 1, "no signal");
  return (int)number;
}

/*
** handle(signal, how [, restart]): what happens at the signal: "count" or "count too"; "hook", a
** hook that raises "struck!" in the main coroutine; "ignore" or "default". With 'restart' system
** calls go on afterwards.
*/
static int handle_signal(lua_State *L) {
  static const char *const names[] = {"count", "count too", "hook", "ignore", "default", NULL};
  void (*const handlers[])(int) = {count_signal, count_signal_too, set_hook, SIG_IGN, SIG_DFL};
  int number = check_signal(L);
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = handlers[luaL_checkoption(L, 2, NULL, names)];
  action.sa_flags = lua_toboolean(L, 3) ? SA_RESTART : 0;
  sigemptyset(&action.sa_mask);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  to_be_hooked = lua_tothread(L, -1);
  lua_pushboolean(L, sigaction(number, &action, NULL) == 0);
  return 1;
}

/* handled(signal) -> how often it was counted */
static int count_handled(lua_State *L) {
  lua_pushinteger(L, handled[check_signal(L)]);
  return 1;
}

/* send(signal, "thread" or "process"): to the calling thread, or to whichever the system chooses */
static int send_signal(lua_State *L) {
  static const char *const names[] = {"thread", "process", NULL};
  int number = check_signal(L);
  if (luaL_checkoption(L, 2, NULL, names) == 0)
    pthread_kill(pthread_self(), number);
  else
    kill(getpid(), number);
  return 0;
}

/* take_signal(signal): waits for one that the thread blocks, and takes it away */
static int take_signal(lua_State *L) {
  sigset_t signals;
  int taken;
  sigemptyset(&signals);
  sigaddset(&signals, check_signal(L));
  sigwait(&signals, &taken);
  return 0;
}

/*
** Main states besides the one that runs the spec
*/

#define STATE "support.native.state"

typedef struct State {
  lua_State *L; /* NULL: closed */
} State;

typedef struct Job {
  lua_State *L;
  const char *code; /* NULL: the state is closed */
  int status;
} Job;

static void *do_job(void *context) {
  Job *job = context;
  if (job->code != NULL)
    job->status = luaL_dostring(job->L, job->code);
  else
    lua_close(job->L);
  return NULL;
}

/* In an OS thread of its own, which has ended afterwards, or in the calling one. */
static void run_job(lua_State *L, Job *job, int elsewhere) {
  pthread_t thread;
  if (!elsewhere)
    do_job(job);
  else if (pthread_create(&thread, NULL, do_job, job) != 0 || pthread_join(thread, NULL) != 0)
    luaL_error(L, "no thread");
}

/* state() -> state. A new one, with Lua's libraries. */
static int new_state(lua_State *L) {
  State *state = lua_newuserdatauv(L, sizeof(*state), 0);
  state->L = luaL_newstate();
  if (state->L == NULL)
    return luaL_error(L, "no state");
  luaL_openlibs(state->L);
  luaL_setmetatable(L, STATE);
  return 1;
}

static lua_State *check_state(lua_State *L) {
  const State *state = luaL_checkudata(L, 1, STATE);
  luaL_argcheck(L, state->L != NULL, 1, "closed");
  return state->L;
}

/* state:run(code [, elsewhere]) -> true or false, what it returns or the error, as a string */
static int run_code(lua_State *L) {
  Job job = {check_state(L), luaL_checkstring(L, 2), 0};
  lua_settop(job.L, 0);
  run_job(L, &job, lua_toboolean(L, 3));
  lua_settop(job.L, 1);
  lua_pushboolean(L, job.status == LUA_OK);
  lua_pushstring(L, luaL_tolstring(job.L, 1, NULL));
  return 2;
}

/* state:close([elsewhere]) */
static int close_state(lua_State *L) {
  Job job = {check_state(L), NULL, 0};
  run_job(L, &job, lua_toboolean(L, 2));
  ((State *)lua_touserdata(L, 1))->L = NULL;
  return 0;
}

static const luaL_Reg state_methods[] = {{"run", run_code}, {"close", close_state}, {NULL, NULL}};

static void make_state_class(lua_State *L) {
  luaL_newmetatable(L, STATE);
  luaL_newlib(L, state_methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

/*
** A userdata that crosses, as true
*/

static void *send_calling(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  lua_call(L, 0, 0);
  return NULL;
}

static void receive_true(lua_State *L, void *token) {
  (void)token;
  lua_pushboolean(L, 1);
}

static void discard_nothing(void *token) {
  (void)token;
}

/* new_calling(f) -> userdata that calls f when it is sent */
static int new_calling(lua_State *L) {
  static const lthread_Transfer rule = {send_calling, receive_true, discard_nothing};
  lua_settop(L, 1);
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushlightuserdata(L, (void *)&rule);
  lua_setfield(L, -2, LTHREAD_TRANSFER);
  lua_setmetatable(L, -2);
  return 1;
}

/* close(number of a descriptor) */
static int close_descriptor(lua_State *L) {
  lua_pushboolean(L, close((int)luaL_checkinteger(L, 1)) == 0);
  return 1;
}

/* fileno(file) -> the number of its descriptor */
static int file_descriptor(lua_State *L) {
  const luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  lua_pushinteger(L, fileno(stream->f));
  return 1;
}

static const luaL_Reg functions[] = {{"fork", call_fork},
                                     {"fileno", file_descriptor},
                                     {"close", close_descriptor},
                                     {"wait", await_child},
                                     {"is_rounding", is_rounding},
                                     {"set_rounding", set_rounding},
                                     {"has_divided_by_zero", has_divided_by_zero},
                                     {"raise_divided_by_zero", raise_divided_by_zero},
                                     {"has_own_locale", has_own_locale},
                                     {"set_own_locale", set_own_locale},
                                     {"handle", handle_signal},
                                     {"handled", count_handled},
                                     {"send", send_signal},
                                     {"take_signal", take_signal},
                                     {"state", new_state},
                                     {"is_blocked", is_blocked},
                                     {"set_blocked", set_blocked},
                                     {"new_calling", new_calling},
                                     {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_support_native(lua_State *L) {
  make_state_class(L);
  luaL_newlib(L, functions);
  lua_pushinteger(L, SIGURG);
  lua_setfield(L, -2, "SIGURG");
  lua_pushinteger(L, SIGWINCH);
  lua_setfield(L, -2, "SIGWINCH");
  lua_pushinteger(L, SIGUSR1);
  lua_setfield(L, -2, "SIGUSR1");
  lua_pushinteger(L, SIGUSR2);
  lua_setfield(L, -2, "SIGUSR2");
  return 1;
}
