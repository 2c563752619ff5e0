/*
** Queues: any number of threads put items, any number get them, each item once. Items have been
** packed before, and are unpacked later: nothing here takes a state. Nothing waits long either:
** it says that there is no room, or no item, and gives the lt_Wait that waits for it.
*/
#ifndef lt_queue_h
#define lt_queue_h

#include "src/shared/queue_parts.h"

/* Everywhere here 'parker' is that of the calling thread; NULL: it has none, and yields instead. */

/* 'maxsize' is 0 for no bound. NULL without memory. The type has what follows. */
lt_Queue *lt_queue_new(const lt_Type *type, lt_QueueOrder order, uint64_t maxsize);
void lt_queue_destroy(lt_Object *object);
extern const lt_Tracing lt_queue_tracing;

lt_QueueOrder lt_queue_order(const lt_Queue *queue);
uint64_t lt_queue_maxsize(const lt_Queue *queue);
uint64_t lt_queue_size(const lt_Queue *queue);

typedef enum lt_QueueOutcome {
  LT_QUEUE_DONE,
  LT_QUEUE_FULL,
  LT_QUEUE_EMPTY,
  LT_QUEUE_SHUT_DOWN,
  LT_QUEUE_UNORDERED, /* the key can't be compared with those in the queue */
  LT_QUEUE_NO_MEMORY
} lt_QueueOutcome;

/*
** Puts items, which become the queue's, as many as it can without waiting; '*put' says how many.
** The outcome is that of the first one that was not put. 'keys', for LT_LEAST_FIRST, go with them.
*/
lt_QueueOutcome lt_queue_put(lt_Queue *queue, lt_Parker *parker, const lt_MessageItem *items,
                             const lt_MessageItem *keys, size_t count, size_t *put);

/*
** Takes one item, without waiting. Of the entry only a heap sets more than the item. It may be put
** back, before all others like it, unless memory is short, or keys of another kind have come.
*/
lt_QueueOutcome lt_queue_get(lt_Queue *queue, lt_Parker *parker, lt_HeapEntry *got);
bool lt_queue_put_back(lt_Queue *queue, lt_Parker *parker, const lt_HeapEntry *got);

/* Frees what was got, if its key was nil before. */
static inline void lt_queue_free_got(lt_HeapEntry *got) {
  if (got->item.kind == LT_ITEM_MESSAGE)
    lt_message_item_free(&got->key);
  lt_message_item_free(&got->item);
}

/*
** Takes 1 to 'max' items, without waiting. They are in the batch until it is freed, with them, or
** put back: to where they would be had they not been taken, except for the one numbered 'but',
** which is freed.
*/
typedef struct lt_QueueBatch {
  size_t count;
  lt_Segment *segment;   /* the items, or */
  lt_HeapEntry *entries; /* those of a heap */
} lt_QueueBatch;

lt_QueueOutcome lt_queue_get_batch(lt_Queue *queue, lt_Parker *parker, size_t max,
                                   lt_QueueBatch *batch);
const lt_MessageItem *lt_queue_batch_item(const lt_QueueBatch *batch, size_t number);
void lt_queue_batch_free(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch);
void lt_queue_batch_put_back(lt_Queue *queue, lt_Parker *parker, lt_QueueBatch *batch, size_t but);

/*
** What waits until 'take' has put, or got; until all that was put is done. 'take' tries that, with
** what begins with an lt_QueueUse; false: there is no room yet, or no item.
*/
typedef struct lt_QueueUse {
  lt_Queue *queue;
  lt_Parker *parker;
  lt_QueueEnd *end; /* where the wait is */
} lt_QueueUse;

lt_Wait lt_queue_wait_to_put(lt_QueueUse *use, lt_Take take, plat_Time deadline);
lt_Wait lt_queue_wait_to_get(lt_QueueUse *use, lt_Take take, plat_Time deadline);
lt_Wait lt_queue_wait_until_done(lt_Queue *queue, plat_Time deadline);

/* Counts an item as done; false if all are. */
bool lt_queue_task_done(lt_Queue *queue);
uint64_t lt_queue_unfinished(const lt_Queue *queue);

/* From now on nothing can be put; with 'immediate', what is there is dropped and counts as done. */
void lt_queue_shut_down(lt_Queue *queue, lt_Parker *parker, bool immediate);
bool lt_queue_is_shut_down(const lt_Queue *queue);

/* Whether a getter would not wait: there is an item, or it is shut down. */
bool lt_queue_is_readable(const lt_Queue *queue);
lt_Sight lt_queue_sight(lt_Queue *queue);

/*
** A descriptor that is readable while a getter would not wait; it is the queue's. Made at the first
** call. 0 or an errno.
*/
int lt_queue_descriptor(lt_Queue *queue, int *descriptor);
void lt_queue_signals_after_fork(void);

/*
** For the files of the queue alone
*/

/* Puts the descriptor right, once that is asked for in 'waiting'. */
void lt_queue_signal(lt_Queue *queue);
void lt_queue_signal_free(lt_Queue *queue);

/*
** After so many changes of an end are published, or by somebody who leaves without having taken
** what he may have been woken for, which is still there: another one is woken in his place.
*/
void lt_queue_wake(lt_Queue *queue, lt_QueueEnd *end, uint64_t changes);

/*
** With the head's lock: how many items may be got, as far as so many are wanted; if none, 'outcome'
** says why.
*/
uint64_t lt_queue_gettable(lt_Queue *queue, size_t wanted, lt_QueueOutcome *outcome);

/* For a queue that nobody gets from any more: drops what is left, which counts as done. */
void lt_queue_drop_all(lt_Queue *queue, lt_Parker *parker);

#endif
