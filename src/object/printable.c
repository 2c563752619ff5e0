#include "src/object/printable.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/string_buffer.h"
#include "src/object/arguments.h"

enum { LONGEST_SHOWN = 60 };

static bool is_keyword(const char *name, size_t length) {
  static const char *const keywords[] = {"and",   "break", "do",       "else",  "elseif", "end",
                                         "false", "for",   "function", "goto",  "if",     "in",
                                         "local", "nil",   "not",      "or",    "repeat", "return",
                                         "then",  "true",  "until",    "while", NULL};
  for (int i = 0; keywords[i] != NULL; i++)
    if (strlen(keywords[i]) == length && memcmp(keywords[i], name, length) == 0)
      return true;
  return false;
}

static bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_identifier(const char *name, size_t length) {
  if (length == 0 || length > LONGEST_SHOWN || is_digit(*name) || is_keyword(name, length))
    return false;
  for (size_t i = 0; i < length; i++)
    if (!is_ascii_letter(name[i]) && !is_digit(name[i]))
      return false;
  return true;
}

/* A byte that is not shown as it is; 'next' is the one behind it. */
static void add_escape(luaL_Buffer *buffer, char byte, char next) {
  char escape[8];
  switch (byte) {
  case '\n':
    luaL_addstring(buffer, "\\n");
    break;
  case '\r':
    luaL_addstring(buffer, "\\r");
    break;
  case '\t':
    luaL_addstring(buffer, "\\t");
    break;
  case '"':
  case '\\':
    luaL_addchar(buffer, '\\');
    luaL_addchar(buffer, byte);
    break;
  default:
    snprintf(escape, sizeof(escape), is_digit(next) ? "\\%03d" : "\\%d", (unsigned char)byte);
    luaL_addstring(buffer, escape);
  }
}

/* How many bytes the character has that can be shown as it is, or 0. */
static size_t shown_length(const char *text, size_t left) {
  unsigned char first = (unsigned char)*text;
  if (first < 0x80)
    return first >= ' ' && first != 0x7f && first != '"' && first != '\\';
  return lt_utf8_length(text, left);
}

static void add_shown(luaL_Buffer *buffer, const char *text, size_t length) {
  size_t room = lt_string_buffer_fit(text, length, LONGEST_SHOWN);
  for (size_t i = 0; i < room;) {
    size_t shown = shown_length(text + i, room - i);
    if (shown > 0)
      luaL_addlstring(buffer, text + i, shown);
    else
      add_escape(buffer, text[i], i + 1 < length ? text[i + 1] : '\0');
    i += shown > 0 ? shown : 1;
  }
  if (room < length)
    luaL_addstring(buffer, "...");
}

void lt_printable_push(lua_State *L, const char *text, size_t length) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  add_shown(&buffer, text, length);
  luaL_pushresult(&buffer);
}

void lt_printable_push_name(lua_State *L, const char *name, size_t length) {
  luaL_Buffer buffer;
  bool plain = is_identifier(name, length);
  luaL_buffinit(L, &buffer);
  luaL_addstring(&buffer, plain ? "." : "[\"");
  add_shown(&buffer, name, length);
  if (!plain)
    luaL_addstring(&buffer, "\"]");
  luaL_pushresult(&buffer);
}

static void push_type_step(lua_State *L, int key) {
  int top = lua_gettop(L);
  const char *name = lt_push_type_name(L, key);
  lt_printable_push(L, name, strlen(name));
  lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

void lt_printable_push_key(lua_State *L, int key) {
  size_t length;
  const char *name;
  switch (lua_type(L, key)) {
  case LUA_TSTRING:
    name = lua_tolstring(L, key, &length);
    lt_printable_push_name(L, name, length);
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, key))
      lua_pushfstring(L, "[%I]", lua_tointeger(L, key));
    else
      lua_pushfstring(L, "[%f]", lua_tonumber(L, key));
    break;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, key) ? "[true]" : "[false]");
    break;
  default:
    push_type_step(L, lua_absindex(L, key));
  }
}
