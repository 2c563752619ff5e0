#include "src/state/error_output.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Lua aborts the process when this returns. */
static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
          message == NULL ? "error object is not a string" : message);
  fflush(stderr);
  return 0;
}

/*
** Warnings. Which of these functions the state has tells whether they are on, and whether a part of
** one has been written. "@on" and "@off", in one piece, turn them on and off.
*/

static void warn_on(void *L, const char *message, int continues);
static void warn_off(void *L, const char *message, int continues);

static bool is_control(lua_State *L, const char *message, int continues) {
  if (continues || message[0] != '@')
    return false;
  if (strcmp(message, "@on") == 0)
    lua_setwarnf(L, warn_on, L);
  else if (strcmp(message, "@off") == 0)
    lua_setwarnf(L, warn_off, L);
  return true;
}

static void warn_off(void *L, const char *message, int continues) {
  (void)is_control(L, message, continues);
}

static void warn_part(void *L, const char *message, int continues) {
  fprintf(stderr, "%s%s", message, continues ? "" : "\n");
  fflush(stderr);
  lua_setwarnf(L, continues ? warn_part : warn_on, L);
}

static void warn_on(void *L, const char *message, int continues) {
  if (is_control(L, message, continues))
    return;
  fputs("Lua warning: ", stderr);
  warn_part(L, message, continues);
}

void lt_error_output_set(lua_State *L) {
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn_off, L);
}
