/*
** The floors of the benchmark: what bare C takes for the same work, as the Lua module "floor". It
** runs in the interpreter that the benchmark runs in, so both sides use the same Lua.
**
** Shared state, the same in all states of the process: 'mutex' and 'gate', themselves locks;
** 'arrived' and 'pinned', counters; 'ping' and 'pong', each set by one side of a round trip and
** cleared by the other.
*/
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#endif

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

__attribute__((visibility("default"))) int luaopen_floor(lua_State *L);

/*
** Time and memory
*/

static double seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void wait_seconds(double duration) {
  struct timespec left = {(time_t)duration, (long)((duration - (double)(time_t)duration) * 1e9)};
  while (nanosleep(&left, &left) != 0 && errno == EINTR)
    continue;
}

/* now() -> seconds, of a clock that is the same in all threads and never goes back. */
static int now(lua_State *L) {
  lua_pushnumber(L, seconds());
  return 1;
}

/* sleep(seconds) */
static int sleep_for(lua_State *L) {
  wait_seconds(luaL_checknumber(L, 1));
  return 0;
}

/*
** memory() -> the bytes of the process that are in memory; where unknown, the most there ever
** were.
*/
static int memory(lua_State *L) {
  struct rusage usage;
  long pages;
  FILE *file = fopen("/proc/self/statm", "r");
  bool known = file != NULL && fscanf(file, "%*d %ld", &pages) == 1; /* NOLINT(cert-err34-c) */
  if (file != NULL)
    fclose(file);
  if (known) {
    lua_pushinteger(L, (lua_Integer)pages * sysconf(_SC_PAGESIZE));
    return 1;
  }
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  lua_pushinteger(L, (lua_Integer)usage.ru_maxrss);
#else
  lua_pushinteger(L, (lua_Integer)usage.ru_maxrss * 1024);
#endif
  return 1;
}

/*
** Processors
*/

static atomic_int pinned;

/* Keeps the calling thread on one processor: the first caller on the first, and so on in turns. */
static void pin_to_next(void) {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
    return;
  int count = CPU_COUNT(&allowed);
  int left = atomic_fetch_add(&pinned, 1) % count;
  for (size_t processor = 0; processor < CPU_SETSIZE; processor++) {
    if (!CPU_ISSET(processor, &allowed) || left-- > 0)
      continue;
    CPU_ZERO(&allowed);
    CPU_SET(processor, &allowed);
    sched_setaffinity(0, sizeof(allowed), &allowed);
    return;
  }
#endif
}

/* pin() keeps the calling thread on a processor, another one for each caller; only on Linux. */
static int pin(lua_State *L) {
  (void)L;
  pin_to_next();
  return 0;
}

/*
** Threads that do nothing
*/

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int arrived;

static void *do_nothing(void *unused) {
  return unused;
}

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  if (L == NULL)
    abort();
  luaL_openlibs(L);
  return L;
}

static void *open_and_close(void *unused) {
  lua_close(new_state());
  return unused;
}

static void *stay(void *unused) {
  lua_State *L = new_state();
  atomic_fetch_add(&arrived, 1);
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  lua_close(L);
  return unused;
}

static void start(lua_State *L, pthread_t *thread, void *(*function)(void *), void *argument) {
  int error = pthread_create(thread, NULL, function, argument);
  if (error != 0)
    luaL_error(L, "pthread_create: %s", strerror(error)); /* NOLINT(concurrency-mt-unsafe) */
}

/*
** start_and_join(count, pause, with_state) -> seconds for one pthread_create and pthread_join,
** with luaL_newstate, luaL_openlibs and lua_close in the thread if 'with_state'. Waits 'pause'
** seconds after each.
*/
static int start_and_join(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  double pause = luaL_checknumber(L, 2);
  void *(*function)(void *) = lua_toboolean(L, 3) ? open_and_close : do_nothing;
  double total = 0;
  for (lua_Integer i = 0; i < count; i++) {
    pthread_t thread;
    double begin = seconds();
    start(L, &thread, function, NULL);
    pthread_join(thread, NULL);
    total += seconds() - begin;
    if (pause > 0)
      wait_seconds(pause);
  }
  lua_pushnumber(L, total / (double)count);
  return 1;
}

static void wait_for_arrivals(int count) {
  while (atomic_load(&arrived) < count)
    wait_seconds(0.0002);
  atomic_store(&arrived, 0);
}

/*
** block(count, f) -> seconds
** Starts 'count' threads with a state each. They wait for a mutex; when all have come that far,
** which takes the time that is returned, calls f and lets them end.
*/
static int block(lua_State *L) {
  int count = (int)luaL_checkinteger(L, 1);
  pthread_t *threads = lua_newuserdatauv(L, sizeof(*threads) * (size_t)count, 0);
  pthread_mutex_lock(&gate);
  double begin = seconds();
  for (int i = 0; i < count; i++)
    start(L, &threads[i], stay, NULL);
  wait_for_arrivals(count);
  double taken = seconds() - begin;
  lua_pushvalue(L, 2);
  lua_call(L, 0, 0);
  pthread_mutex_unlock(&gate);
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  lua_pushnumber(L, taken);
  return 1;
}

/*
** Threads that run Lua
*/

typedef struct Runner {
  const char *code;
  size_t length;
  lua_Number argument;
  lua_Number result;
  bool failed;
} Runner;

static void *run_code(void *argument) {
  Runner *runner = argument;
  lua_State *L = new_state();
  luaL_requiref(L, "floor", luaopen_floor, 0);
  lua_settop(L, 0);
  runner->failed = luaL_loadbuffer(L, runner->code, runner->length, "=code") != LUA_OK;
  lua_pushnumber(L, runner->argument);
  runner->failed = runner->failed || lua_pcall(L, 1, 1, 0) != LUA_OK;
  if (runner->failed)
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  else
    runner->result = lua_tonumber(L, -1);
  lua_close(L);
  return NULL;
}

/*
** run(count, code, n) -> numbers
** Runs the chunk 'code' with n, a number, in 'count' threads, each with a state of its own in
** which this module is loaded. Returns the number that each has returned.
*/
static int run(lua_State *L) {
  enum { MOST = 16 };
  pthread_t threads[MOST];
  Runner runners[MOST];
  int count = (int)luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= MOST, 1, "from 1 to 16");
  Runner runner = {.argument = luaL_checknumber(L, 3)};
  runner.code = luaL_checklstring(L, 2, &runner.length);
  for (int i = 0; i < count; i++) {
    runners[i] = runner;
    start(L, &threads[i], run_code, &runners[i]);
  }
  bool failed = false;
  for (int i = 0; i < count; i++) {
    pthread_join(threads[i], NULL);
    failed = failed || runners[i].failed;
    lua_pushnumber(L, runners[i].result);
  }
  return failed ? luaL_error(L, "a thread has failed") : count;
}

/*
** Method calls
*/

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int call_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static int mutex_acquire(lua_State *L) {
  pthread_mutex_lock(*(pthread_mutex_t **)lua_touserdata(L, 1));
  return 0;
}

static int mutex_release(lua_State *L) {
  pthread_mutex_unlock(*(pthread_mutex_t **)lua_touserdata(L, 1));
  return 0;
}

static int push_object(lua_State *L, lua_CFunction acquire, lua_CFunction release) {
  pthread_mutex_t **object = lua_newuserdatauv(L, sizeof(pthread_mutex_t *), 0);
  *object = &mutex;
  lua_createtable(L, 0, 1);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, acquire);
  lua_setfield(L, -2, "acquire");
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "release");
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}

/* nothing() -> userdata whose methods acquire and release do nothing. */
static int nothing(lua_State *L) {
  return push_object(L, call_nothing, call_nothing);
}

/* mutex() -> userdata whose methods lock and unlock a mutex, the same one in all states. */
static int push_mutex(lua_State *L) {
  return push_object(L, mutex_acquire, mutex_release);
}

/* table() -> userdata that can be read and written by any key, and has nothing. */
static int push_table(lua_State *L) {
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, call_nothing);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, call_nothing);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  return 1;
}

/*
** A round trip
*/

#ifdef __linux__

static _Atomic(uint32_t) ping, pong;

static void signal_on(_Atomic(uint32_t) *word) {
  atomic_store(word, 1);
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_on(_Atomic(uint32_t) *word) {
  while (atomic_exchange(word, 0) == 0)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

#else

typedef struct Event {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool set;
} Event;

static Event ping = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
static Event pong = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

static void signal_on(Event *event) {
  pthread_mutex_lock(&event->mutex);
  event->set = true;
  pthread_mutex_unlock(&event->mutex);
  pthread_cond_signal(&event->changed);
}

static void wait_on(Event *event) {
  pthread_mutex_lock(&event->mutex);
  while (!event->set)
    pthread_cond_wait(&event->changed, &event->mutex);
  event->set = false;
  pthread_mutex_unlock(&event->mutex);
}

#endif

typedef struct Rounds {
  lua_Integer count;
  bool apart;
} Rounds;

static void *answer(void *argument) {
  const Rounds *rounds = argument;
  if (rounds->apart)
    pin_to_next();
  for (lua_Integer left = rounds->count; left > 0; left--) {
    wait_on(&ping);
    signal_on(&pong);
  }
  return NULL;
}

/*
** round_trip(count, apart) -> seconds for one round trip between two threads, each of which wakes
** the other by a futex, or where there is none by a condition variable. 'apart' keeps them on two
** processors.
*/
static int round_trip(lua_State *L) {
  Rounds rounds = {luaL_checkinteger(L, 1), lua_toboolean(L, 2)};
  pthread_t thread;
  start(L, &thread, answer, &rounds);
  if (rounds.apart)
    pin_to_next();
  double begin = seconds();
  for (lua_Integer left = rounds.count; left > 0; left--) {
    signal_on(&ping);
    wait_on(&pong);
  }
  lua_pushnumber(L, (seconds() - begin) / (double)rounds.count);
  pthread_join(thread, NULL);
  return 1;
}

/*
** Copies
*/

/* Called through a variable: a copy that nobody reads would be left out. */
static void *(*volatile copy_bytes)(void *, const void *, size_t) = memcpy;

static void *copy_of(lua_State *L, const char *bytes, size_t length) {
  void *copy = malloc(length);
  if (copy == NULL)
    luaL_error(L, "not enough memory");
  copy_bytes(copy, bytes, length);
  return copy;
}

/* copy(string) -> seconds for malloc, memcpy and free. */
static int copy(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  double begin = seconds();
  free(copy_of(L, bytes, length));
  lua_pushnumber(L, seconds() - begin);
  return 1;
}

typedef struct Message {
  void *bytes;
  size_t length;
  double received;
} Message;

static void *receive(void *argument) {
  Message *message = argument;
  lua_State *L = new_state();
  lua_pushlstring(L, message->bytes, message->length);
  message->received = seconds();
  free(message->bytes);
  lua_close(L);
  return NULL;
}

/*
** send(string) -> seconds
** Copies the string with malloc and memcpy and starts a thread with a state that gets the copy by
** lua_pushlstring. The time is up to then.
*/
static int send(lua_State *L) {
  Message message;
  const char *bytes = luaL_checklstring(L, 1, &message.length);
  pthread_t thread;
  double begin = seconds();
  message.bytes = copy_of(L, bytes, message.length);
  start(L, &thread, receive, &message);
  pthread_join(thread, NULL);
  lua_pushnumber(L, message.received - begin);
  return 1;
}

static const luaL_Reg functions[] = {
    {"now", now},
    {"sleep", sleep_for},
    {"memory", memory},
    {"pin", pin},
    {"start_and_join", start_and_join},
    {"block", block},
    {"run", run},
    {"nothing", nothing},
    {"mutex", push_mutex},
    {"table", push_table},
    {"round_trip", round_trip},
    {"copy", copy},
    {"send", send},
    {NULL, NULL},
};

int luaopen_floor(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
