#include "src/state/files.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/state/context.h"
#include "src/state/replacement.h"

bool lt_files_tells_of_signal(lua_State *L, int index) {
  char text[128];
  if (lua_type(L, index) != LUA_TSTRING)
    return false;
  plat_describe_error(PLAT_BROKEN_OFF, text, sizeof(text));
  return strstr(lua_tostring(L, index), text) != NULL;
}

/*
** Opening
*/

/* Calls Lua's own with all arguments, of which the first is a file's name. */
static int open_named(lua_State *L, lua_CFunction library_function) {
  lua_pushcfunction(L, library_function);
  lua_insert(L, 1);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (status == LUA_OK)
    return lua_gettop(L);
  if (lt_files_tells_of_signal(L, -1))
    lt_state_user->heed_interrupt(L);
  if (status == LUA_ERRRUN && lua_type(L, -1) == LUA_TSTRING) { /* it lacks where it was called */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  lt_throw(L);
}

static int call_library_function(lua_State *L, lt_LibraryFunction which) {
  lua_CFunction library_function = lt_library_function(which);
  return lua_isstring(L, 1) ? open_named(L, library_function) : library_function(L);
}

/* io.input([file]), io.output([file]) */
static int input(lua_State *L) {
  return call_library_function(L, LT_LIBRARY_IO_INPUT);
}

static int output(lua_State *L) {
  bool opens = lua_isstring(L, 1);
  int count = call_library_function(L, LT_LIBRARY_IO_OUTPUT);
  if (opens)
    lt_files_enter(L, -1);
  return count;
}

/* io.open(name [, mode]), io.tmpfile(), which return a file or nil and two more */
static int open_file(lua_State *L) {
  const char *mode = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "r";
  bool writes = strpbrk(mode, "wa+") != NULL;
  int count = lt_library_function(LT_LIBRARY_IO_OPEN)(L);
  if (writes && count == 1)
    lt_files_enter(L, -1);
  return count;
}

static int open_temporary(lua_State *L) {
  int count = lt_library_function(LT_LIBRARY_IO_TMPFILE)(L);
  if (count == 1)
    lt_files_enter(L, -1);
  return count;
}

/*
** Flushing
*/

static const char written_key;

void lt_files_enter(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  lt_push_registered(L, &written_key, "k");
  lua_pushvalue(L, index);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void lt_files_flush(lua_State *L) {
  lt_check_stack(L, 4);
  plat_flush(stdout);
  plat_flush(stderr);
  lt_push_registered(L, &written_key, "k");
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const luaL_Stream *stream = lua_touserdata(L, -2);
    if (stream->closef != NULL)
      plat_flush(stream->f);
  }
  lua_pop(L, 1);
}

/*
** Lines. Lua's own iterator has these upvalues, and so has ours: the file, the number of formats,
** whether it closes the file at its end, the formats.
*/
enum { FILE_OF = 1, COUNT_OF, CLOSES, FORMATS };

static int end_of_file(lua_State *L, luaL_Stream *stream) {
  if (lua_toboolean(L, lua_upvalueindex(CLOSES))) {
    lua_CFunction close = stream->closef;
    stream->closef = NULL;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(FILE_OF));
    close(L);
  }
  return 0;
}

int lt_files_iterator(lua_State *L) {
  luaL_Stream *stream = lua_touserdata(L, lua_upvalueindex(FILE_OF));
  int formats = (int)lua_tointeger(L, lua_upvalueindex(COUNT_OF));
  if (stream->closef == NULL)
    return luaL_error(L, "file is already closed");
  lua_settop(L, 0);
  lt_check_stack(L, formats + 1);
  lua_pushvalue(L, lua_upvalueindex(FILE_OF));
  for (int i = 0; i < formats; i++)
    lua_pushvalue(L, lua_upvalueindex(FORMATS + i));
  int count = lt_library_function(LT_LIBRARY_FILE_READ)(L);
  if (lua_toboolean(L, -count))
    return count;
  if (count < 2)
    return end_of_file(L, stream);
  /* Whatever the error: with musl, a number that could not be read hides that a signal came. */
  lt_state_user->heed_interrupt(L);
  return luaL_error(L, "%s", lua_tostring(L, -count + 1));
}

/* In the place of Lua's own at 'index'. */
static void replace_iterator(lua_State *L, int index) {
  int count = 0;
  lt_check_stack(L, 256);
  while (lua_getupvalue(L, index, count + 1) != NULL)
    count++;
  lua_pushcclosure(L, lt_files_iterator, count);
  lua_replace(L, index);
}

/* io.lines([name, ...]), file:lines(...) */
static int lines(lua_State *L) {
  int count = call_library_function(L, LT_LIBRARY_IO_LINES);
  replace_iterator(L, lua_gettop(L) - count + 1);
  return count;
}

static int file_lines(lua_State *L) {
  int count = lt_library_function(LT_LIBRARY_FILE_LINES)(L);
  replace_iterator(L, lua_gettop(L));
  return count;
}

/*
** Printing
*/

/* The line is put together first: one call of fwrite is one piece to the other threads. */
static int print_line(lua_State *L) {
  int count = lua_gettop(L);
  luaL_Buffer line;
  luaL_buffinit(L, &line);
  for (int i = 1; i <= count; i++) {
    if (i > 1)
      luaL_addchar(&line, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&line);
  }
  luaL_addchar(&line, '\n');
  luaL_pushresult(&line);
  size_t length;
  const char *bytes = lua_tolstring(L, -1, &length);
  fwrite(bytes, 1, length, stdout);
  fflush(stdout);
  return 0;
}

/*
** All of them
*/

static void replace_method(lua_State *L) {
  int top = lua_gettop(L);
  lt_check_stack(L, 4);
  if (lt_library_function(LT_LIBRARY_FILE_LINES) != NULL &&
      luaL_getmetatable(L, LUA_FILEHANDLE) == LUA_TTABLE &&
      lua_getfield(L, -1, "__index") == LUA_TTABLE) {
    lua_getfield(L, -1, "lines");
    if (lua_tocfunction(L, -1) == lt_library_function(LT_LIBRARY_FILE_LINES)) {
      lua_pushcfunction(L, file_lines);
      lua_setfield(L, -3, "lines");
    }
  }
  lua_settop(L, top);
}

void lt_files_replace(lua_State *L) {
  lt_replacement_put(L, LUA_GNAME, "print", LT_LIBRARY_PRINT, print_line);
  lt_replacement_put(L, LUA_IOLIBNAME, "lines", LT_LIBRARY_IO_LINES, lines);
  lt_replacement_put(L, LUA_IOLIBNAME, "input", LT_LIBRARY_IO_INPUT, input);
  lt_replacement_put(L, LUA_IOLIBNAME, "output", LT_LIBRARY_IO_OUTPUT, output);
  lt_replacement_put(L, LUA_IOLIBNAME, "open", LT_LIBRARY_IO_OPEN, open_file);
  lt_replacement_put(L, LUA_IOLIBNAME, "tmpfile", LT_LIBRARY_IO_TMPFILE, open_temporary);
  replace_method(L);
}
