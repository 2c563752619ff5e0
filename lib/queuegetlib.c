/*
** The methods of queues that get. each() has a file of its own.
*/
#include "lib/queue_methods.h"

#include "src/base/protected_call.h"
#include "src/thread/interrupt.h"

/*
** One message
*/

/* One item on its way out of a queue. */
typedef struct Getting {
  lt_QueueUse use;
  lt_QueueOutcome outcome;
  lt_HeapEntry entry; /* only a heap has more than the item */
} Getting;

/* False: the queue is empty. */
static bool try_to_get(void *context) {
  Getting *getting = context;
  getting->outcome = lt_queue_get(getting->use.queue, getting->use.parker, &getting->entry);
  return getting->outcome != LT_QUEUE_EMPTY;
}

/*
** Pushes the value, or what goes wrong in that. Code of the script may run, for a module that is
** not loaded yet. Where that is interrupted, the message goes back to where it was; what fails
** otherwise is gone, and counts as done.
*/
static int receive(lua_State *L, Getting *getting) {
  lt_MessageItem *item = &getting->entry.item;
  int status = lt_message_item_try_push(L, item);
  if (item->kind < LT_SCALAR_KINDS)
    return status;
  if (status != LUA_OK) {
    if (item->kind == LT_ITEM_MESSAGE && lt_is_interrupt(L, -1) &&
        lt_queue_put_back(getting->use.queue, getting->use.parker, &getting->entry))
      return status;
    lt_queue_task_done(getting->use.queue);
  }
  lt_queue_free_got(&getting->entry);
  return status;
}

static inline lt_QueueOutcome get_message(lua_State *L, lt_Thread *self, lt_Queue *queue,
                                          plat_Time deadline) {
  Getting getting;
  getting.use = (lt_QueueUse){.queue = queue, .parker = self == NULL ? NULL : self->parker};
  getting.entry.key.kind = LT_SCALAR_NIL;
  if (!try_to_get(&getting)) {
    lt_Wait wait = lt_queue_wait_to_get(&getting.use, try_to_get, deadline);
    lt_queue_wait_longer(L, &wait);
  }
  if (getting.outcome == LT_QUEUE_DONE && receive(L, &getting) != LUA_OK)
    lt_throw(L);
  return getting.outcome;
}

lt_QueueOutcome lt_queue_get_message(lua_State *L, lt_Thread *self, lt_Queue *queue,
                                     plat_Time deadline) {
  return get_message(L, self, queue, deadline);
}

/*
** queue:get([block = true [, timeout]]) -> message
** Takes the next message from the queue. If the queue is empty, waits for one; with a timeout at
** most so many seconds; without 'block' not at all. By name: queue:get{timeout = 0.5}. A message
** may be nil: that there is none raises Empty. Raises ShutDown when the queue is shut down and
** empty, ValueError for a negative timeout; and what goes wrong in receiving the message, such as
** a module that is not found: the message is gone then, and counts as done. Follows Queue.get.
*/
int lt_queue_method_get(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  plat_Time deadline = lua_gettop(L) == 1 ? PLAT_FOREVER : lt_queue_opt_patience(L, 2);
  lt_Thread *self = lt_calling_thread(L);
  lt_QueueOutcome outcome = get_message(L, self, queue, deadline);
  if (outcome != LT_QUEUE_DONE)
    return lt_queue_raise(L, outcome);
  lt_interrupt_spare_next(self);
  return 1;
}

/*
** queue:get_nowait() -> message
** The same as get(false). Follows Queue.get_nowait.
*/
int lt_queue_method_get_nowait(lua_State *L) {
  lt_check_most(L, 1, 0);
  lua_settop(L, 1);
  lua_pushboolean(L, 0);
  return lt_queue_method_get(L);
}

/*
** queue:try_get() -> true and a message, or false
** The same as get(false), but returns false where that raises Empty.
*/
int lt_queue_method_try_get(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  lt_Thread *self = lt_calling_thread(L);
  lt_check_most(L, 1, 0);
  lua_pushboolean(L, 1);
  lt_QueueOutcome outcome = get_message(L, self, queue, PLAT_AT_ONCE);
  if (outcome == LT_QUEUE_EMPTY) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (outcome != LT_QUEUE_DONE)
    return lt_queue_raise(L, outcome);
  lt_interrupt_spare_next(self);
  return 2;
}

/*
** Many
*/

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

/*
** Pushes the list of what was got. If that fails, the one that was being received is gone, but not
** if it was interrupted.
*/
static void push_batch(lua_State *L, GettingMany *getting) {
  lt_Queue *queue = getting->use.queue;
  lt_QueueBatch *batch = &getting->batch;
  getting->received = SIZE_MAX;
  int status = lt_protected_call(L, receive_batch, getting, 0, 1);
  bool is_lost = status != LUA_OK && getting->received < batch->count && !lt_is_interrupt(L, -1);
  if (batch->count > 0 && status == LUA_OK)
    lt_queue_batch_free(queue, getting->use.parker, batch);
  else if (batch->count > 0)
    lt_queue_batch_put_back(queue, getting->use.parker, batch,
                            is_lost ? getting->received : batch->count);
  if (status == LUA_OK)
    return;
  if (is_lost)
    lt_queue_task_done(queue);
  lt_throw(L);
}

/*
** queue:get_many([max [, timeout]]) -> list
** Takes as many messages as there are, at most 'max' of them, at the cost of one; if the queue is
** empty, waits for the first one, with a timeout at most so many seconds. Returns the messages in
** order and their number in the field n: 0 if the time is up. By name: get_many{max = 100,
** timeout = 0}. Raises ShutDown when the queue is shut down and empty, ValueError for a negative
** timeout or a 'max' below 1; and what goes wrong in receiving a message: that one is gone then,
** and counts as done; the others are back in the queue.
*/
int lt_queue_method_get_many(lua_State *L) {
  static const char *const names[] = {"max", "timeout", NULL};
  lt_Queue *queue = lt_queue_check(L);
  lt_spread_keywords(L, 2, names);
  lua_Integer max = lua_isnoneornil(L, 2) ? LT_QUEUE_MOST : lt_check_integer(L, 2);
  if (max < 1)
    return lt_arg_error(L, &lt_ValueError, 2, "'max' must be positive, got %I", max);
  plat_Time deadline = lt_queue_opt_timeout(L, 3);
  size_t most = max < LT_QUEUE_MOST ? (size_t)max : LT_QUEUE_MOST;
  lt_Thread *self = lt_calling_thread(L);
  GettingMany getting = {.use = {.queue = queue, .parker = self == NULL ? NULL : self->parker},
                         .max = most};
  if (!try_to_get_many(&getting)) {
    lt_Wait wait = lt_queue_wait_to_get(&getting.use, try_to_get_many, deadline);
    lt_queue_wait_longer(L, &wait);
  }
  if (getting.outcome != LT_QUEUE_DONE && getting.outcome != LT_QUEUE_EMPTY)
    return lt_queue_raise(L, getting.outcome);
  push_batch(L, &getting);
  lt_interrupt_spare_next(self);
  return 1;
}
