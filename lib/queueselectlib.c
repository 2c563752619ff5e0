/*
** select, which gets from one of several queues.
*/
#include <limits.h>

#include "lib/queue_methods.h"
#include "src/base/stack_room.h"
#include "src/thread/interrupt.h"
#include "src/thread/watch.h"

/* Where things lie on the stack. */
enum { QUEUES_AT = 1, PATIENCE_AT, OWN_QUEUES_AT, TOP_AT };

/* Copies the list to OWN_QUEUES_AT, which keeps the queues whatever code of the script does to it. */
static void copy_queues(lua_State *L, lua_Integer count) {
  lua_createtable(L, count < INT_MAX / 16 ? (int)count : 0, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, QUEUES_AT, i);
    const lt_Object *object = lt_object_at(L, -1);
    if (object == NULL || object->type->destroy != lt_queue_destroy)
      lt_arg_error(L, &lt_TypeError, QUEUES_AT, "list[%I]: queue expected, got %s", i,
                   lt_push_type_name(L, -1));
    lua_rawseti(L, OWN_QUEUES_AT, i);
  }
}

/*
** Gets from the first queue that has something, and returns its place; the message is on the top. 0:
** none has, and those that may get something are in the watch.
*/
static lua_Integer get_from_first(lua_State *L, lt_Watch *watch, lua_Integer count) {
  lt_watch_clear(watch);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, OWN_QUEUES_AT, i);
    lt_Queue *queue = (lt_Queue *)lt_object_at(L, -1);
    lt_QueueOutcome outcome = LT_QUEUE_EMPTY;
    if (lt_queue_is_readable(queue))
      outcome = lt_queue_get_message(L, lt_calling_thread(L), queue, PLAT_AT_ONCE);
    if (outcome == LT_QUEUE_DONE)
      return i;
    lua_settop(L, TOP_AT);
    lt_Sight sight = lt_queue_sight(queue);
    if (outcome != LT_QUEUE_SHUT_DOWN)
      lt_watch_add(watch, &sight, (size_t)i);
  }
  return 0;
}

/*
** select(queues [, timeout]) -> queue, message, place; or nil
** Takes the next message from the first queue in the list that has one. If all are empty, waits for
** one, with a timeout at most so many seconds. Returns the queue, the message and the queue's
** place in the list; nil when the time is up. Queues that are shut down and empty are left out. By
** name: select(queues, {timeout = 0.5}). Raises ShutDown when all are, TypeError for what is no
** queue, ValueError for a negative timeout or an empty list, and what get raises.
*/
int lt_queue_select(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lua_Integer place;
  lt_spread_keywords(L, PATIENCE_AT, names);
  lua_Integer count = lt_check_list(L, QUEUES_AT);
  plat_Time deadline = lt_queue_opt_timeout(L, PATIENCE_AT);
  lua_settop(L, PATIENCE_AT);
  if (count == 0)
    lt_arg_error(L, &lt_ValueError, QUEUES_AT, "the list is empty");
  lt_check_stack(L, LUA_MINSTACK);
  copy_queues(L, count);
  lt_Watch *watch = lt_watch_push(L, (size_t)count, 0);
  while ((place = get_from_first(L, watch, count)) == 0) {
    if (watch->looking.count == 0)
      return lt_queue_raise(L, LT_QUEUE_SHUT_DOWN);
    if (deadline == PLAT_AT_ONCE || !lt_watch_wait(L, watch, deadline, "queue select")) {
      lua_pushnil(L);
      return 1;
    }
  }
  lua_rawgeti(L, OWN_QUEUES_AT, place);
  lua_insert(L, -2);
  lua_pushinteger(L, place);
  lt_interrupt_spare_next(lt_calling_thread(L));
  return 3;
}
