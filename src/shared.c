/*
** Shared state: the fields of lt_Shared, under its lock. A reference that leaves a table is given
** back after the lock, because what dies of that may take long.
*/
#include "src/shared.h"

#include "src/memory.h"

/* Two threads that each use a table of their own do not slow each other down. */
#define SIZE ((sizeof(lt_Shared) + PLAT_CACHE_LINE - 1) / PLAT_CACHE_LINE * PLAT_CACHE_LINE)

lt_Shared *lt_shared_new(bool is_globals) {
  lt_Shared *shared = lt_alloc_lines(SIZE);
  if (shared == NULL)
    return NULL;
  lt_biased_init(&shared->lock);
  lt_table_init(&shared->table);
  shared->changes = 0;
  shared->is_globals = is_globals;
  lt_traced_init(&shared->traced, &lt_shared_type);
  return shared;
}

void lt_shared_destroy(lt_Object *object) {
  lt_Shared *shared = (lt_Shared *)object;
  lt_traced_finish(&shared->traced);
  lt_table_free(&shared->table);
  lt_free(shared, SIZE);
}

lt_Set lt_shared_set(lt_Shared *shared, const lt_Thread *self, const lt_Key *key,
                     const lt_Value *value) {
  lt_Value old;
  lt_Value old_key;
  lt_Slot *slot = lt_shared_begin_write(shared, self);
  lt_Value *current = lt_table_find(&shared->table, key);
  if (current != NULL && lt_value_is_scalar(current) && lt_value_is_scalar(value) &&
      current->kind != LT_NIL && value->kind != LT_NIL) { /* the fast way */
    *current = *value;
    lt_shared_end_write(shared, slot);
    return LT_SET;
  }
  bool done = lt_table_set(&shared->table, key, value, &old, &old_key);
  lt_shared_end_write(shared, slot);
  if (!done) {
    lt_value_release(value);
    return LT_NOT_SET;
  }
  lt_Set set = old.kind == LT_OBJECT ? LT_SET_OVER_OBJECT : LT_SET;
  lt_value_release(&old);
  lt_value_release(&old_key);
  return set;
}

/*
** For the collector
*/

static const lt_User collector = {0, NULL};

static void visit_value(const lt_Value *value, lt_Visit visit, void *context) {
  if (value->kind == LT_OBJECT)
    visit(context, value->as.object);
}

/* The array comes first, then the entries, of which each has two values. */
static size_t visit_some(const lt_Table *table, size_t position, lt_Visit visit, void *context) {
  size_t end = table->array_size + table->entry_count;
  for (int steps = 0; steps < LT_TRAVERSE_STEP / 2 && position < end; steps++, position++) {
    if (position < table->array_size) {
      visit_value(&table->array[position], visit, context);
    } else {
      const lt_Entry *entry = &table->entries[position - table->array_size];
      visit_value(&entry->key, visit, context);
      visit_value(&entry->value, visit, context);
    }
  }
  return position < end ? position : LT_TRAVERSE_END;
}

static uint64_t traverse(lt_Object *object, size_t *position, lt_Visit visit, void *context) {
  lt_Shared *shared = (lt_Shared *)object;
  lt_biased_lock_writers(&shared->lock, collector);
  if (*position != LT_TRAVERSE_END)
    *position = shared->table.traced_count == 0
                    ? LT_TRAVERSE_END
                    : visit_some(&shared->table, *position, visit, context);
  uint64_t changes = shared->changes;
  lt_biased_unlock(&shared->lock);
  return changes;
}

static void clear(lt_Object *object) {
  lt_Shared *shared = (lt_Shared *)object;
  lt_biased_lock(&shared->lock, collector);
  lt_Table table = shared->table;
  lt_table_init(&shared->table);
  shared->changes++;
  lt_biased_unlock(&shared->lock);
  lt_table_free(&table);
}

const lt_Tracing lt_shared_tracing = {traverse, clear};
