/*
** The methods of queues that put messages.
*/
#include "lib/queue_methods.h"

#include <math.h>
#include <string.h>

#include "src/transfer/module_names.h"

static void describe_message(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "message");
}

static void describe_element(lua_State *L, int value) {
  lua_pushfstring(L, "list[%d]", value + 1);
}

/*
** Items on their way into a queue; the first 'put' of them are in it. It is a userdata on the
** stack, whose finalizer frees what was not put if the function does not come to do that. If there
** is something to give back, it is done at once: see lt_message_give_back.
*/
typedef struct Putting {
  lt_QueueUse use; /* the queue is the function's argument, which stays on the stack */
  lt_QueueOutcome outcome;
  size_t count;
  size_t put;
  int place; /* on the stack */
  bool gives_back;
  lt_MessageItem *keys; /* for a PriorityQueue, else NULL */
  lt_MessageItem items[];
} Putting;

static void drop_rest(lua_State *L, Putting *putting) {
  for (; putting->put < putting->count; putting->put++) {
    lt_message_item_return(L, &putting->items[putting->put]);
    if (putting->keys != NULL)
      lt_message_item_free(&putting->keys[putting->put]);
  }
}

static int finalize_putting(lua_State *L) {
  drop_rest(L, lua_touserdata(L, 1));
  return 0;
}

static Putting *push_putting(lua_State *L, lt_Queue *queue, size_t capacity) {
  static const char key;
  bool keyed = lt_queue_order(queue) == LT_LEAST_FIRST;
  size_t size = sizeof(Putting) + capacity * sizeof(lt_MessageItem) * (keyed ? 2 : 1);
  Putting *putting = lua_newuserdatauv(L, size, 0);
  memset(putting, 0, sizeof(*putting)); /* the items are when they come */
  putting->use = (lt_QueueUse){.queue = queue, .parker = lt_calling_parker(L)};
  putting->place = lua_gettop(L);
  putting->keys = keyed ? putting->items + capacity : NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, finalize_putting);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, finalize_putting);
    lua_setfield(L, -2, "__close");
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
static void add_message(lua_State *L, Putting *putting, int arg, lt_DescribeValue describe,
                        const lt_PackBatch *batch) {
  size_t number = putting->count++;
  putting->items[number].kind = LT_SCALAR_NIL;
  if (putting->keys != NULL) {
    putting->keys[number].kind = LT_SCALAR_NIL;
    push_priority(L, arg);
    lt_message_item_from(L, -1, &putting->keys[number], LT_COPY_STRINGS, NULL, NULL);
    lua_pop(L, 1);
  }
  lt_message_item_from(L, -1, &putting->items[number], LT_LEND_STRINGS, describe, batch);
  lua_pop(L, 1);
  if (!putting->gives_back && lt_message_item_moves(&putting->items[number])) {
    putting->gives_back = true;
    lua_toclose(L, putting->place);
  }
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
    lt_queue_wait_longer(L, &wait);
  }
  return putting->outcome;
}

/*
** queue:put(message [, block = true [, timeout [, globals]]])
** Puts a copy of the message, any value that transfers, into the queue. If the queue is full, waits
** until there is room; with a timeout at most so many seconds; without 'block' not at all. Of the
** globals that functions in it name go along: all, none if 'globals' is false, or those of a list
** of names. By name: queue:put(message, {timeout = 0.5}). Raises Full when there is no room, ShutDown when the
** queue is shut down, TypeError for what can't be transferred (or, in a PriorityQueue, ordered),
** ValueError for a negative timeout. Follows Queue.put.
*/
int lt_queue_method_put(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  lt_QueueOutcome outcome = LT_QUEUE_FULL;
  lt_MessageItem item;
  bool is_small = lt_message_item_from_small(L, 2, &item);
  if (!is_small)
    lt_check_any(L, 2);
  lt_PackBatch batch = {0};
  plat_Time deadline = lua_gettop(L) == 2 ? PLAT_FOREVER : lt_queue_opt_put(L, 3, &batch.globals);
  bool is_keyed = lt_queue_order(queue) == LT_LEAST_FIRST;
  if (!is_keyed && (is_small || lt_queue_maxsize(queue) == 0)) {
    size_t put;
    if (!is_small)
      lt_message_item_from(L, 2, &item, LT_LEND_STRINGS, describe_message, &batch);
    outcome = lt_queue_put(queue, lt_calling_parker(L), &item, NULL, 1, &put);
    if (outcome == LT_QUEUE_DONE)
      return 0;
    lt_message_item_return(L, &item);
    if (deadline == PLAT_AT_ONCE)
      return lt_queue_raise(L, outcome);
  }
  if (outcome == LT_QUEUE_FULL) {
    Putting *putting = push_putting(L, queue, 1);
    lua_pushvalue(L, 2);
    add_message(L, putting, 2, describe_message, &batch);
    outcome = put_all(L, putting, deadline);
    drop_rest(L, putting);
  }
  return outcome == LT_QUEUE_DONE ? 0 : lt_queue_raise(L, outcome);
}

/*
** queue:put_nowait(message [, {globals=}])
** The same as put(message, false). Follows Queue.put_nowait.
*/
int lt_queue_method_put_nowait(lua_State *L) {
  static const char *const names[] = {"globals", NULL};
  enum { BLOCK = 3, TIMEOUT, GLOBALS };
  lt_check_any(L, 2);
  lt_check_most(L, 1, lua_istable(L, BLOCK) ? 2 : 1);
  if (lua_istable(L, BLOCK)) {
    lt_spread_keywords(L, BLOCK, names);
    lt_opt_globals(L, BLOCK);
  }
  lua_settop(L, GLOBALS);
  lua_copy(L, BLOCK, GLOBALS);
  lua_pushnil(L);
  lua_replace(L, TIMEOUT);
  lua_pushboolean(L, 0);
  lua_replace(L, BLOCK);
  return lt_queue_method_put(L);
}

/*
** queue:put_many(list [, block = true [, timeout [, globals]]])
** Puts the messages list[1], ..., list[n] in this order, at the cost of one; n is list.n or #list.
** The arguments, and what it raises, are as for put: of what can't be transferred nothing is put.
** If it raises for another reason, some may be in the queue: the field 'put' of Full and ShutDown
** says how many.
*/
int lt_queue_method_put_many(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  lua_Integer length = lt_check_list(L, 2);
  if (length > LT_QUEUE_MOST)
    lt_arg_error(L, &lt_ValueError, 2,
                 "field 'n' is too large (%I): %d messages can be put at one time", length,
                 (int)LT_QUEUE_MOST);
  size_t count = (size_t)length;
  lt_PackBatch batch = {0};
  plat_Time deadline = lt_queue_opt_put(L, 3, &batch.globals);
  Putting *putting = push_putting(L, queue, count);
  lt_module_index_push(L, false, NULL);
  batch.names = lua_gettop(L);
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i);
    batch.first = (int)(i - 1);
    add_message(L, putting, 2, describe_element, &batch);
  }
  lt_QueueOutcome outcome = put_all(L, putting, deadline);
  if (outcome == LT_QUEUE_DONE)
    return 0;
  lua_Integer put = (lua_Integer)putting->put;
  drop_rest(L, putting);
  if (outcome == LT_QUEUE_NO_MEMORY)
    return lt_raise_memory(L);
  const char *message = lua_pushfstring(L, "%s; %I of %I messages were put",
                                        lt_queue_error_text(outcome), put, (lua_Integer)count);
  lt_exception_push(L, lt_queue_error_class(outcome), message, 1);
  lua_pushinteger(L, put);
  lua_setfield(L, -2, "put");
  lt_throw(L);
}
