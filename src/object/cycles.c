/*
** How garbage is found while other threads work:
**
**   1. List all traced objects, and write down of each the word of its references and what it
**      refers to. This is a snapshot, but not of one moment.
**   2. Objects with more references than the snapshots explain are in use, and all they lead to.
**      The others are candidates.
**   3. Compare the candidates with their snapshots. One that has changed is in use, and all it
**      leads to.
**   4. Clear the rest.
**
** Why nobody can reach the rest: between the last snapshot and the first comparison there was a
** moment at which all of it was as written down. (The word of references shows each taking even if
** it has come back to its old count, and tables and queues count their changes.) At that moment all
** references to the rest came from within the rest: no thread could reach it, nor ever will.
** spec/model/collector.pml shows that no step can be left out.
**
** Shared state: the lists of the shards, under their mutexes; 'due', atomic. All else belongs to
** the one thread that collects, which 'running' lets in; it has a reference to every object that
** it works on.
*/
#include "src/object/cycles.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/growing_array.h"
#include "src/base/probe.h"
#include "src/base/shared_memory.h"
#include "src/sync/lock.h"

#define SHARDS 16
#define BATCH 256          /* objects that are listed at a time */
#define FEWEST_OBJECTS 512 /* in a shard that is worth a collection */

typedef struct Shard {
  _Alignas(PLAT_CACHE_LINE) plat_Mutex mutex;
  lt_Traced *first;
  size_t count;
  size_t limit; /* a collection is due when there are more */
} Shard;

#define EMPTY_SHARD                                                                                \
  { PLAT_MUTEX_INIT, NULL, 0, FEWEST_OBJECTS }
#define EMPTY_4 EMPTY_SHARD, EMPTY_SHARD, EMPTY_SHARD, EMPTY_SHARD

static Shard shards[SHARDS] = {EMPTY_4, EMPTY_4, EMPTY_4, EMPTY_4};
static atomic_bool due;
static lt_Lock running;
static bool disabled; /* written in the child of a fork, where there is no other thread */

static Shard *shard_of(const lt_Traced *traced) {
  return &shards[((uint64_t)(uintptr_t)traced * UINT64_C(0x9E3779B97F4A7C15)) >> 60];
}

void lt_traced_init(lt_Traced *traced, const lt_Type *type) {
  Shard *shard = shard_of(traced);
  lt_object_init(&traced->object, type);
  traced->node = 0;
  traced->previous = NULL;
  plat_mutex_lock(&shard->mutex);
  traced->next = shard->first;
  if (traced->next != NULL)
    traced->next->previous = traced;
  shard->first = traced;
  if (++shard->count > shard->limit)
    /* Relaxed: it is only a hint. */
    atomic_store_explicit(&due, true, memory_order_relaxed);
  plat_mutex_unlock(&shard->mutex);
}

void lt_traced_finish(lt_Traced *traced) {
  Shard *shard = shard_of(traced);
  plat_mutex_lock(&shard->mutex);
  if (traced->previous != NULL)
    traced->previous->next = traced->next;
  else
    shard->first = traced->next;
  if (traced->next != NULL)
    traced->next->previous = traced->previous;
  shard->count--;
  plat_mutex_unlock(&shard->mutex);
}

/*
** The snapshots
*/

typedef struct Node {
  lt_Traced *traced;
  uint64_t references; /* the word */
  uint64_t changes;    /* what traverse returned */
  size_t internal;     /* references that come from nodes */
  size_t first_edge;
  bool in_use;
} Node;

typedef struct Collector {
  Node *nodes;
  size_t node_count;
  size_t node_capacity;
  size_t *edges; /* the nodes that node i refers to, from its first edge to the next node's */
  size_t edge_count;
  size_t edge_capacity;
  size_t *pending; /* nodes in use whose edges have not been followed */
  size_t pending_count;
  lt_Collection *collection;
} Collector;

static bool reserve_nodes(Collector *collector) {
  size_t needed = collector->node_count + BATCH;
  return needed <= collector->node_capacity ||
         lt_array_grow(&collector->nodes, NULL, &collector->node_capacity, needed, sizeof(Node));
}

static bool reserve_edges(Collector *collector) {
  size_t needed = collector->edge_count + LT_TRAVERSE_STEP;
  return needed <= collector->edge_capacity ||
         lt_array_grow(&collector->edges, NULL, &collector->edge_capacity, needed, sizeof(size_t));
}

/*
** Adds the object as a node, with a reference, unless it is about to be destroyed. How often it was
** taken is counted from here on.
*/
static void add_node(Collector *collector, lt_Traced *traced) {
  atomic_uint_least64_t *word = &traced->object.references;
  uint64_t references = atomic_load_explicit(word, memory_order_relaxed);
  uint64_t retained;
  do {
    if (LT_REFERENCE_COUNT(references) == 0)
      return;
    retained = (uint64_t)LT_REFERENCE_COUNT(references) + 1;
  } while (!atomic_compare_exchange_weak(word, &references, retained));
  traced->node = collector->node_count;
  collector->nodes[collector->node_count++] = (Node){traced, retained, 0, 0, 0, false};
}

/*
** An object is new at the head of its list, and one that is a node stays in it: so the list can
** be left and gone on with behind the last node.
*/
static bool list_shard(Collector *collector, Shard *shard) {
  lt_Traced *last = NULL;
  bool more = true;
  while (more) {
    if (!reserve_nodes(collector))
      return false;
    size_t full = collector->node_count + BATCH;
    plat_mutex_lock(&shard->mutex);
    lt_Traced *traced = last == NULL ? shard->first : last->next;
    while (traced != NULL && collector->node_count < full) {
      add_node(collector, traced);
      traced = traced->next;
    }
    plat_mutex_unlock(&shard->mutex);
    more = traced != NULL;
    if (more)
      last = collector->nodes[collector->node_count - 1].traced;
  }
  return true;
}

static void visit(void *context, const lt_Object *object) {
  Collector *collector = context;
  if (object->type->tracing == NULL)
    return;
  size_t node = ((const lt_Traced *)object)->node;
  if (node >= collector->node_count || &collector->nodes[node].traced->object != object)
    return; /* it is newer than the list */
  collector->edges[collector->edge_count++] = node;
  collector->nodes[node].internal++;
}

/* One that changes meanwhile is in use: what is written down of it does no harm. */
static uint64_t cycles_traverse(Collector *collector, const Node *node, size_t *position) {
  lt_Object *object = &node->traced->object;
  plat_Time begin = collector->collection != NULL ? plat_now() : 0;
  uint64_t changes = object->type->tracing->traverse(object, position, visit, collector);
  if (collector->collection != NULL) {
    plat_Time step = plat_now() - begin;
    if (step > collector->collection->longest_step)
      collector->collection->longest_step = step;
  }
  return changes;
}

static bool write_down(Collector *collector, Node *node) {
  size_t position = 0;
  node->first_edge = collector->edge_count;
  for (bool first = true; position != LT_TRAVERSE_END; first = false) {
    if (!reserve_edges(collector))
      return false;
    uint64_t changes = cycles_traverse(collector, node, &position);
    if (first)
      node->changes = changes;
    else if (changes != node->changes)
      break; /* the comparison will find it, if nothing else does */
  }
  return true;
}

static bool take_snapshots(Collector *collector) {
  for (int i = 0; i < SHARDS; i++)
    if (!list_shard(collector, &shards[i]))
      return false;
  for (size_t i = 0; i < collector->node_count; i++)
    if (!write_down(collector, &collector->nodes[i]))
      return false;
  collector->pending = malloc((collector->node_count + 1) * sizeof(size_t));
  return collector->pending != NULL;
}

/*
** What is in use
*/

static void mark(Collector *collector, size_t number) {
  if (!collector->nodes[number].in_use) {
    collector->nodes[number].in_use = true;
    collector->pending[collector->pending_count++] = number;
  }
}

/* The node, and all it leads to. */
static void mark_reachable(Collector *collector, size_t number) {
  mark(collector, number);
  while (collector->pending_count > 0) {
    size_t from = collector->pending[--collector->pending_count];
    size_t end = from + 1 < collector->node_count ? collector->nodes[from + 1].first_edge
                                                  : collector->edge_count;
    for (size_t edge = collector->nodes[from].first_edge; edge < end; edge++)
      mark(collector, collector->edges[edge]);
  }
}

static bool has_other_references(const Node *node) {
  return LT_REFERENCE_COUNT(node->references) - 1 > node->internal; /* without the collector's */
}

static bool has_changed(Collector *collector, Node *node) {
  size_t position = LT_TRAVERSE_END;
  uint64_t changes = cycles_traverse(collector, node, &position);
  /* Read by a write, which finds the last value and not one from before. */
  uint64_t references = atomic_fetch_add(&node->traced->object.references, 0);
  return references != node->references || changes != node->changes;
}

static void mark_used(Collector *collector) {
  for (size_t i = 0; i < collector->node_count; i++)
    if (has_other_references(&collector->nodes[i]))
      mark_reachable(collector, i);
  for (size_t i = 0; i < collector->node_count; i++)
    if (!collector->nodes[i].in_use && has_changed(collector, &collector->nodes[i]))
      mark_reachable(collector, i);
}

/*
** The whole
*/

static size_t clear_garbage(Collector *collector) {
  size_t count = 0;
  for (size_t i = 0; i < collector->node_count; i++) {
    lt_Object *object = &collector->nodes[i].traced->object;
    if (!collector->nodes[i].in_use) {
      object->type->tracing->clear(object);
      count++;
    }
  }
  return count;
}

/* The next collection is due when there is twice as much as was left. */
static void set_limits(void) {
  for (int i = 0; i < SHARDS; i++) {
    plat_mutex_lock(&shards[i].mutex);
    size_t twice = shards[i].count * 2;
    shards[i].limit = twice > FEWEST_OBJECTS ? twice : FEWEST_OBJECTS;
    plat_mutex_unlock(&shards[i].mutex);
  }
  size_t twice = lt_memory_bytes() * 2;
  lt_memory_set_limit(twice > LT_MEMORY_FIRST_LIMIT ? twice : LT_MEMORY_FIRST_LIMIT);
  atomic_store_explicit(&due, false, memory_order_relaxed);
}

static bool cycles_collect(lt_Collection *collection) {
  Collector collector;
  memset(&collector, 0, sizeof(collector));
  collector.collection = collection;
  bool done = take_snapshots(&collector);
  size_t freed_count = 0;
  if (done) {
    mark_used(&collector);
    freed_count = clear_garbage(&collector);
  }
  for (size_t i = 0; i < collector.node_count; i++)
    lt_object_release(&collector.nodes[i].traced->object);
  free(collector.nodes);
  free(collector.edges);
  free(collector.pending);
  set_limits();
  if (collection != NULL) {
    collection->object_count = collector.node_count;
    collection->freed_count = freed_count;
  }
  return done;
}

bool lt_cycles_collect(lt_Parker *parker, lt_Collection *collection) {
  if (collection != NULL)
    memset(collection, 0, sizeof(*collection));
  if (disabled)
    return true;
  if (!lt_lock_try(&running)) {
    if (parker == NULL)
      return false;
    lt_lock_acquire_brief(&running, parker, "collection", &running);
  }
  plat_Time begin = plat_now();
  const lt_Probe *probe = lt_probe_get();
  lt_Collection counted = {.object_count = 0};
  if (collection == NULL && probe != NULL)
    collection = &counted;
  bool done = cycles_collect(collection);
  if (collection != NULL)
    collection->duration = plat_now() - begin;
  lt_lock_release(&running);
  if (probe != NULL)
    probe->collection(begin, collection->object_count, collection->freed_count);
  return done;
}

void lt_cycles_collect_if_due(void) {
  /* Relaxed: it is only a hint. */
  if (atomic_load_explicit(&due, memory_order_relaxed) || lt_memory_above_limit())
    lt_cycles_collect(NULL, NULL);
}

/*
** Forks
*/

void lt_cycles_before_fork(void) {
  for (int i = 0; i < SHARDS; i++)
    plat_mutex_lock(&shards[i].mutex);
}

void lt_cycles_after_fork_in_parent(void) {
  for (int i = 0; i < SHARDS; i++)
    plat_mutex_unlock(&shards[i].mutex);
}

void lt_cycles_after_fork(bool was_alone) {
  disabled = disabled || !was_alone;
  for (int i = 0; i < SHARDS; i++)
    plat_mutex_init(&shards[i].mutex);
}
