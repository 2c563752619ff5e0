/*
** The module lthread.queue: queues, as Lua sees them. All kinds share their methods, but a
** SimpleQueue has only some of them.
*/
#include "src/base/protected_call.h"
#include "lib/libs.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "src/shared/queue.h"
#include "src/thread/interrupt.h"
#include "src/thread/wait.h"
#include "src/transfer/module_names.h"

LT_CLASS(lt_Empty, "Empty", &lt_Exception, NULL);
LT_CLASS(lt_Full, "Full", &lt_Exception, NULL);
LT_CLASS(lt_ShutDown, "ShutDown", &lt_Exception, NULL);

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
** Arguments
*/

static lt_Queue *check_queue(lua_State *L) {
  lt_Object *object = lt_object_at(L, 1);
  if (object == NULL || object->type->destroy != lt_queue_destroy)
    lt_arg_type_error(L, 1, "queue");
  return (lt_Queue *)object;
}

/* A timeout in seconds; nil is for ever. Returns the deadline. */
static plat_Time opt_timeout(lua_State *L, int arg) {
  if (lua_isnumber(L, arg) && lua_tonumber(L, arg) < 0)
    lt_arg_error(L, &lt_ValueError, arg, "'timeout' must be a non-negative number, got %f",
                 lua_tonumber(L, arg));
  return lt_opt_deadline(L, arg);
}

/*
** The arguments (block = true [, timeout]) from 'arg' on. Without 'block' the timeout is ignored.
*/
static plat_Time opt_patience(lua_State *L, int arg) {
  static const char *const names[] = {"block", "timeout", NULL};
  lt_spread_keywords(L, arg, names);
  if (!lt_opt_waits(L, arg))
    return PLAT_AT_ONCE;
  return opt_timeout(L, arg + 1);
}

/*
** Once 'take' was in vain. Only who has to wait needs a thread, which there is none any more when a
** state is being closed.
*/
static bool wait_longer(lua_State *L, lt_Wait *wait) {
  return wait->deadline != PLAT_AT_ONCE && lt_wait(L, lt_self(L), wait);
}

/*
** Putting
*/

static void describe_message(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "message");
}

static void describe_element(lua_State *L, int value) {
  lua_pushfstring(L, "list[%d]", value + 1);
}

/*
** Items on their way into a queue; the first 'put' of them are in it. It is a userdata on the
** stack, whose finalizer frees what was not put if the function does not come to do that.
*/
typedef struct Putting {
  lt_QueueUse use; /* the queue is the function's argument, which stays on the stack */
  lt_QueueOutcome outcome;
  size_t count;
  size_t put;
  lt_MessageItem *keys; /* for a PriorityQueue, else NULL */
  lt_MessageItem items[];
} Putting;

static void drop_rest(Putting *putting) {
  for (; putting->put < putting->count; putting->put++) {
    lt_message_item_free(&putting->items[putting->put]);
    if (putting->keys != NULL)
      lt_message_item_free(&putting->keys[putting->put]);
  }
}

static int finalize_putting(lua_State *L) {
  drop_rest(lua_touserdata(L, 1));
  return 0;
}

static Putting *push_putting(lua_State *L, lt_Queue *queue, size_t capacity) {
  static const char key;
  bool keyed = lt_queue_order(queue) == LT_LEAST_FIRST;
  size_t size = sizeof(Putting) + capacity * sizeof(lt_MessageItem) * (keyed ? 2 : 1);
  Putting *putting = lua_newuserdatauv(L, size, 0);
  memset(putting, 0, sizeof(*putting)); /* the items are when they come */
  putting->use = (lt_QueueUse){.queue = queue, .parker = lt_calling_parker(L)};
  putting->keys = keyed ? putting->items + capacity : NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, finalize_putting);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_setmetatable(L, -2);
  return putting;
}

/* The priority of the message on the top, pushed. It is in argument 'arg'. */
static void push_priority(lua_State *L, int arg) {
  bool in_list = lua_type(L, -1) == LUA_TTABLE;
  if (in_list)
    lua_rawgeti(L, -1, 1);
  else
    lua_pushvalue(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER && lua_type(L, -1) != LUA_TSTRING)
    lt_arg_error(L, &lt_TypeError, arg,
                 "number, string, or list that begins with one expected, got %s%s",
                 in_list ? "list that begins with " : "", lt_push_type_name(L, -1));
  if (lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1)))
    lt_arg_error(L, &lt_ValueError, arg, "priority is not a number (nan)");
}

/*
** The message on the top is added, and popped. It counts at once, as one without contents, so that
** what there is of it is freed when it raises.
*/
static void add_message(lua_State *L, Putting *putting, int arg, const lt_PackBatch *batch) {
  size_t number = putting->count++;
  putting->items[number].kind = LT_SCALAR_NIL;
  if (putting->keys != NULL) {
    putting->keys[number].kind = LT_SCALAR_NIL;
    push_priority(L, arg);
    lt_message_item_from(L, -1, &putting->keys[number], LT_COPY_STRINGS, NULL, NULL);
    lua_pop(L, 1);
  }
  lt_message_item_from(L, -1, &putting->items[number], LT_LEND_STRINGS,
                       batch == NULL ? describe_message : describe_element, batch);
  lua_pop(L, 1);
}

/* False: there is no room. */
static bool try_to_put(void *context) {
  Putting *putting = context;
  const lt_MessageItem *keys = putting->keys == NULL ? NULL : putting->keys + putting->put;
  size_t put;
  putting->outcome =
      lt_queue_put(putting->use.queue, putting->use.parker, putting->items + putting->put, keys,
                   putting->count - putting->put, &put);
  putting->put += put;
  return putting->outcome != LT_QUEUE_FULL;
}

/* Puts all that there are, waiting for room until the deadline. */
static lt_QueueOutcome put_all(lua_State *L, Putting *putting, plat_Time deadline) {
  if (!try_to_put(putting)) {
    lt_Wait wait = lt_queue_wait_to_put(&putting->use, try_to_put, deadline);
    wait_longer(L, &wait);
  }
  return putting->outcome;
}

static lt_Class *class_of_outcome(lt_QueueOutcome outcome) {
  return outcome == LT_QUEUE_FULL        ? &lt_Full
         : outcome == LT_QUEUE_EMPTY     ? &lt_Empty
         : outcome == LT_QUEUE_SHUT_DOWN ? &lt_ShutDown
                                         : &lt_TypeError;
}

static const char *text_of_outcome(lt_QueueOutcome outcome) {
  return outcome == LT_QUEUE_FULL        ? "the queue is full"
         : outcome == LT_QUEUE_EMPTY     ? "the queue is empty"
         : outcome == LT_QUEUE_SHUT_DOWN ? "the queue is shut down"
                                         : "numbers and strings can't be priorities in one queue";
}

static int raise_outcome(lua_State *L, lt_QueueOutcome outcome) {
  if (outcome == LT_QUEUE_NO_MEMORY)
    return lt_raise_memory(L);
  lt_exception_push(L, class_of_outcome(outcome), text_of_outcome(outcome), 1);
  lt_throw(L);
}

/*
** queue:put(message [, block = true [, timeout]])
** Puts a copy of the message, any value that transfers, into the queue. If the queue is full, waits
** until there is room; with a timeout at most so many seconds; without 'block' not at all. By name:
** queue:put(message, {timeout = 0.5}). Raises Full when there is no room, ShutDown when the
** queue is shut down, TypeError for what can't be transferred (or, in a PriorityQueue, ordered),
** ValueError for a negative timeout. Follows Queue.put.
*/
static int queue_put(lua_State *L) {
  lt_Queue *queue = check_queue(L);
  lt_QueueOutcome outcome = LT_QUEUE_FULL;
  lt_MessageItem item;
  bool is_small = lt_message_item_from_small(L, 2, &item);
  if (!is_small)
    lt_check_any(L, 2);
  plat_Time deadline = lua_gettop(L) == 2 ? PLAT_FOREVER : opt_patience(L, 3);
  bool is_keyed = lt_queue_order(queue) == LT_LEAST_FIRST;
  if (!is_keyed && (is_small || lt_queue_maxsize(queue) == 0)) {
    size_t put;
    if (!is_small)
      lt_message_item_from(L, 2, &item, LT_LEND_STRINGS, describe_message, NULL);
    outcome = lt_queue_put(queue, lt_calling_parker(L), &item, NULL, 1, &put);
    if (outcome == LT_QUEUE_DONE)
      return 0;
    lt_message_item_free(&item);
    if (deadline == PLAT_AT_ONCE)
      return raise_outcome(L, outcome);
  }
  if (outcome == LT_QUEUE_FULL) {
    Putting *putting = push_putting(L, queue, 1);
    lua_pushvalue(L, 2);
    add_message(L, putting, 2, NULL);
    outcome = put_all(L, putting, deadline);
    drop_rest(putting);
  }
  return outcome == LT_QUEUE_DONE ? 0 : raise_outcome(L, outcome);
}

/*
** queue:put_nowait(message)
** The same as put(message, false). Follows Queue.put_nowait.
*/
static int queue_put_nowait(lua_State *L) {
  lt_check_any(L, 2);
  lt_check_most(L, 1, 1);
  lua_pushboolean(L, 0);
  return queue_put(L);
}

/* That many are put or got at one time. */
enum { MOST_MESSAGES = (INT_MAX < SIZE_MAX / 64 ? INT_MAX : SIZE_MAX / 64) };

/* n is the field 'n' or the length. */
static size_t check_list(lua_State *L, int arg) {
  lt_check_type(L, arg, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, arg);
  lua_pushliteral(L, "n");
  if (lua_rawget(L, arg) != LUA_TNIL) {
    int is_integer;
    count = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer || count < 0)
      lt_arg_error(L, &lt_TypeError, arg, "field 'n' must be a count, got %s",
                   luaL_tolstring(L, -1, NULL));
  }
  lua_pop(L, 1);
  if (count > MOST_MESSAGES)
    lt_arg_error(L, &lt_ValueError, arg,
                 "field 'n' is too large (%I): %d messages can be put at one time", count,
                 (int)MOST_MESSAGES);
  return (size_t)count;
}

/*
** queue:put_many(list [, block = true [, timeout]])
** Puts the messages list[1], ..., list[n] in this order, at the cost of one; n is list.n or #list.
** The arguments, and what it raises, are as for put: of what can't be transferred nothing is put.
** If it raises for another reason, some may be in the queue: the field 'put' of Full and ShutDown
** says how many.
*/
static int queue_put_many(lua_State *L) {
  lt_Queue *queue = check_queue(L);
  size_t count = check_list(L, 2);
  plat_Time deadline = opt_patience(L, 3);
  Putting *putting = push_putting(L, queue, count);
  lt_module_index_push(L, false);
  lt_PackBatch batch = {lua_gettop(L), 0};
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i);
    batch.first = (int)(i - 1);
    add_message(L, putting, 2, &batch);
  }
  lt_QueueOutcome outcome = put_all(L, putting, deadline);
  if (outcome == LT_QUEUE_DONE)
    return 0;
  lua_Integer put = (lua_Integer)putting->put;
  drop_rest(putting);
  if (outcome == LT_QUEUE_NO_MEMORY)
    return lt_raise_memory(L);
  const char *message = lua_pushfstring(L, "%s; %I of %I messages were put",
                                        text_of_outcome(outcome), put, (lua_Integer)count);
  lt_exception_push(L, class_of_outcome(outcome), message, 1);
  lua_pushinteger(L, put);
  lua_setfield(L, -2, "put");
  lt_throw(L);
}

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
  lt_Queue *queue = check_queue(L);
  plat_Time deadline = lua_gettop(L) == 1 ? PLAT_FOREVER : opt_patience(L, 2);
  lt_Thread *self = lt_calling_thread(L);
  Getting getting = {.use = {.queue = queue, .parker = self == NULL ? NULL : self->parker}};
  if (!try_to_get(&getting)) {
    lt_Wait wait = lt_queue_wait_to_get(&getting.use, try_to_get, deadline);
    wait_longer(L, &wait);
  }
  if (getting.outcome != LT_QUEUE_DONE)
    return raise_outcome(L, getting.outcome);
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
  lt_Queue *queue = check_queue(L);
  lt_spread_keywords(L, 2, names);
  lua_Integer max = lt_check_integer(L, 2);
  if (max < 1)
    return lt_arg_error(L, &lt_ValueError, 2, "'max' must be positive, got %I", max);
  plat_Time deadline = opt_timeout(L, 3);
  size_t most = max < MOST_MESSAGES ? (size_t)max : MOST_MESSAGES;
  GettingMany getting = {.use = {.queue = queue, .parker = lt_calling_parker(L)}, .max = most};
  if (!try_to_get_many(&getting)) {
    lt_Wait wait = lt_queue_wait_to_get(&getting.use, try_to_get_many, deadline);
    wait_longer(L, &wait);
  }
  if (getting.outcome != LT_QUEUE_DONE && getting.outcome != LT_QUEUE_EMPTY)
    return raise_outcome(L, getting.outcome);
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
  lua_pushinteger(L, (lua_Integer)lt_queue_size(check_queue(L)));
  return 1;
}

/* queue:empty() -> boolean. Whether there is none at this moment. Follows Queue.empty. */
static int queue_empty(lua_State *L) {
  lua_pushboolean(L, lt_queue_size(check_queue(L)) == 0);
  return 1;
}

/* queue:full() -> boolean. Whether there is no room at this moment. Follows Queue.full. */
static int queue_full(lua_State *L) {
  lt_Queue *queue = check_queue(L);
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
  if (!lt_queue_task_done(check_queue(L)))
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
  lt_Queue *queue = check_queue(L);
  lt_spread_keywords(L, 2, names);
  lt_Wait wait = lt_queue_wait_until_done(queue, opt_timeout(L, 2));
  lua_pushboolean(L, !wait.validate(wait.context) || wait_longer(L, &wait));
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
  lt_Queue *queue = check_queue(L);
  lt_spread_keywords(L, 2, names);
  lt_queue_shut_down(queue, lt_calling_parker(L), lt_opt_flag(L, 2, false));
  return 0;
}

static int queue_tostring(lua_State *L) {
  lt_Queue *queue = check_queue(L);
  lua_Integer maxsize = (lua_Integer)lt_queue_maxsize(queue);
  luaL_getmetafield(L, 1, "__name");
  lua_pushfstring(L, "<%s object qsize=%I maxsize=%I at %p>", lua_tostring(L, -1),
                  (lua_Integer)lt_queue_size(queue), maxsize, (void *)queue);
  return 1;
}

#define METHODS_OF_ALL                                                                             \
  {"put", queue_put}, {"put_nowait", queue_put_nowait}, {"put_many", queue_put_many},              \
      {"get", queue_get}, {"get_nowait", queue_get_nowait}, {"get_many", queue_get_many},          \
      {"qsize", queue_qsize}, {                                                                    \
    "empty", queue_empty                                                                           \
  }

static const luaL_Reg simple_queue_methods[] = {METHODS_OF_ALL, {NULL, NULL}};

static const luaL_Reg queue_methods[] = {
    METHODS_OF_ALL,       {"full", queue_full},         {"task_done", queue_task_done},
    {"join", queue_join}, {"shutdown", queue_shutdown}, {NULL, NULL}};

static const luaL_Reg queue_metamethods[] = {{"__tostring", queue_tostring}, {NULL, NULL}};

static const lt_Face simple_queue_face = {&simple_queue_class, simple_queue_methods,
                                          queue_metamethods};
static const lt_Type simple_queue_type = {"queue.SimpleQueue", &simple_queue_face, lt_queue_destroy,
                                          &lt_queue_tracing};
static const lt_Face queue_face = {&queue_class, queue_methods, queue_metamethods};
static const lt_Type queue_type = {"queue.Queue", &queue_face, lt_queue_destroy, &lt_queue_tracing};
static const lt_Face lifo_queue_face = {&lifo_queue_class, queue_methods, queue_metamethods};
static const lt_Type lifo_queue_type = {"queue.LifoQueue", &lifo_queue_face, lt_queue_destroy,
                                        &lt_queue_tracing};
static const lt_Face priority_queue_face = {&priority_queue_class, queue_methods,
                                            queue_metamethods};
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
