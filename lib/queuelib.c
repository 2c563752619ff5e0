/*
** The module lthread.queue: queues, as Lua sees them. All kinds share their methods, but a
** SimpleQueue has only some of them. Those that put are in queueputlib.c.
*/
#include "lib/queue_methods.h"

#include <string.h>

#include "src/base/protected_call.h"
#include "src/thread/interrupt.h"

static const lt_Type simple_queue_type, queue_type, lifo_queue_type, priority_queue_type;

/*
** Making
*/

static int push_queue(lua_State *L, const lt_Type *type, lt_QueueOrder order, uint64_t maxsize) {
  lt_Queue *queue = lt_queue_new(type, order, maxsize);
  if (queue == NULL)
    return lt_raise_memory(L);
  lt_object_push_own(L, (lt_Object *)queue);
  lt_cycles_collect_if_due();
  return 1;
}

static uint64_t opt_maxsize(lua_State *L) {
  static const char *const names[] = {"maxsize", NULL};
  lt_spread_keywords(L, 1, names);
  lua_Integer maxsize = lua_isnoneornil(L, 1) ? 0 : lt_check_integer(L, 1);
  return maxsize > 0 ? (uint64_t)maxsize : 0;
}

/*
** SimpleQueue() -> queue
** A queue without bound: what was put first is got first. Follows queue.SimpleQueue.
*/
static int new_simple_queue(lua_State *L) {
  lt_check_most(L, 0, 0);
  return push_queue(L, &simple_queue_type, LT_FIRST_FIRST, 0);
}

/*
** Queue([maxsize = 0]) -> queue
** A queue of at most so many messages, or without bound if that is 0 or less: what was put first
** is got first. It counts which messages are done. By name: Queue{maxsize = 10}. Follows
** queue.Queue.
*/
static int new_queue(lua_State *L) {
  return push_queue(L, &queue_type, LT_FIRST_FIRST, opt_maxsize(L));
}

/*
** LifoQueue([maxsize = 0]) -> queue
** As Queue, but what was put last is got first. Follows queue.LifoQueue.
*/
static int new_lifo_queue(lua_State *L) {
  return push_queue(L, &lifo_queue_type, LT_LAST_FIRST, opt_maxsize(L));
}

/*
** PriorityQueue([maxsize = 0]) -> queue
** As Queue, but the least message is got first. A message is its own priority, a number or a
** string, or a list that begins with it: {priority, ...}. Of equal ones that which was put first
** is got first. Strings are compared byte by byte. Follows queue.PriorityQueue.
*/
static int new_priority_queue(lua_State *L) {
  return push_queue(L, &priority_queue_type, LT_LEAST_FIRST, opt_maxsize(L));
}

static LT_CLASS(simple_queue_class, "queue.SimpleQueue", NULL, new_simple_queue);
static LT_CLASS(queue_class, "queue.Queue", NULL, new_queue);
static LT_CLASS(lifo_queue_class, "queue.LifoQueue", &queue_class, new_lifo_queue);
static LT_CLASS(priority_queue_class, "queue.PriorityQueue", &queue_class, new_priority_queue);

/*
** Getting
*/

/* One item on its way out of a queue. */
typedef struct Getting {
  lt_QueueUse use;
  lt_QueueOutcome outcome;
  lt_MessageItem item;
} Getting;

/* False: the queue is empty. */
static bool try_to_get(void *context) {
  Getting *getting = context;
  getting->outcome = lt_queue_get(getting->use.queue, getting->use.parker, &getting->item);
  return getting->outcome != LT_QUEUE_EMPTY;
}

/*
** queue:get([block = true [, timeout]]) -> message
** Takes the next message from the queue. If the queue is empty, waits for one; with a timeout at
** most so many seconds; without 'block' not at all. By name: queue:get{timeout = 0.5}. A message
** may be nil: that there is none raises Empty. Raises ShutDown when the queue is shut down and
** empty, ValueError for a negative timeout; and what goes wrong in receiving the message, such as
** a module that is not found: the message is gone then, and counts as done. Follows Queue.get.
*/
static int queue_get(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  plat_Time deadline = lua_gettop(L) == 1 ? PLAT_FOREVER : lt_queue_opt_patience(L, 2);
  lt_Thread *self = lt_calling_thread(L);
  Getting getting = {.use = {.queue = queue, .parker = self == NULL ? NULL : self->parker}};
  if (!try_to_get(&getting)) {
    lt_Wait wait = lt_queue_wait_to_get(&getting.use, try_to_get, deadline);
    lt_queue_wait_longer(L, &wait);
  }
  if (getting.outcome != LT_QUEUE_DONE)
    return lt_queue_raise(L, getting.outcome);
  if (lt_message_item_receive(L, &getting.item) != LUA_OK) {
    lt_queue_task_done(queue);
    lt_throw(L);
  }
  lt_interrupt_spare_next(self);
  return 1;
}

/*
** queue:get_nowait() -> message
** The same as get(false). Follows Queue.get_nowait.
*/
static int queue_get_nowait(lua_State *L) {
  lt_check_most(L, 1, 0);
  lua_settop(L, 1);
  lua_pushboolean(L, 0);
  return queue_get(L);
}

/* A batch on its way out of a queue, into a state. */
typedef struct GettingMany {
  lt_QueueUse use;
  lt_QueueOutcome outcome;
  size_t max;
  lt_QueueBatch batch;
  size_t received; /* of them; SIZE_MAX before the first one is begun */
} GettingMany;

/* False: the queue is empty. */
static bool try_to_get_many(void *context) {
  GettingMany *getting = context;
  getting->outcome =
      lt_queue_get_batch(getting->use.queue, getting->use.parker, getting->max, &getting->batch);
  return getting->outcome != LT_QUEUE_EMPTY;
}

/* The argument, light: what is got. */
static int receive_batch(lua_State *L) {
  GettingMany *getting = lua_touserdata(L, 1);
  const lt_QueueBatch *batch = &getting->batch;
  lua_createtable(L, (int)batch->count, 1);
  for (getting->received = 0; getting->received < batch->count; getting->received++) {
    lt_message_item_push(L, lt_queue_batch_item(batch, getting->received));
    lua_rawseti(L, -2, (lua_Integer)getting->received + 1);
  }
  lua_pushinteger(L, (lua_Integer)batch->count);
  lua_setfield(L, -2, "n");
  return 1;
}

/* Pushes the list of what was got. If that fails, the one that was being received is gone. */
static void push_batch(lua_State *L, GettingMany *getting) {
  lt_Queue *queue = getting->use.queue;
  lt_QueueBatch *batch = &getting->batch;
  getting->received = SIZE_MAX;
  int status = lt_protected_call(L, receive_batch, getting, 0, 1);
  bool is_lost = getting->received < batch->count;
  if (batch->count > 0 && status == LUA_OK)
    lt_queue_batch_free(queue, getting->use.parker, batch);
  else if (batch->count > 0)
    lt_queue_batch_put_back(queue, getting->use.parker, batch, getting->received);
  if (status == LUA_OK)
    return;
  if (is_lost)
    lt_queue_task_done(queue);
  lt_throw(L);
}

/*
** queue:get_many(max [, timeout]) -> list
** Takes as many messages as there are, but at most 'max', at the cost of one; if the queue is
** empty, waits for the first one, with a timeout at most so many seconds. Returns the messages in
** order and their number in the field n: 0 if the time is up. By name: get_many{max = 100,
** timeout = 0}. Raises ShutDown when the queue is shut down and empty, ValueError for a negative
** timeout or a 'max' below 1; and what goes wrong in receiving a message: that one is gone then,
** and counts as done; the others are back in the queue.
*/
static int queue_get_many(lua_State *L) {
  static const char *const names[] = {"max", "timeout", NULL};
  lt_Queue *queue = lt_queue_check(L);
  lt_spread_keywords(L, 2, names);
  lua_Integer max = lt_check_integer(L, 2);
  if (max < 1)
    return lt_arg_error(L, &lt_ValueError, 2, "'max' must be positive, got %I", max);
  plat_Time deadline = lt_queue_opt_timeout(L, 3);
  size_t most = max < LT_QUEUE_MOST ? (size_t)max : LT_QUEUE_MOST;
  GettingMany getting = {.use = {.queue = queue, .parker = lt_calling_parker(L)}, .max = most};
  if (!try_to_get_many(&getting)) {
    lt_Wait wait = lt_queue_wait_to_get(&getting.use, try_to_get_many, deadline);
    lt_queue_wait_longer(L, &wait);
  }
  if (getting.outcome != LT_QUEUE_DONE && getting.outcome != LT_QUEUE_EMPTY)
    return lt_queue_raise(L, getting.outcome);
  push_batch(L, &getting);
  lt_interrupt_spare_next(lt_calling_thread(L));
  return 1;
}

/*
** The state of a queue
*/

/*
** queue:qsize() -> integer. How many messages are in the queue at this moment. Follows
** Queue.qsize.
*/
static int queue_qsize(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lt_queue_size(lt_queue_check(L)));
  return 1;
}

/* queue:empty() -> boolean. Whether there is none at this moment. Follows Queue.empty. */
static int queue_empty(lua_State *L) {
  lua_pushboolean(L, lt_queue_size(lt_queue_check(L)) == 0);
  return 1;
}

/* queue:full() -> boolean. Whether there is no room at this moment. Follows Queue.full. */
static int queue_full(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  uint64_t maxsize = lt_queue_maxsize(queue);
  lua_pushboolean(L, maxsize != 0 && lt_queue_size(queue) >= maxsize);
  return 1;
}

/*
** queue:task_done()
** Says that the work on a message that was got is done. Raises ValueError if it is called more
** often than messages were put. Follows Queue.task_done.
*/
static int queue_task_done(lua_State *L) {
  if (!lt_queue_task_done(lt_queue_check(L)))
    return lt_raise(L, &lt_ValueError, "task_done() called too many times");
  return 0;
}

/*
** queue:join([timeout]) -> boolean
** Waits until every message that was put is done; with a timeout at most so many seconds. Returns
** whether they are. By name: queue:join{timeout = 0.5}. Follows Queue.join.
*/
static int queue_join(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lt_Queue *queue = lt_queue_check(L);
  lt_spread_keywords(L, 2, names);
  lt_Wait wait = lt_queue_wait_until_done(queue, lt_queue_opt_timeout(L, 2));
  lua_pushboolean(L, !wait.validate(wait.context) || lt_queue_wait_longer(L, &wait));
  return 1;
}

/*
** queue:shutdown([immediate = false]) Shuts the queue down: from now on put raises ShutDown, and
** get does when the queue is empty. Those who wait in one of them are woken. With 'immediate' the
** messages that are left are dropped and count as done. By name: queue:shutdown{immediate =
** true}. Follows Queue.shutdown.
*/
static int queue_shutdown(lua_State *L) {
  static const char *const names[] = {"immediate", NULL};
  lt_Queue *queue = lt_queue_check(L);
  lt_spread_keywords(L, 2, names);
  lt_queue_shut_down(queue, lt_calling_parker(L), lt_opt_flag(L, 2, false));
  return 0;
}

static int queue_tostring(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  lua_Integer maxsize = (lua_Integer)lt_queue_maxsize(queue);
  luaL_getmetafield(L, 1, "__name");
  lua_pushfstring(L, "<%s object qsize=%I maxsize=%I at %p>", lua_tostring(L, -1),
                  (lua_Integer)lt_queue_size(queue), maxsize, (void *)queue);
  return 1;
}

#define METHODS_OF_ALL                                                                             \
  {"put", lt_queue_method_put}, {"put_nowait", lt_queue_method_put_nowait},                        \
      {"put_many", lt_queue_method_put_many}, {"get", queue_get},                                  \
      {"get_nowait", queue_get_nowait}, {"get_many", queue_get_many}, {"qsize", queue_qsize}, {    \
    "empty", queue_empty                                                                           \
  }

static const luaL_Reg simple_queue_methods[] = {METHODS_OF_ALL, {NULL, NULL}};

static const luaL_Reg queue_methods[] = {
    METHODS_OF_ALL,       {"full", queue_full},         {"task_done", queue_task_done},
    {"join", queue_join}, {"shutdown", queue_shutdown}, {NULL, NULL}};

static const luaL_Reg queue_metamethods[] = {{"__tostring", queue_tostring}, {NULL, NULL}};

static const lt_Face simple_queue_face = {&simple_queue_class, simple_queue_methods,
                                          queue_metamethods, NULL};
static const lt_Type simple_queue_type = {"queue.SimpleQueue", &simple_queue_face, lt_queue_destroy,
                                          &lt_queue_tracing};
static const lt_Face queue_face = {&queue_class, queue_methods, queue_metamethods, NULL};
static const lt_Type queue_type = {"queue.Queue", &queue_face, lt_queue_destroy, &lt_queue_tracing};
static const lt_Face lifo_queue_face = {&lifo_queue_class, queue_methods, queue_metamethods, NULL};
static const lt_Type lifo_queue_type = {"queue.LifoQueue", &lifo_queue_face, lt_queue_destroy,
                                        &lt_queue_tracing};
static const lt_Face priority_queue_face = {&priority_queue_class, queue_methods, queue_metamethods,
                                            NULL};
static const lt_Type priority_queue_type = {"queue.PriorityQueue", &priority_queue_face,
                                            lt_queue_destroy, &lt_queue_tracing};

void lt_push_queue_module(lua_State *L) {
  static lt_Class *const classes[] = {&simple_queue_class, &queue_class, &lifo_queue_class,
                                      &priority_queue_class};
  static lt_Class *const exceptions[] = {&lt_Empty, &lt_Full, &lt_ShutDown};
  lua_createtable(L, 0, 7);
  for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
    lt_object_push(L, &classes[i]->object);
    lua_setfield(L, -2, strchr(classes[i]->name, '.') + 1);
  }
  for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
    lt_object_push(L, &exceptions[i]->object);
    lua_setfield(L, -2, exceptions[i]->name);
  }
}
