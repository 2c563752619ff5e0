/*
** wait_any, which waits for one of several things.
*/
#include "lib/libs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "lib/descriptors.h"
#include "src/base/stack_room.h"
#include "src/shared/shared_table.h"
#include "src/thread/watch.h"

/* Where things lie on the stack. */
enum { THINGS_AT = 1, TIME_AT, COPY_AT, LAST_AT };

/*
** Copies the list to COPY_AT, which keeps all that is in it, whatever code of the script does to the
** list. Returns how many are objects of ours.
*/
static size_t copy_items(lua_State *L, lua_Integer count) {
  size_t objects = 0;
  lua_createtable(L, count < INT_MAX / 16 ? (int)count : 0, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    if (lua_rawgeti(L, THINGS_AT, i) == LUA_TNIL)
      lt_arg_error(L, &lt_TypeError, THINGS_AT, "list[%I] is nil", i);
    objects += lt_object_at(L, -1) != NULL;
    lua_rawseti(L, COPY_AT, i);
  }
  return objects;
}

/* What shows itself at the top: in the place of a thread as an object, its handle. Or NULL. */
static lt_Object *object_at_top(lua_State *L) {
  lt_Object *object = lt_object_at(L, -1);
  if (object != NULL && object->type == &lt_shared_table_type) {
    lua_getfield(L, -1, "_handle");
    object = lt_object_of_type(L, -1, &lt_thread_type);
    lua_pop(L, 1);
  }
  return object != NULL && object->type->face->sight != NULL ? object : NULL;
}

static void refuse_thread(lua_State *L, lt_Thread *thread, lua_Integer place) {
  if (thread == lt_self(L))
    lt_arg_error(L, &lt_RuntimeError, THINGS_AT, "list[%I] is the calling thread", place);
  if (lt_thread_status(thread) == LT_UNSTARTED)
    lt_arg_error(L, &lt_RuntimeError, THINGS_AT, "list[%I] is a thread that is not started", place);
}

static void add_object(lua_State *L, lt_Watch *watch, lt_Object *object, lua_Integer place) {
  if (object->type == &lt_thread_type)
    refuse_thread(L, (lt_Thread *)object, place);
  lt_Sight sight = object->type->face->sight(object);
  lt_watch_add(watch, &sight, (size_t)place);
}

/* Whether it is ready at once. */
static bool add_descriptor(lua_State *L, lt_Watch *watch, lua_Integer place) {
  char where[32];
  int descriptor;
  snprintf(where, sizeof(where), "list[" LUA_INTEGER_FMT "]: ", place);
  if (lt_object_of_type(L, -1, &lt_lock_type) != NULL ||
      lt_object_of_type(L, -1, &lt_rlock_type) != NULL)
    lt_arg_error(L, &lt_TypeError, THINGS_AT,
                 "%sa lock is not waited for without taking it: acquire it with a timeout", where);
  if (!lt_descriptor_of(L, LAST_AT + 1, where, &descriptor))
    lt_arg_error(L, &lt_TypeError, THINGS_AT,
                 "%squeue, handle, future, event, semaphore or descriptor expected, got %s", where,
                 lt_push_type_name(L, LAST_AT + 1));
  lt_watch_add_descriptor(watch, descriptor, (size_t)place);
  return lt_descriptor_is_dirty(L, LAST_AT + 1);
}

/* Returns the place of the first one that has bytes in a buffer; 0: none has. */
static lua_Integer add_items(lua_State *L, lt_Watch *watch, lua_Integer count) {
  lua_Integer dirty = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, COPY_AT, i);
    lt_Object *object = object_at_top(L);
    if (object != NULL)
      add_object(L, watch, object, i);
    else if (add_descriptor(L, watch, i) && dirty == 0)
      dirty = i;
    lua_settop(L, LAST_AT);
  }
  return dirty;
}

/* Whether all of them can be polled at a time. */
static void check_descriptors(lua_State *L, lt_Watch *watch) {
  unsigned count = watch->polled_count - 1;
  if (count == 0)
    return;
  errno = 0;
  plat_poll(watch->polled + 1, count);
  if (errno == EINVAL)
    lt_arg_error(L, &lt_ValueError, THINGS_AT,
                 "%d descriptors are more than the process may have open", (int)count);
  for (unsigned i = 1; i <= count; i++)
    if (watch->polled[i].revents & PLAT_NOT_OPEN)
      lt_arg_error(L, &lt_ValueError, THINGS_AT, "list[%I]: " PLAT_POLLED_KIND " %d is not open",
                   (lua_Integer)watch->polled_places[i - 1], watch->polled[i].fd);
  int error = lt_parker_enable_polling(lt_self(L)->parker);
  if (error != 0)
    lt_raise_no_descriptor(L, "can't wait for a descriptor", error);
}

/*
** wait_any(list [, timeout]) -> object, place; or nil
** Waits until one of the things in the list is ready, with a timeout at most so many seconds; a
** negative one is over at once. Returns the first one in the list that is, and its place; nil when
** the time is up. Ready is a queue from which get would not wait, because it has a message or is
** shut down; a handle or thread that has ended; a future that is done; an event that is set, or was
** since the call; a semaphore that has a unit; a descriptor that can be read from, given as for
** wait_fd. Nothing is taken: another thread may be faster in that, so take without waiting, and
** come back if there is nothing. By name: wait_any(list, {timeout = 1}). Raises TypeError for
** what can't be waited for, as a lock, which is to be acquired with a timeout; RuntimeError for the
** calling thread and one that is not started; ValueError for an empty list without a timeout, and
** what wait_fd raises for descriptors. Follows multiprocessing.connection.wait.
*/
static int wait_any(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lt_spread_keywords(L, TIME_AT, names);
  lua_Integer count = lt_check_list(L, THINGS_AT);
  plat_Time deadline = lt_opt_time_limit(L, TIME_AT);
  lua_settop(L, TIME_AT);
  if (count == 0 && deadline == PLAT_FOREVER)
    lt_arg_error(L, &lt_ValueError, THINGS_AT, "the list is empty: the wait would not end");
  lt_check_stack(L, LUA_MINSTACK);
  size_t objects = copy_items(L, count);
  lt_Watch *watch = lt_watch_push(L, objects, (size_t)count);
  lua_Integer place = add_items(L, watch, count);
  check_descriptors(L, watch);
  if (lt_watch_wait(L, watch, place > 0 ? PLAT_AT_ONCE : deadline, "wait_any") &&
      (place == 0 || (lua_Integer)watch->found < place))
    place = (lua_Integer)watch->found;
  if (place == 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_rawgeti(L, COPY_AT, place);
  lua_pushinteger(L, place);
  return 2;
}

const luaL_Reg lt_wait_any_functions[] = {{"wait_any", wait_any}, {NULL, NULL}};
