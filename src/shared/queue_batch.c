/*
** Batches of a queue: many items for one lock and one wake-up. Of a queue in the order of coming a
** batch is a segment, so that it can be put back in one step; of a heap it is the entries, whose
** room there is kept until they are freed or put back.
*/
#include "src/shared/queue.h"

#include <stdlib.h>
#include <string.h>

const lt_MessageItem *lt_queue_batch_item(const lt_QueueBatch *batch, size_t number) {
  return batch->segment != NULL ? &lt_segment_items(batch->segment)[number]
                                : &batch->entries[number].item;
}

static bool allocate_batch(const lt_Queue *queue, size_t capacity, lt_QueueBatch *batch) {
  *batch = (lt_QueueBatch){capacity, NULL, NULL};
  if (queue->order == LT_FIRST_FIRST)
    batch->segment = lt_segment_new(capacity);
  else
    batch->entries = malloc(capacity * sizeof(lt_HeapEntry));
  return batch->segment != NULL || batch->entries != NULL;
}

static void free_room(lt_QueueBatch *batch) {
  lt_segment_free(batch->segment);
  free(batch->entries);
}

static void take_batch(lt_Queue *queue, lt_QueueBatch *batch) {
  if (batch->segment != NULL)
    lt_segments_take(&queue->head.place, lt_segment_items(batch->segment), batch->count);
  else
    for (size_t i = 0; i < batch->count; i++)
      lt_heap_take(&queue->heap, &batch->entries[i]);
  lt_queue_publish_count(&queue->head, lt_queue_count_at(&queue->head) + batch->count);
}

lt_QueueOutcome lt_queue_get_batch(lt_Queue *queue, lt_Parker *parker, size_t max,
                                   lt_QueueBatch *batch) {
  lt_QueueOutcome outcome;
  lt_QueueClosing state = lt_queue_closing(queue); /* first, so that the size is the last one */
  uint64_t size = lt_queue_size(queue);
  batch->count = 0;
  if (size == 0)
    return state == LT_QUEUE_OPEN ? LT_QUEUE_EMPTY : LT_QUEUE_SHUT_DOWN;
  if (!allocate_batch(queue, size < max ? (size_t)size : max, batch)) {
    batch->count = 0;
    lt_queue_wake(queue, &queue->tail, 1);
    return LT_QUEUE_NO_MEMORY;
  }
  lt_lock_acquire_brief(lt_queue_head_lock(queue), parker, "queue", queue);
  uint64_t count = lt_queue_gettable(queue, batch->count, &outcome);
  if (count < batch->count)
    batch->count = (size_t)count;
  take_batch(queue, batch);
  lt_lock_release(lt_queue_head_lock(queue));
  lt_queue_wake(queue, &queue->head, batch->count);
  if (batch->count == 0)
    free_room(batch);
  return outcome;
}

void lt_queue_batch_free(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch) {
  if (batch->segment != NULL) {
    for (size_t i = 0; i < batch->count; i++)
      lt_message_item_free(&lt_segment_items(batch->segment)[i]);
  } else {
    for (size_t i = 0; i < batch->count; i++)
      lt_heap_entry_free(&batch->entries[i]);
    lt_lock_acquire_brief(&queue->tail.lock, parker, "queue", queue);
    lt_heap_settle(&queue->heap, batch->count);
    lt_lock_release(&queue->tail.lock);
  }
  free_room(batch);
}

static void put_back_items(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but) {
  lt_MessageItem *items = lt_segment_items(batch->segment);
  if (but < batch->count) {
    lt_message_item_free(&items[but]);
    memmove(&items[but], &items[but + 1], (batch->count - but - 1) * sizeof(lt_MessageItem));
    batch->count--;
  }
  lt_lock_acquire_brief(&queue->head.lock, parker, "queue", queue);
  lt_segments_put_back(&queue->head.place, batch->segment, batch->count);
  lt_queue_publish_count(&queue->head, lt_queue_count_at(&queue->head) - batch->count);
  queue->returned += batch->count;
  lt_lock_release(&queue->head.lock);
}

static void put_back_entries(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but) {
  size_t taken = batch->count;
  lt_lock_acquire_brief(&queue->tail.lock, parker, "queue", queue);
  for (size_t i = taken; i-- > 0;)
    if (i != but)
      lt_heap_put_back(&queue->heap, &batch->entries[i]);
  if (but < taken) {
    lt_heap_settle(&queue->heap, 1);
    batch->count--;
  }
  lt_queue_publish_count(&queue->head, lt_queue_count_at(&queue->head) - batch->count);
  queue->returned += batch->count;
  lt_lock_release(&queue->tail.lock);
  if (but < taken)
    lt_heap_entry_free(&batch->entries[but]);
  free(batch->entries);
}

void lt_queue_batch_put_back(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but) {
  if (batch->segment != NULL)
    put_back_items(queue, parker, batch, but);
  else
    put_back_entries(queue, parker, batch, but);
  lt_queue_wake(queue, &queue->tail, batch->count);
  if (lt_queue_closing(queue) == LT_QUEUE_CLOSED)
    lt_queue_drop_all(queue, parker);
}

/*
** One that was taken by itself goes back as a batch of one.
*/

static bool reserve_in_heap(lt_Queue *queue, lt_Parker *parker, const lt_HeapEntry *entry) {
  lt_lock_acquire_brief(&queue->tail.lock, parker, "queue", queue);
  bool has_room = lt_heap_fits(&queue->heap, &entry->key) && lt_heap_reserve(&queue->heap);
  if (has_room)
    queue->heap.reserved++;
  lt_lock_release(&queue->tail.lock);
  return has_room;
}

bool lt_queue_put_back(lt_Queue *queue, lt_Parker *parker, const lt_HeapEntry *got) {
  lt_QueueBatch batch;
  if (!allocate_batch(queue, 1, &batch))
    return false;
  if (batch.segment != NULL) {
    lt_segment_items(batch.segment)[0] = got->item;
  } else if (reserve_in_heap(queue, parker, got)) {
    batch.entries[0] = *got;
  } else {
    free_room(&batch);
    return false;
  }
  lt_queue_batch_put_back(queue, parker, &batch, batch.count);
  return true;
}
