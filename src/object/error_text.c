#include "src/object/error_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>

#include <lauxlib.h>

#include "src/base/line.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

#define MOST_BYTES 100 /* of all fields; a longer one that began before is written to its end */
#define MOST_STRING_BYTES 60 /* of one string */

static void add_escaped(lt_Line *line, unsigned char byte) {
  char code[8];
  if (byte == '\n')
    lt_line_add(line, "\\n", 2);
  else if (byte == '"' || byte == '\\')
    lt_line_add(line, (const char[]){'\\', (char)byte}, 2);
  else if (byte < ' ' || byte == 127)
    lt_line_add(line, code, (size_t)snprintf(code, sizeof(code), "\\%03d", byte));
  else
    lt_line_add(line, (const char *)&byte, 1);
}

/* Cut between characters of UTF-8. */
static void add_string(lua_State *L, lt_Line *line, int index) {
  size_t length;
  const char *string = lua_tolstring(L, index, &length);
  size_t shown = length;
  if (length > MOST_STRING_BYTES)
    for (shown = MOST_STRING_BYTES; shown > MOST_STRING_BYTES - 4; shown--)
      if (((unsigned char)string[shown] & 0xc0) != 0x80)
        break;
  lt_line_add(line, "\"", 1);
  for (size_t i = 0; i < shown; i++)
    add_escaped(line, (unsigned char)string[i]);
  lt_line_add_string(line, shown < length ? "\"..." : "\"");
}

static bool is_empty_table(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_pushnil(L);
  bool empty = !lua_next(L, -2);
  lua_pop(L, empty ? 1 : 3);
  return empty;
}

static void add_value(lua_State *L, lt_Line *line, int index) {
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    add_string(L, line, index);
    break;
  case LUA_TNUMBER:
    lua_pushvalue(L, index); /* as a key of lua_next it must remain a number */
    lt_line_add_string(line, lua_tostring(L, -1));
    lua_pop(L, 1);
    break;
  case LUA_TBOOLEAN:
    lt_line_add_string(line, lua_toboolean(L, index) ? "true" : "false");
    break;
  case LUA_TTABLE:
    lt_line_add_string(line, is_empty_table(L, index) ? "{}" : "{...}");
    break;
  case LUA_TTHREAD:
    lt_line_add_string(line, "coroutine");
    break;
  default:
    lt_line_add_string(line, luaL_typename(L, index));
  }
}

static bool is_name(lua_State *L, int index) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING)
    return false;
  const char *string = lua_tolstring(L, index, &length);
  bool name = length > 0 && length <= MOST_STRING_BYTES && !isdigit((unsigned char)string[0]);
  for (size_t i = 0; i < length && name; i++)
    name = isalnum((unsigned char)string[i]) || string[i] == '_';
  return name;
}

static void add_key(lua_State *L, lt_Line *line, int index) {
  if (is_name(L, index)) {
    lt_line_add_string(line, lua_tostring(L, index));
  } else {
    lt_line_add(line, "[", 1);
    add_value(L, line, index);
    lt_line_add(line, "]", 1);
  }
  lt_line_add(line, " = ", 3);
}

/* Whether there is room for one more. */
static bool begin_field(lt_Line *line, bool *first) {
  lt_line_add(line, ", ", *first ? 0 : 2);
  *first = false;
  if (line->length < MOST_BYTES)
    return true;
  lt_line_add_string(line, "...");
  return false;
}

static bool is_index(lua_State *L, int index, lua_Integer count) {
  return lua_isinteger(L, index) && lua_tointeger(L, index) >= 1 &&
         lua_tointeger(L, index) <= count;
}

static void add_fields(lua_State *L, lt_Line *line, int index) {
  lua_Integer count = 0;
  bool first = true;
  while (lua_rawgeti(L, index, count + 1) != LUA_TNIL) {
    if (!begin_field(line, &first)) {
      lua_pop(L, 1);
      return;
    }
    add_value(L, line, lua_gettop(L));
    lua_pop(L, 1);
    count++;
  }
  while (lua_next(L, index)) {
    if (!is_index(L, -2, count)) {
      if (!begin_field(line, &first)) {
        lua_pop(L, 2);
        return;
      }
      add_key(L, line, lua_gettop(L) - 1);
      add_value(L, line, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
}

static void push_table(lua_State *L, int index) {
  lt_Line line = {.length = 0};
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING && lua_rawlen(L, -1) < MOST_BYTES) {
    lt_line_add_string(&line, lua_tostring(L, -1));
    lt_line_add(&line, " ", 1);
  }
  lt_line_add(&line, "{", 1);
  add_fields(L, &line, index);
  lt_line_add(&line, "}", 1);
  lua_pushlstring(L, line.bytes, line.length);
}

/* Without calling anything of the value's own. */
static void push_plain(lua_State *L, int index) {
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  lt_check_stack(L, 10);
  if (lua_type(L, index) == LUA_TTABLE)
    push_table(L, index);
  else if (lua_type(L, index) == LUA_TSTRING)
    lua_pushvalue(L, index);
  else
    lua_pushfstring(L, "a %s", luaL_typename(L, index));
  lua_insert(L, top + 1);
  lua_settop(L, top + 1);
}

static int call_tostring(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Pushes the string, or returns false and pushes the error. */
static bool try_tostring(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_pushcfunction(L, call_tostring);
  lua_insert(L, -2);
  int status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_ERRMEM || (status != LUA_OK && lt_ends_thread(L, -1)))
    lua_error(L);
  return status == LUA_OK;
}

static bool has_own_text(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE)
    return true;
  if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

void lt_error_text_push(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 10);
  int failure = lua_gettop(L) + 1;
  if (!has_own_text(L, index)) {
    push_plain(L, index);
  } else if (!try_tostring(L, index)) {
    push_plain(L, index);
    lua_pushliteral(L, " (its __tostring fails: ");
    if (lt_class_of(L, failure) == NULL || !try_tostring(L, failure)) {
      lua_settop(L, failure + 2);
      push_plain(L, failure);
    }
    lua_pushliteral(L, ")");
    lua_concat(L, lua_gettop(L) - failure);
    lua_replace(L, failure);
  }
}
