/*
** A queue as the collector sees it: it holds the queue still for a step at a time, and notices by
** the number of changes whether the queue has been used in between.
*/
#include "src/shared/queue.h"

static void hold_still(lt_Queue *queue) {
  lt_lock_acquire_brief(&queue->tail.lock, NULL, "queue", queue);
  lt_lock_acquire_brief(&queue->head.lock, NULL, "queue", queue);
}

static void queue_let_go(lt_Queue *queue) {
  lt_lock_release(&queue->head.lock);
  lt_lock_release(&queue->tail.lock);
}

static const lt_MessageItem *item_at(const lt_Queue *queue, lt_QueueCursor *cursor) {
  return queue->order == LT_FIRST_FIRST ? lt_segments_at(&cursor->place)
                                        : &queue->heap.entries[cursor->entry].item;
}

/* Visits what is left of the item at the cursor, as far as 'steps' last; false: not all. */
static bool visit_item(const lt_MessageItem *item, size_t *reference, size_t *steps, lt_Visit visit,
                       void *context) {
  size_t count = lt_message_item_references(item);
  for (; *reference<count && * steps> 0; ++*reference, --*steps) {
    const lt_Object *object = lt_message_item_reference(item, *reference);
    if (object != NULL)
      visit(context, object);
  }
  return *reference == count;
}

static void visit_items(lt_Queue *queue, lt_Visit visit, void *context) {
  lt_QueueCursor *cursor = &queue->cursor;
  size_t steps = LT_TRAVERSE_STEP;
  while (cursor->left > 0 && steps > 0) {
    if (!visit_item(item_at(queue, cursor), &cursor->reference, &steps, visit, context))
      return;
    cursor->place.index++;
    cursor->entry++;
    cursor->reference = 0;
    cursor->left--;
    steps -= steps > 0;
  }
}

static uint64_t queue_traverse(lt_Object *object, size_t *position, lt_Visit visit, void *context) {
  lt_Queue *queue = (lt_Queue *)object;
  hold_still(queue);
  uint64_t put = lt_queue_count_at(&queue->tail);
  uint64_t got = lt_queue_count_at(&queue->head);
  uint64_t changes = put + got + 2 * queue->returned; /* got goes back by what is returned */
  if (*position == 0)
    queue->cursor =
        (lt_QueueCursor){queue->head.place, 0, 0, queue->may_refer ? put - got : 0, changes};
  if (*position != LT_TRAVERSE_END) {
    if (changes == queue->cursor.changes)
      visit_items(queue, visit, context);
    else
      queue->cursor.left = 0; /* the place may be gone, and the collector stops here */
    *position = queue->cursor.left > 0 ? 1 : LT_TRAVERSE_END;
  }
  queue_let_go(queue);
  return changes;
}

static void queue_clear(lt_Object *object) {
  lt_queue_drop_all((lt_Queue *)object, NULL);
}

const lt_Tracing lt_queue_tracing = {queue_traverse, queue_clear};
