/*
** The collector of cycles.
**
** Shared objects are freed when their count of references falls to 0; those that refer to each
** other in a circle never do. So objects of types that can refer to others are traced: listed from
** their making to their end. Now and then a thread that uses shared tables or queues looks through
** the list, and frees those that only refer to each other, while all other threads go on.
*/
#ifndef lt_cycles_h
#define lt_cycles_h

#include "src/object/object.h"
#include "src/sync/park.h"

/*
** What the collector asks of a type, without holding any lock:
**
** traverse  Keeps changes out and visits the objects that this one refers to, once for each
**           reference. Begins at *position, looks at no more than LT_TRAVERSE_STEP references, and
**           sets *position to where the next call goes on; LT_TRAVERSE_END is behind the last.
**           Returns how often the references have changed so far, 0 if they never do. 'visit' takes
**           no lock and no memory.
** clear     Gives all references back. Nobody else has one to the object any more, or its runtime
**           ends.
*/
typedef void (*lt_Visit)(void *context, const lt_Object *object);

#define LT_TRAVERSE_STEP 1024
#define LT_TRAVERSE_END SIZE_MAX

struct lt_Tracing {
  uint64_t (*traverse)(lt_Object *object, size_t *position, lt_Visit visit, void *context);
  void (*clear)(lt_Object *object);
};

/* An object of a type with tracing begins with this. */
typedef struct lt_Traced lt_Traced;

struct lt_Traced {
  lt_Object object;
  lt_Traced *next; /* in its shard, under its mutex */
  lt_Traced *previous;
  size_t node; /* the collector's own */
};

/* As lt_object_init; the object can be traversed from now on. */
void lt_traced_init(lt_Traced *traced, const lt_Type *type);

/* The beginning of its 'destroy': the collector does not know it any more. */
void lt_traced_finish(lt_Traced *traced);

typedef struct lt_Collection {
  size_t object_count; /* traced objects that there were */
  size_t freed_count;  /* those of them that were garbage */
  plat_Time duration;
  plat_Time longest_step; /* the longest time for which it kept an object from being changed */
} lt_Collection;

/*
** Frees the cycles that are garbage when it begins. If another thread does that already, returns
** false at once, or, given the calling thread's parker, waits for it and begins then. False also
** without memory: then nothing is freed. 'collection' may be NULL.
*/
bool lt_cycles_collect(lt_Parker *parker, lt_Collection *collection);

/* The same, if so much has been made since the last collection that another is worth its time. */
void lt_cycles_collect_if_due(void);

/*
** Around a fork: before it, after it in the parent, after it in the child. The lists are whole when
** the process forks. A child in which threads are missing collects no more: they may have been in a
** collection, and may hold the locks of objects.
*/
void lt_cycles_before_fork(void);
void lt_cycles_after_fork_in_parent(void);
void lt_cycles_after_fork(bool was_alone);

#endif
