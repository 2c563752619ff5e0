/*
** Shared state: the fields of lt_SharedTable, under its lock. A reference that leaves a table is
** given back after the lock, because what dies of that may take long.
*/
#include "src/shared/shared_table.h"

#include "src/base/shared_memory.h"

/* Two threads that each use a table of their own do not slow each other down. */
#define SIZE ((sizeof(lt_SharedTable) + PLAT_CACHE_LINE - 1) / PLAT_CACHE_LINE * PLAT_CACHE_LINE)

static const lt_BiasUser shared_collector = {0, NULL};

lt_SharedTable *lt_shared_table_new(bool is_globals) {
  lt_SharedTable *shared = lt_memory_alloc_lines(SIZE);
  if (shared == NULL)
    return NULL;
  lt_biased_lock_init(&shared->lock);
  lt_value_table_init(&shared->table);
  shared->changes = 0;
  shared->metatable = NULL;
  shared->is_globals = is_globals;
  lt_traced_init(&shared->traced, &lt_shared_table_type);
  return shared;
}

void lt_shared_table_set_metatable(lt_SharedTable *shared, lt_Object *metatable) {
  lt_object_retain(metatable);
  lt_biased_lock_acquire(&shared->lock, shared_collector); /* which may be looking at it */
  shared->metatable = metatable;
  shared->changes++;
  lt_biased_lock_release(&shared->lock);
}

static void release_metatable(lt_Object *metatable) {
  if (metatable != NULL)
    lt_object_release(metatable);
}

static void shared_destroy(lt_Object *object) {
  lt_SharedTable *shared = (lt_SharedTable *)object;
  lt_traced_finish(&shared->traced);
  lt_value_table_free(&shared->table);
  release_metatable(shared->metatable);
  lt_memory_free_lines(shared, SIZE);
}

lt_SetOutcome lt_shared_table_set(lt_SharedTable *shared, lt_BiasUser user, const lt_SharedKey *key,
                                  const lt_SharedValue *value) {
  lt_SharedValue old;
  lt_SharedValue old_key;
  lt_BiasSlot *slot = lt_shared_table_begin_write(shared, user);
  lt_SharedValue *current = lt_value_table_find(&shared->table, key);
  if (current != NULL && lt_shared_value_is_scalar(current) && lt_shared_value_is_scalar(value) &&
      current->kind != LT_SCALAR_NIL && value->kind != LT_SCALAR_NIL) { /* the fast way */
    *current = *value;
    lt_shared_table_end_write(shared, slot);
    return LT_SET;
  }
  bool done = lt_value_table_set(&shared->table, key, value, &old, &old_key);
  lt_shared_table_end_write(shared, slot);
  if (!done) {
    lt_shared_value_release(value);
    return LT_NOT_SET;
  }
  lt_SetOutcome set = old.kind == LT_SHARED_OBJECT ? LT_SET_OVER_OBJECT : LT_SET;
  lt_shared_value_release(&old);
  lt_shared_value_release(&old_key);
  return set;
}

/*
** For the collector
*/

static void visit_value(const lt_SharedValue *value, lt_Visit visit, void *context) {
  if (value->kind == LT_SHARED_OBJECT)
    visit(context, value->as.object);
}

/*
** The metatable comes with the first of the fields: the array, then the entries, of which each has
** two values.
*/
static size_t visit_some(const lt_SharedTable *shared, size_t position, lt_Visit visit,
                         void *context) {
  const lt_ValueTable *table = &shared->table;
  size_t end = table->traced_count == 0 ? 0 : table->array_size + table->entry_count;
  if (position == 0 && shared->metatable != NULL)
    visit(context, shared->metatable);
  for (int steps = 1; steps < LT_TRAVERSE_STEP / 2 && position < end; steps++, position++) {
    if (position < table->array_size) {
      visit_value(&table->array[position], visit, context);
    } else {
      const lt_ValueEntry *entry = &table->entries[position - table->array_size];
      visit_value(&entry->key, visit, context);
      visit_value(&entry->value, visit, context);
    }
  }
  return position < end ? position : LT_TRAVERSE_END;
}

static uint64_t shared_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                void *context) {
  lt_SharedTable *shared = (lt_SharedTable *)object;
  lt_biased_lock_keep_writers_out(&shared->lock, shared_collector);
  if (*position != LT_TRAVERSE_END)
    *position = visit_some(shared, *position, visit, context);
  uint64_t changes = shared->changes;
  lt_biased_lock_release(&shared->lock);
  return changes;
}

static void shared_clear(lt_Object *object) {
  lt_SharedTable *shared = (lt_SharedTable *)object;
  lt_biased_lock_acquire(&shared->lock, shared_collector);
  lt_ValueTable table = shared->table;
  lt_Object *metatable = shared->metatable;
  lt_value_table_init(&shared->table);
  shared->metatable = NULL;
  shared->changes++;
  lt_biased_lock_release(&shared->lock);
  lt_value_table_free(&table);
  release_metatable(metatable);
}

static const lt_Tracing table_tracing = {shared_traverse, shared_clear};

lt_Type lt_shared_table_type = {"_thread.shared", NULL, shared_destroy, &table_tracing};
