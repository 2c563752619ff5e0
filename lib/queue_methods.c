#include "lib/queue_methods.h"

#include "src/thread/wait.h"

LT_CLASS(lt_Empty, "Empty", &lt_Exception, NULL);
LT_CLASS(lt_Full, "Full", &lt_Exception, NULL);
LT_CLASS(lt_ShutDown, "ShutDown", &lt_Exception, NULL);

lt_Queue *lt_queue_check(lua_State *L) {
  lt_Object *object = lt_object_at(L, 1);
  if (object == NULL || object->type->destroy != lt_queue_destroy)
    lt_arg_type_error(L, 1, "queue");
  return (lt_Queue *)object;
}

plat_Time lt_queue_opt_timeout(lua_State *L, int arg) {
  if (lua_isnumber(L, arg) && lua_tonumber(L, arg) < 0)
    lt_arg_error(L, &lt_ValueError, arg, "'timeout' must be a non-negative number, got %f",
                 lua_tonumber(L, arg));
  return lt_opt_deadline(L, arg);
}

static plat_Time opt_patience(lua_State *L, int arg, const char *const *names) {
  lt_spread_keywords(L, arg, names);
  if (!lt_opt_waits(L, arg))
    return PLAT_AT_ONCE;
  return lt_queue_opt_timeout(L, arg + 1);
}

plat_Time lt_queue_opt_patience(lua_State *L, int arg) {
  static const char *const names[] = {"block", "timeout", NULL};
  return opt_patience(L, arg, names);
}

plat_Time lt_queue_opt_put(lua_State *L, int arg, int *globals) {
  static const char *const names[] = {"block", "timeout", "globals", NULL};
  plat_Time deadline = opt_patience(L, arg, names);
  *globals = lua_isnoneornil(L, arg + 2) ? 0 : lt_opt_globals(L, arg + 2);
  return deadline;
}

bool lt_queue_wait_longer(lua_State *L, lt_Wait *wait) {
  return wait->deadline != PLAT_AT_ONCE && lt_wait(L, lt_self(L), wait);
}

lt_Class *lt_queue_error_class(lt_QueueOutcome outcome) {
  return outcome == LT_QUEUE_FULL        ? &lt_Full
         : outcome == LT_QUEUE_EMPTY     ? &lt_Empty
         : outcome == LT_QUEUE_SHUT_DOWN ? &lt_ShutDown
                                         : &lt_TypeError;
}

const char *lt_queue_error_text(lt_QueueOutcome outcome) {
  return outcome == LT_QUEUE_FULL        ? "the queue is full"
         : outcome == LT_QUEUE_EMPTY     ? "the queue is empty"
         : outcome == LT_QUEUE_SHUT_DOWN ? "the queue is shut down"
                                         : "numbers and strings can't be priorities in one queue";
}

int lt_queue_raise(lua_State *L, lt_QueueOutcome outcome) {
  if (outcome == LT_QUEUE_NO_MEMORY)
    return lt_raise_memory(L);
  lt_exception_push(L, lt_queue_error_class(outcome), lt_queue_error_text(outcome), 1);
  lt_throw(L);
}
