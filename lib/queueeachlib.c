/*
** Loops over the messages of a queue. A loop is a userdata, the state of the iterator: it knows
** whether a round has begun whose message is not done yet, and is the loop's closing value where it
** says so. If nobody closes it, because its coroutine was dropped, it says so when it is collected.
*/
#include "lib/queue_methods.h"

#include "src/thread/interrupt.h"

typedef struct EachLoop {
  const void *mark;   /* only these begin with the address of this variable */
  lt_Queue *queue;    /* a reference, until the loop is garbage */
  plat_Time patience; /* PLAT_FOREVER: it waits as long as it takes */
  bool counts;        /* it says that messages are done */
  bool is_in_round;   /* of a message that is not done yet; only if it counts */
} EachLoop;

static const char each_mark; /* in the registry: the metatable */

/* The one at index 1; NULL: there is none, or it is garbage. */
static EachLoop *each_at_first(lua_State *L) {
  EachLoop *each = lua_touserdata(L, 1);
  bool is_each = each != NULL && lua_rawlen(L, 1) == sizeof(*each) && each->mark == &each_mark;
  return is_each ? each : NULL;
}

/* False: more messages would be done than were put. */
static bool end_round(EachLoop *each) {
  bool was_in_round = each->is_in_round;
  each->is_in_round = false;
  return !was_in_round || lt_queue_task_done(each->queue);
}

static void raise_too_many(lua_State *L) {
  lt_raise(L, &lt_ValueError, "task_done() called too many times");
}

static int close_each(lua_State *L) {
  EachLoop *each = each_at_first(L);
  if (each != NULL && !end_round(each))
    raise_too_many(L);
  return 0;
}

static int collect_each(lua_State *L) {
  EachLoop *each = each_at_first(L);
  if (each != NULL) {
    end_round(each);
    each->mark = NULL;
    lt_object_release((lt_Object *)each->queue);
  }
  return 0;
}

/*
** The iterator: (loop, number of rounds) -> the same plus 1, message. The loop goes on with its
** next instruction; one more is spared, which may bring the message to where it is safe.
*/
static int next_round(lua_State *L) {
  EachLoop *each = each_at_first(L);
  if (each == NULL)
    lt_arg_type_error(L, 1, "loop over a queue");
  lua_Integer rounds = lt_check_integer(L, 2);
  if (!end_round(each))
    raise_too_many(L);
  lt_Thread *self = lt_calling_thread(L);
  plat_Time deadline = each->patience == PLAT_FOREVER ? PLAT_FOREVER
                       : each->patience == 0          ? PLAT_AT_ONCE
                                                      : plat_after(plat_now(), each->patience);
  lua_pushinteger(L, (lua_Integer)((lua_Unsigned)rounds + 1));
  lt_QueueOutcome outcome = lt_queue_get_message(L, self, each->queue, deadline);
  if (outcome == LT_QUEUE_SHUT_DOWN)
    return 0;
  if (outcome != LT_QUEUE_DONE)
    return lt_queue_raise(L, outcome);
  each->is_in_round = each->counts;
  lt_interrupt_spare(self, 2);
  return 2;
}

static void each_push_metatable(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__close", close_each}, {"__gc", collect_each}, {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &each_mark) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 3);
  lt_set_functions(L, metamethods);
  lua_pushliteral(L, "queue.each");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &each_mark);
}

static void push_each(lua_State *L, lt_Queue *queue, bool counts, plat_Time patience) {
  EachLoop *each = lua_newuserdatauv(L, sizeof(*each), 0);
  *each = (EachLoop){.queue = queue, .patience = patience, .counts = counts};
  each_push_metatable(L);
  lua_setmetatable(L, -2);
  lt_object_retain((lt_Object *)queue);
  each->mark = &each_mark;
}

/*
** for i, message in queue:each([task_done = false [, timeout]]) do
** Gets one message after the other, as get does; i counts them from 1. The loop ends when the queue
** is shut down and empty. A message is in the queue until its round begins, also if an interrupt
** comes between. With 'task_done' each message is done at the end of its round, however that ends.
** Raises Empty if no message comes for so many seconds, and whatever else get raises; TypeError
** where a SimpleQueue is to count. By name: queue:each{task_done = true}. Follows iter(q.get).
*/
int lt_queue_method_each(lua_State *L) {
  static const char *const names[] = {"task_done", "timeout", NULL};
  lt_Queue *queue = lt_queue_check(L);
  lt_spread_keywords(L, 2, names);
  bool counts = lt_opt_flag(L, 2, false);
  plat_Time patience = PLAT_FOREVER;
  if (counts && lt_queue_is_simple(queue))
    lt_arg_error(L, &lt_TypeError, 2, "a SimpleQueue does not count what is done: take a Queue");
  if (lt_queue_opt_timeout(L, 3) != PLAT_FOREVER)
    patience = lt_check_span(L, 3);
  lt_context_push(L);
  lua_pushcclosure(L, next_round, 1);
  push_each(L, queue, counts, patience);
  lua_pushinteger(L, 0);
  if (counts)
    lua_pushvalue(L, -2);
  else
    lua_pushnil(L);
  return 4;
}
