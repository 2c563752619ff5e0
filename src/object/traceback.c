#include "src/object/traceback.h"

#include <limits.h>
#include <string.h>

#include "src/base/library_functions.h"
#include "src/base/line.h"
#include "src/base/stack_room.h"

#define HEADER "stack traceback:"
#define MOST_CALLS 20

static const char more[] = "\n\t...";

/* There is always room for 'more'. */
static bool is_full(const lt_Line *lines) {
  return lines->length > sizeof(lines->bytes) - sizeof(more);
}

static void add_number(lt_Line *lines, int number) {
  char digits[3 * sizeof(number)];
  size_t first = sizeof(digits);
  do
    digits[--first] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  lt_line_add(lines, digits + first, sizeof(digits) - first);
}

/*
** One call
*/

/* How the calls of those that catch errors are told; NULL for others. */
static const char *line_of_protected_call(lua_CFunction function) {
  return function == NULL                                     ? NULL
         : function == lt_library_function(LT_LIBRARY_PCALL)  ? "\n\t[C]: in function 'pcall'"
         : function == lt_library_function(LT_LIBRARY_XPCALL) ? "\n\t[C]: in function 'xpcall'"
         : lt_is_pcall(function)                              ? "\n\t[C]: in function 'try'"
                                                              : NULL;
}

/* Returns the length of the place, 0 if there is no line. */
static size_t add_place(lt_Line *lines, const lua_Debug *call) {
  size_t before = lines->length;
  lt_line_add_string(lines, call->short_src);
  lt_line_add(lines, ":", 1);
  if (call->currentline > 0) {
    add_number(lines, call->currentline);
    lt_line_add(lines, ":", 1);
  }
  lt_line_add(lines, " ", 1);
  return call->currentline > 0 ? lines->length - before : 0;
}

/* A global function is called what luaL_traceback calls it. */
static void add_function(lt_Line *lines, const lua_Debug *call) {
  if (call->namewhat[0] != '\0') {
    lt_line_add_string(lines, strcmp(call->namewhat, "global") == 0 ? "function" : call->namewhat);
    lt_line_add(lines, " '", 2);
    lt_line_add_string(lines, call->name);
    lt_line_add(lines, "'", 1);
  } else if (call->what[0] == 'm') {
    lt_line_add_string(lines, "main chunk");
  } else if (call->what[0] == 'C') {
    lt_line_add(lines, "?", 1);
  } else {
    lt_line_add_string(lines, "function <");
    lt_line_add_string(lines, call->short_src);
    lt_line_add(lines, ":", 1);
    add_number(lines, call->linedefined);
    lt_line_add(lines, ">", 1);
  }
}

/*
** To find a function's name, Lua reads the code of its caller from the beginning. So it is not
** asked for the name of the function that catches: whoever polls would pay for that each time.
** Returns the length of the place.
*/
static size_t add_call(lua_State *L, lt_Line *lines, lua_Debug *call, bool with_name) {
  lua_getinfo(L, "Slt", call);
  lt_line_add(lines, "\n\t", 2);
  size_t place = add_place(lines, call);
  lt_line_add(lines, "in ", 3);
  call->namewhat = "";
  if (with_name)
    lua_getinfo(L, "n", call);
  add_function(lines, call);
  if (call->istailcall)
    lt_line_add_string(lines, "\n\t(...tail calls...)");
  return place;
}

static void write_calls(lua_State *L, lt_Line *lines, int level, size_t *place) {
  lua_Debug call;
  bool is_caught = false;
  bool is_last = false;
  lines->length = 0;
  *place = 0;
  lt_line_add_string(lines, HEADER);
  for (int count = 0; !is_last && lua_getstack(L, level + count, &call); count++) {
    size_t before = lines->length;
    const char *line = line_of_protected_call(lt_function_of_call(L, &call));
    if (line != NULL) {
      lt_line_add_string(lines, line);
    } else {
      size_t length = add_call(L, lines, &call, !is_caught);
      if (count == 0)
        *place = length;
      is_last = is_caught;
    }
    is_caught = line != NULL;
    if (count == MOST_CALLS || is_full(lines)) {
      lines->length = before;
      lt_line_add_string(lines, more);
      return;
    }
  }
}

/*
** Who polls fails in the same place again and again: that text is made once, and kept until
** another one is made.
*/
const char *lt_traceback_push(lua_State *L, int level, size_t *place) {
  static const char last_key;
  lt_Line lines;
  size_t length;
  lt_check_stack(L, 4);
  write_calls(L, &lines, level, place);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_key);
  const char *last = lua_tolstring(L, -1, &length);
  if (last != NULL && length == lines.length && memcmp(last, lines.bytes, length) == 0)
    return last;
  lua_pop(L, 1);
  const char *text = lua_pushlstring(L, lines.bytes, lines.length);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &last_key);
  return text;
}

/*
** The whole
*/

/* Whether the text at 'index' is that of the calls from 'level' on. */
static bool is_of_level(lua_State *L, int index, int level) {
  size_t place;
  lt_traceback_push(L, level, &place);
  bool same = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return same;
}

/* As of an exception that was made when the thread's function had ended. */
static bool is_bare(const char *traceback) {
  return traceback[0] == '\0' || strcmp(traceback, HEADER) == 0;
}

static bool traceback_push_own(lua_State *L, int error) {
  if (error != 0) {
    lua_pushliteral(L, "traceback");
    lua_rawget(L, error);
    if (lua_type(L, -1) == LUA_TSTRING && !is_bare(lua_tostring(L, -1)))
      return true;
    lua_pop(L, 1);
  }
  return false;
}

/* An exception is made by the function that has called error, or one of ours; or by a hook. */
void lt_traceback_push_whole(lua_State *L, int error, int level) {
  lt_check_stack(L, 8);
  if (!traceback_push_own(L, error)) {
    luaL_traceback(L, L, NULL, level);
    return;
  }
  int own = lua_gettop(L);
  if (is_of_level(L, own, level + 1) || is_of_level(L, own, level)) {
    lua_pop(L, 1);
    luaL_traceback(L, L, NULL, level);
    return;
  }
  lua_pushliteral(L, "\nraised at:");
  luaL_traceback(L, L, NULL, level);
  lua_pushstring(L, lua_tostring(L, -1) + sizeof(HEADER) - 1);
  lua_replace(L, -2);
  lua_concat(L, 3);
}

/*
** The interpreter
*/

static bool get_outermost(lua_State *L, lua_Debug *call) {
  int inside = 0;
  int outside = 1;
  while (outside < INT_MAX / 2 && lua_getstack(L, outside, call)) {
    inside = outside;
    outside *= 2;
  }
  while (outside - inside > 1) {
    int middle = inside + (outside - inside) / 2;
    if (lua_getstack(L, middle, call))
      inside = middle;
    else
      outside = middle;
  }
  return lua_getstack(L, inside, call) != 0;
}

static bool has_local_function(lua_State *L, const lua_Debug *call, lua_CFunction function) {
  bool found = false;
  for (int i = 1; !found && lua_getlocal(L, call, i) != NULL; i++) {
    found = lua_tocfunction(L, -1) == function;
    lua_pop(L, 1);
  }
  return found;
}

/*
** Nothing in Lua code calls a message handler, so it has no name, or in a hook just any. The
** interpreter runs in a C function, where its handler lies below what that calls.
*/
bool lt_traceback_in_handler(lua_State *L) {
  lua_Debug call;
  lt_check_stack(L, 4);
  if (!lua_getstack(L, 1, &call))
    return false;
  lua_getinfo(L, "n", &call);
  if (call.namewhat[0] != '\0' && strcmp(call.namewhat, "hook") != 0)
    return false;
  lua_CFunction handler = lt_function_of_call(L, &call);
  return handler != NULL && get_outermost(L, &call) && lt_function_of_call(L, &call) != NULL &&
         has_local_function(L, &call, handler);
}
