/*
** A Lua that does one thing otherwise than the one that lthread knows. The linker has all calls of
** the functions below come here (make/programs.mk); what they do otherwise is the argument:
**   bytecode  dumps are of another format
**   handlers  closing a coroutine breaks off its __close handlers
**   steps     the collector takes any step for a whole collection
**   none
** The script is read from the standard input.
*/
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lthread.h"

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker chooses names */

static const char *kind;
static lua_Integer endless_steps;

static bool is_kind(const char *name) {
  return strcmp(kind, name) == 0;
}

/*
** Bytecode
*/

enum { PLACE_OF_FORMAT = 5, FORMAT = 7, LONGEST = 1 << 16 };

typedef struct OtherDump {
  lua_Writer write;
  void *context;
  unsigned char bytes[LONGEST];
  size_t size;
} OtherDump;

static int collect_dump(lua_State *L, const void *bytes, size_t size, void *context) {
  OtherDump *dump = context;
  (void)L;
  if (size > LONGEST - dump->size)
    return 1;
  if (size > 0)
    memcpy(dump->bytes + dump->size, bytes, size);
  dump->size += size;
  return 0;
}

int __real_lua_dump(lua_State *L, lua_Writer write, void *context, int strip);
int __wrap_lua_dump(lua_State *L, lua_Writer write, void *context, int strip);

int __wrap_lua_dump(lua_State *L, lua_Writer write, void *context, int strip) {
  static OtherDump dump;
  if (!is_kind("bytecode"))
    return __real_lua_dump(L, write, context, strip);
  dump.size = 0;
  int status = __real_lua_dump(L, collect_dump, &dump, strip);
  dump.bytes[PLACE_OF_FORMAT] = FORMAT;
  return status != 0 ? status : write(L, dump.bytes, dump.size, context);
}

typedef struct OtherLoad {
  lua_Reader read;
  void *context;
  unsigned char bytes[LONGEST];
} OtherLoad;

/* lthread reads a dump in one piece. */
static const char *read_dump(lua_State *L, void *context, size_t *size) {
  OtherLoad *load = context;
  const char *bytes = load->read(L, load->context, size);
  if (bytes == NULL || *size <= PLACE_OF_FORMAT || *size > LONGEST)
    return bytes;
  memcpy(load->bytes, bytes, *size);
  load->bytes[PLACE_OF_FORMAT] = 0;
  return (const char *)load->bytes;
}

int __real_lua_load(lua_State *L, lua_Reader read, void *context, const char *name,
                    const char *mode);
int __wrap_lua_load(lua_State *L, lua_Reader read, void *context, const char *name,
                    const char *mode);

int __wrap_lua_load(lua_State *L, lua_Reader read, void *context, const char *name,
                    const char *mode) {
  OtherLoad load = {.read = read, .context = context};
  if (!is_kind("bytecode") || mode == NULL || strcmp(mode, "b") != 0)
    return __real_lua_load(L, read, context, name, mode);
  return __real_lua_load(L, read_dump, &load, name, mode);
}

/*
** Coroutines. Lua 5.4 and Lua 5.5 call it by different names.
*/

static int break_off(lua_State *L) {
  lua_settop(L, 0);
  return LUA_OK;
}

#if LUA_VERSION_NUM >= 505

int __real_lua_closethread(lua_State *L, lua_State *from);
int __wrap_lua_closethread(lua_State *L, lua_State *from);

int __wrap_lua_closethread(lua_State *L, lua_State *from) {
  return is_kind("handlers") ? break_off(L) : __real_lua_closethread(L, from);
}

#else

int __real_lua_resetthread(lua_State *L);
int __wrap_lua_resetthread(lua_State *L);

int __wrap_lua_resetthread(lua_State *L) {
  return is_kind("handlers") ? break_off(L) : __real_lua_resetthread(L);
}

#endif

/*
** The collector. Its steps, in Lua 5.4.
*/

#if LUA_VERSION_NUM < 505

int __real_lua_gc(lua_State *L, int what, ...);
int __wrap_lua_gc(lua_State *L, int what, ...);

int __wrap_lua_gc(lua_State *L, int what, ...) {
  int numbers[3] = {0};
  va_list others;
  va_start(others, what);
  if (what >= LUA_GCSTEP && what != LUA_GCISRUNNING)
    numbers[0] = va_arg(others, int);
  if (what == LUA_GCGEN || what == LUA_GCINC)
    numbers[1] = va_arg(others, int);
  if (what == LUA_GCINC)
    numbers[2] = va_arg(others, int);
  va_end(others);
  if (what == LUA_GCSTEP && numbers[0] < 0) {
    endless_steps++;
    if (is_kind("steps"))
      return __real_lua_gc(L, LUA_GCCOLLECT);
  }
  return __real_lua_gc(L, what, numbers[0], numbers[1], numbers[2]);
}

#endif

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/*
** Running
*/

/* So many steps have been put off since the last call. */
static int take_endless_steps(lua_State *L) {
  lua_pushinteger(L, endless_steps);
  endless_steps = 0;
  return 1;
}

static int run(lua_State *L) {
  luaL_openlibs(L);
  lua_pushcfunction(L, take_endless_steps);
  lua_setglobal(L, "take_endless_steps");
  luaL_requiref(L, "lthread", luaopen_lthread, 0);
  if (luaL_loadfile(L, NULL) != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

int main(int argc, char **argv) {
  lua_State *L = luaL_newstate();
  if (argc < 2 || L == NULL)
    return EXIT_FAILURE;
  kind = argv[1];
  lua_pushcfunction(L, run);
  int status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK)
    printf("%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
