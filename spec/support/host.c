/*
** A stand-alone Lua with lthread inside, for running the specs under sanitizers.
** usage: lua [-e code]... [script [args]]
*/

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"
#if defined(HAVE_MEMORY)
#include "spec/support/memory.h"
#endif

static lua_State *running;
static const char *program = "lua";

/* Ctrl-C: the handler may only set a hook, and the hook raises the error. */
static void raise_interrupted(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

static void on_interrupt(int sig) {
  signal(sig, SIG_DFL); /* a second one kills */
  lua_sethook(running, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT,
              1);
}

/* A handler that raises nothing. It counts how often it runs, and how often on a wrong thread. */
static pthread_t main_thread;
static atomic_int signal_count;
static atomic_int stray_count;

static void on_counted(int sig) {
  (void)sig;
  if (!pthread_equal(pthread_self(), main_thread)) {
    atomic_fetch_add(&stray_count, 1);
  }
  atomic_fetch_add(&signal_count, 1);
}

static void count_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_counted;
  main_thread = pthread_self();
  sigaction(SIGUSR2, &action, NULL);
}

static int push_signal_counts(lua_State *L) {
  lua_pushinteger(L, atomic_load(&signal_count));
  lua_pushinteger(L, atomic_load(&stray_count));
  return 2;
}

static int add_traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
      return 1;
    }
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, message, 1);
  return 1;
}

static int report(lua_State *L, int status) {
  if (status != LUA_OK) {
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "%s: ", program);
    fprintf(stderr, "%s\n", message != NULL ? message : "(error message not a string)");
    lua_pop(L, 1);
  }
  return status;
}

/* Calls the function below its 'nargs' arguments. */
static int call(lua_State *L, int nargs) {
  int handler = lua_gettop(L) - nargs;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, handler);
  running = L;
  signal(SIGINT, on_interrupt);
  int status = lua_pcall(L, nargs, 0, handler);
  signal(SIGINT, SIG_DFL);
  lua_remove(L, handler);
  return report(L, status);
}

/* The script's name at 0, its arguments after, what stands before it at negative indices. */
static void set_arg(lua_State *L, char **argv, int argc, int script) {
  if (script == argc) {
    script = 0;
  }
  lua_createtable(L, argc - script, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

static int run_script(lua_State *L, char **argv, int argc, int script) {
  int status = luaL_loadfile(L, argv[script]);
  if (status != LUA_OK) {
    return report(L, status);
  }
  int nargs = argc - script - 1;
  luaL_checkstack(L, nargs, "too many arguments");
  for (int i = script + 1; i < argc; i++) {
    lua_pushstring(L, argv[i]);
  }
  return call(L, nargs);
}

/* The index of the script, argc where there is none, 0 for a wrong option. */
static int find_script(char **argv, int argc) {
  int i = 1;
  while (i < argc && argv[i][0] == '-') {
    if (strcmp(argv[i], "-e") != 0 || i + 1 == argc) {
      return 0;
    }
    i += 2;
  }
  return i;
}

static int protected_main(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  int script = find_script(argv, argc);
  if (script == 0) {
    return luaL_error(L, "usage: %s [-e code]... [script [args]]", program);
  }
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_lthread);
  lua_setfield(L, -2, "lthread");
  lua_pushcfunction(L, luaopen_lthread_queue);
  lua_setfield(L, -2, "lthread.queue");
#if defined(HAVE_MEMORY)
  lua_pushcfunction(L, luaopen_memory);
  lua_setfield(L, -2, "memory");
#endif
  lua_pop(L, 1);
  lua_register(L, "host_signals", push_signal_counts);
  set_arg(L, argv, argc, script);
  for (int i = 1; i < script && i + 1 < argc; i += 2) {
    const char *code = argv[i + 1];
    int status = luaL_loadbuffer(L, code, strlen(code), "=(command line)");
    if ((status == LUA_OK ? call(L, 0) : report(L, status)) != LUA_OK) {
      return 0;
    }
  }
  lua_pushboolean(L, script == argc || run_script(L, argv, argc, script) == LUA_OK);
  return 1;
}

int main(int argc, char **argv) {
  count_signals();
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    fprintf(stderr, "%s: not enough memory\n", program);
    return EXIT_FAILURE;
  }
  lua_warning(L, "@off", 0); /* as lua.c does; a new state of Lua 5.5 has them on */
  if (argc > 0) {
    program = argv[0];
  }
  lua_pushcfunction(L, protected_main);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = report(L, lua_pcall(L, 2, 1, 0));
  int ok = status == LUA_OK && lua_toboolean(L, -1);
  lua_close(L);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
