/*
** What shuts a queue down when nobody has it any more: the executor that has put tasks there is gone,
** and those who wait for more may end.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "lib/queue_methods.h"

typedef struct QueueKeeper {
  lt_Traced traced;
  lt_Queue *queue; /* a reference; never changes, but for clear */
} QueueKeeper;

static void let_queue_go(QueueKeeper *keeper) {
  lt_Queue *queue = keeper->queue;
  keeper->queue = NULL;
  if (queue == NULL)
    return;
  lt_queue_shut_down(queue, NULL, false);
  lt_object_release((lt_Object *)queue);
}

static void queue_keeper_destroy(lt_Object *object) {
  QueueKeeper *keeper = (QueueKeeper *)object;
  lt_traced_finish(&keeper->traced);
  let_queue_go(keeper);
  free(keeper);
}

static uint64_t queue_keeper_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                      void *context) {
  const QueueKeeper *keeper = (const QueueKeeper *)object;
  if (keeper->queue != NULL)
    visit(context, (const lt_Object *)keeper->queue);
  *position = LT_TRAVERSE_END;
  return 0;
}

static void queue_keeper_clear(lt_Object *object) {
  let_queue_go((QueueKeeper *)object);
}

static const lt_Tracing queue_keeper_tracing = {queue_keeper_traverse, queue_keeper_clear};

static const lt_Type queue_keeper_type;

/* QueueKeeper(queue) -> object. Shuts the queue down when the last reference to it is gone. */
static int new_queue_keeper(lua_State *L) {
  lt_Queue *queue = lt_queue_check(L);
  QueueKeeper *keeper = malloc(sizeof(*keeper));
  if (keeper == NULL)
    return lt_raise_memory(L);
  keeper->queue = queue;
  lt_object_retain((lt_Object *)queue);
  lt_traced_init(&keeper->traced, &queue_keeper_type);
  lt_object_push_own(L, &keeper->traced.object);
  return 1;
}

LT_CLASS(lt_QueueKeeperType, "lthread.QueueKeeper", NULL, new_queue_keeper);

static const luaL_Reg no_methods[] = {{NULL, NULL}};

static const lt_Face queue_keeper_face = {&lt_QueueKeeperType, no_methods, no_methods, NULL, NULL};
static const lt_Type queue_keeper_type = {"lthread.QueueKeeper", &queue_keeper_face,
                                          queue_keeper_destroy, &queue_keeper_tracing};
