/*
** The module lthread.queue: queues, as Lua sees them. All kinds share their methods, but a
** SimpleQueue has only some of them. Those that put, and get, are in files of their own.
*/
#include "lib/descriptors.h"
#include "lib/queue_methods.h"

#include <errno.h>
#include <string.h>

static const lt_Type simple_queue_type, queue_type, lifo_queue_type, priority_queue_type;

bool lt_queue_is_simple(const lt_Queue *queue) {
  return ((const lt_Object *)queue)->type == &simple_queue_type;
}

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
** queue:fileno() -> integer
** A descriptor that is readable while get would not wait: while there is a message, or the queue is
** shut down. For event loops, which wait for it. It is a hint, as another thread may be faster: take
** with get_nowait or try_get, and expect nothing. It is the queue's, made at the first call, is the
** same for all threads, and is closed with the queue; nobody else reads from it or closes it; programs that are
** executed do not have it. Raises RuntimeError if the process has no descriptor left.
*/
static int queue_fileno(lua_State *L) {
  int descriptor;
  int error = lt_queue_descriptor(lt_queue_check(L), &descriptor);
  if (error == ENOMEM)
    return lt_raise_memory(L);
  if (error != 0)
    lt_raise_no_descriptor(L, "can't make a descriptor", error);
  lua_pushinteger(L, descriptor);
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

/*
** queue.maxsize, queue.unfinished_tasks, queue.is_shutdown
** At most how many messages the queue holds, 0 if it has no bound; how many that were put are not
** done yet, and whether it is shut down, at this moment. Follow the attributes of queue.Queue.
*/
static int queue_index(lua_State *L) {
  if (lt_object_push_method(L))
    return 1;
  const lt_Queue *queue = lt_queue_check(L);
  const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(field, "maxsize") == 0)
    lua_pushinteger(L, (lua_Integer)lt_queue_maxsize(queue));
  else if (strcmp(field, "unfinished_tasks") == 0)
    lua_pushinteger(L, (lua_Integer)lt_queue_unfinished(queue));
  else if (strcmp(field, "is_shutdown") == 0)
    lua_pushboolean(L, lt_queue_is_shut_down(queue));
  return 1;
}

static int queue_tostring(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  lua_Integer maxsize = (lua_Integer)lt_queue_maxsize(queue);
  luaL_getmetafield(L, 1, "__name");
  lua_pushfstring(L, "<%s object qsize=%I maxsize=%I at %p>", lua_tostring(L, -1),
                  (lua_Integer)lt_queue_size(queue), maxsize, (void *)queue);
  return 1;
}

static lt_Sight queue_sight(lt_Object *object) {
  return lt_queue_sight((lt_Queue *)object);
}

/* clang-format off */
#define METHODS_OF_ALL                      \
  {"put", lt_queue_method_put},             \
  {"put_nowait", lt_queue_method_put_nowait}, \
  {"put_many", lt_queue_method_put_many},   \
  {"get", lt_queue_method_get},             \
  {"get_nowait", lt_queue_method_get_nowait}, \
  {"try_get", lt_queue_method_try_get},     \
  {"get_many", lt_queue_method_get_many},   \
  {"each", lt_queue_method_each},           \
  {"fileno", queue_fileno},                 \
  {"qsize", queue_qsize},                   \
  {"empty", queue_empty}
/* clang-format on */

static const luaL_Reg simple_queue_methods[] = {METHODS_OF_ALL, {NULL, NULL}};

static const luaL_Reg queue_methods[] = {
    METHODS_OF_ALL,       {"full", queue_full},         {"task_done", queue_task_done},
    {"join", queue_join}, {"shutdown", queue_shutdown}, {NULL, NULL}};

static const luaL_Reg simple_queue_metamethods[] = {{"__tostring", queue_tostring}, {NULL, NULL}};

static const luaL_Reg queue_metamethods[] = {
    {"__index", queue_index}, {"__tostring", queue_tostring}, {NULL, NULL}};

static const lt_Face simple_queue_face = {&simple_queue_class, simple_queue_methods,
                                          simple_queue_metamethods, NULL, queue_sight};
static const lt_Type simple_queue_type = {"queue.SimpleQueue", &simple_queue_face, lt_queue_destroy,
                                          &lt_queue_tracing};
static const lt_Face queue_face = {&queue_class, queue_methods, queue_metamethods, NULL,
                                   queue_sight};
static const lt_Type queue_type = {"queue.Queue", &queue_face, lt_queue_destroy, &lt_queue_tracing};
static const lt_Face lifo_queue_face = {&lifo_queue_class, queue_methods, queue_metamethods, NULL,
                                        queue_sight};
static const lt_Type lifo_queue_type = {"queue.LifoQueue", &lifo_queue_face, lt_queue_destroy,
                                        &lt_queue_tracing};
static const lt_Face priority_queue_face = {&priority_queue_class, queue_methods, queue_metamethods,
                                            NULL, queue_sight};
static const lt_Type priority_queue_type = {"queue.PriorityQueue", &priority_queue_face,
                                            lt_queue_destroy, &lt_queue_tracing};

static const luaL_Reg queue_functions[] = {{"select", lt_queue_select}, {NULL, NULL}};

void lt_push_queue_module(lua_State *L) {
  static lt_Class *const classes[] = {&simple_queue_class, &queue_class, &lifo_queue_class,
                                      &priority_queue_class};
  static lt_Class *const exceptions[] = {&lt_Empty, &lt_Full, &lt_ShutDown};
  lua_createtable(L, 0, 8);
  lt_set_functions(L, queue_functions);
  for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
    lt_object_push(L, &classes[i]->object);
    lua_setfield(L, -2, strchr(classes[i]->name, '.') + 1);
  }
  for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
    lt_object_push(L, &exceptions[i]->object);
    lua_setfield(L, -2, exceptions[i]->name);
  }
}
