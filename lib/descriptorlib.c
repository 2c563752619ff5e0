/*
** Functions of the module for descriptors: waiting for one, and the one by which an event loop sees
** an interrupt.
*/
#include "lib/descriptors.h"
#include "lib/libs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/thread/interrupt_descriptor.h"
#include "src/thread/wait.h"

/*
** Arguments
*/

static bool can_be_indexed(lua_State *L, int index) {
  if (lua_istable(L, index))
    return true;
  if (luaL_getmetafield(L, index, "__index") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

/* Calls the first of these methods that the value has. The result is on the top. */
static const char *call_method(lua_State *L, int index, const char *const *names) {
  for (; *names != NULL && can_be_indexed(L, index); names++) {
    if (lua_getfield(L, index, *names) != LUA_TNIL) {
      lua_pushvalue(L, index);
      lua_call(L, 1, 1);
      return *names;
    }
    lua_pop(L, 1);
  }
  return NULL;
}

static int check_number(lua_State *L, int index, const char *where, const char *source) {
  int is_integer;
  lua_Integer number = lua_tointegerx(L, index, &is_integer);
  if (!is_integer)
    lt_arg_error(L, &lt_ValueError, 1, "%s%s gave no descriptor, but %s; is it closed?", where,
                 source, luaL_tolstring(L, index, NULL));
  if (number < 0 || number > INT_MAX)
    lt_arg_error(L, &lt_ValueError, 1, "%sno descriptor has the number %I%s", where, number,
                 number == -1 ? "; is it closed?" : "");
  return (int)number;
}

static int check_file(lua_State *L, luaL_Stream *stream, const char *where) {
  if (stream->closef == NULL)
    lt_arg_error(L, &lt_ValueError, 1, "%sthe file is closed", where);
  int descriptor = PLAT_FILE_DESCRIPTOR(stream->f);
  if (descriptor < 0)
    lt_arg_error(L, &lt_NotSupportedError, 1,
                 "%sthis system waits for sockets only, not for files; read in a thread of its own",
                 where);
  return descriptor;
}

bool lt_descriptor_of(lua_State *L, int index, const char *where, int *descriptor) {
  static const char *const methods[] = {"getfd", "fileno", "pollfd", NULL};
  luaL_Stream *stream = luaL_testudata(L, index, LUA_FILEHANDLE);
  if (stream != NULL) {
    *descriptor = check_file(L, stream, where);
    return true;
  }
  if (lua_type(L, index) == LUA_TNUMBER) {
    *descriptor = check_number(L, index, where, "the number");
    return true;
  }
  const char *method = call_method(L, index, methods);
  if (method == NULL)
    return false;
  *descriptor = check_number(L, -1, where, method);
  lua_pop(L, 1);
  return true;
}

static int check_descriptor(lua_State *L) {
  int descriptor;
  if (lua_type(L, 1) == LUA_TNUMBER)
    lt_check_integer(L, 1);
  if (!lt_descriptor_of(L, 1, "", &descriptor))
    lt_arg_type_error(L, 1, "number, file, or object with a method getfd, fileno or pollfd");
  return descriptor;
}

static short check_events(lua_State *L) {
  const char *mode = lt_check_string(L, 2, NULL);
  if (strcmp(mode, "r") == 0)
    return PLAT_READABLE;
  if (strcmp(mode, "w") == 0)
    return PLAT_WRITABLE;
  if (strcmp(mode, "rw") != 0)
    lt_arg_error(L, &lt_ValueError, 2, "'r', 'w' or 'rw' expected, got '%s'", mode);
  return PLAT_READABLE | PLAT_WRITABLE;
}

bool lt_descriptor_is_dirty(lua_State *L, int index) {
  static const char *const methods[] = {"dirty", NULL};
  if (lua_type(L, index) == LUA_TNUMBER || call_method(L, index, methods) == NULL)
    return false;
  bool dirty = lua_type(L, -1) == LUA_TBOOLEAN && lua_toboolean(L, -1);
  lua_pop(L, 1);
  return dirty;
}

_Noreturn int lt_raise_no_descriptor(lua_State *L, const char *what, int error) {
  char reason[128];
  plat_describe_error(error, reason, sizeof(reason));
  lt_raise(L, &lt_RuntimeError, "%s: %s", what, reason);
}

/*
** Waiting
*/

/* For the parker, and what is waited for. */
typedef struct DescriptorWait {
  plat_Polled polled[2];
} DescriptorWait;

static bool descriptor_is_ready(void *context) {
  DescriptorWait *wait = context;
  return wait->polled[1].revents != 0 || plat_poll(&wait->polled[1], 1);
}

static void wait_until_ready(lua_State *L, lt_Thread *self, DescriptorWait *descriptor,
                             plat_Time deadline) {
  lt_Wait wait = {.address = self,
                  .context = descriptor,
                  .take = descriptor_is_ready,
                  .deadline = deadline,
                  .polled = descriptor->polled,
                  .polled_count = 2,
                  .what = "descriptor"};
  int error = deadline == PLAT_AT_ONCE ? 0 : lt_parker_enable_polling(self->parker);
  if (error != 0)
    lt_raise_no_descriptor(L, "can't wait for a descriptor", error);
  lt_wait(L, self, &wait);
}

static int push_ready(lua_State *L, const plat_Polled *polled, bool dirty) {
  short ready = polled->revents;
  if (ready & PLAT_NOT_OPEN)
    return lt_arg_error(L, &lt_ValueError, 1, PLAT_POLLED_KIND " %d is not open", polled->fd);
  if (ready & PLAT_FAILED)
    ready = polled->events;
  bool reads = dirty || (ready & PLAT_READABLE);
  if (!reads && !(ready & PLAT_WRITABLE))
    lua_pushnil(L);
  else
    lua_pushstring(L, !reads ? "w" : ready & PLAT_WRITABLE ? "rw" : "r");
  return 1;
}

/*
** wait_fd(fd, mode [, timeout]) -> "r", "w", "rw" or nil
** Waits until the descriptor can be read from ("r"), written to ("w") or either ("rw"), with a
** timeout at most so many seconds; a negative one is none. Returns for which of what was asked it
** is ready, or nil when the time is up. An error or a hang-up makes it ready for all that was
** asked: what is tried then tells of it. fd is a number, an open file, or an object with a method
** getfd, fileno or pollfd; if it has a method dirty that returns true, it can be read from at
** once. By name: wait_fd(fd, mode, {timeout = 1}). Raises TypeError for what has no descriptor,
** ValueError for a negative number, a descriptor that is not open and another mode, RuntimeError
** if the process has no descriptor left for the wait. On Windows fd is a socket; a file raises
** NotSupportedError. Follows select.poll, for one descriptor.
*/
static int wait_fd(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lt_Thread *self = lt_self(L);
  lt_spread_keywords(L, 3, names);
  short events = check_events(L);
  plat_Time deadline = lt_opt_deadline(L, 3);
  DescriptorWait wait = {.polled = {{.fd = -1}, {.fd = check_descriptor(L), .events = events}}};
  bool dirty = (events & PLAT_READABLE) && lt_descriptor_is_dirty(L, 1);
  if (!descriptor_is_ready(&wait) && !dirty)
    wait_until_ready(L, self, &wait, deadline);
  return push_ready(L, &wait.polled[1], dirty);
}

/*
** interrupt_fileno() -> integer
** A descriptor of the calling thread that is readable while an interrupt is pending for it, from
** its request until its exception has been raised: for event loops of others, which wait in C. It
** is made at the first call and closed when the thread ends; nobody else reads from it or closes
** it. Raises RuntimeError if the process has no descriptor left.
*/
static int interrupt_fileno(lua_State *L) {
  int descriptor;
  int error = lt_interrupt_descriptor(lt_self(L), &descriptor);
  if (error != 0)
    lt_raise_no_descriptor(L, "can't make a descriptor", error);
  lua_pushinteger(L, descriptor);
  return 1;
}

const luaL_Reg lt_descriptor_functions[] = {
    {"wait_fd", wait_fd}, {"interrupt_fileno", interrupt_fileno}, {NULL, NULL}};
