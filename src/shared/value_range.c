#include "src/shared/value_range.h"

static lua_Unsigned span_of(lua_Integer first, lua_Integer last) {
  return first > last ? 0 : (lua_Unsigned)last - (lua_Unsigned)first + 1; /* 0 also for all */
}

static size_t larger_keys_bound(const lt_ValueTable *table) {
  return table->array_size + table->integer_count;
}

size_t lt_value_range_bound(const lt_ValueTable *table, lua_Integer first, lua_Integer last) {
  lua_Unsigned span = span_of(first, last);
  size_t most = larger_keys_bound(table);
  if (first > last)
    return 0;
  return span != 0 && span < most ? (size_t)span : most;
}

/* By their keys, or all entries one after the other, whatever is less. */
static void visit_entries(const lt_ValueTable *table, lua_Integer first, lua_Integer last,
                          lt_VisitField visit, void *context) {
  lua_Unsigned span = span_of(first, last);
  if (span != 0 && span < table->entry_count) {
    for (lua_Unsigned i = 0; i < span; i++) {
      lt_SharedKey key = lt_shared_key_integer((lua_Integer)((lua_Unsigned)first + i));
      const lt_SharedValue *value = lt_value_table_find(table, &key);
      if (value != NULL && value->kind != LT_SCALAR_NIL)
        visit(context, key.as.scalar.integer, value);
    }
    return;
  }
  for (uint32_t i = 0; i < table->entry_count; i++) {
    const lt_ValueEntry *entry = &table->entries[i];
    if (entry->key.kind == LT_SCALAR_INTEGER && entry->key.as.scalar.integer >= first &&
        entry->key.as.scalar.integer <= last)
      visit(context, entry->key.as.scalar.integer, &entry->value);
  }
}

void lt_value_range_visit(const lt_ValueTable *table, lua_Integer first, lua_Integer last,
                          lt_VisitField visit, void *context) {
  const lua_Integer size = (lua_Integer)table->array_size;
  if (first > last)
    return;
  for (lua_Integer i = first < 1 ? 1 : first; i <= last && i <= size; i++)
    if (table->array[i - 1].kind != LT_SCALAR_NIL)
      visit(context, i, &table->array[i - 1]);
  if (table->integer_count == 0)
    return;
  if (first < 1)
    visit_entries(table, first, last < 0 ? last : 0, visit, context);
  if (last > size)
    visit_entries(table, first > size ? first : size + 1, last, visit, context);
}

static bool set_in_range(lt_ValueTable *table, lua_Integer first, size_t offset,
                         const lt_SharedValue *value, lt_SharedValue *old) {
  lt_SharedKey key = lt_shared_key_integer((lua_Integer)((lua_Unsigned)first + offset));
  lt_SharedValue old_key; /* an integer, so no reference is lost with it */
  return lt_value_table_set(table, &key, value, old, &old_key);
}

/*
** What needs no memory cannot fail: to set a field that is there, and to remove one. So the values
** come first, for which new fields may be needed, then the nils.
*/
bool lt_value_range_set(lt_ValueTable *table, lua_Integer first, const lt_SharedValue *values,
                        size_t count, lt_SharedValue *old) {
  size_t done = 0;
  while (done < count && (values[done].kind == LT_SCALAR_NIL ||
                          set_in_range(table, first, done, &values[done], &old[done])))
    done++;
  if (done < count) {
    lt_SharedValue taken_back; /* the caller has it still */
    while (done-- > 0)
      if (values[done].kind != LT_SCALAR_NIL)
        set_in_range(table, first, done, &old[done], &taken_back);
    return false;
  }
  for (size_t i = 0; i < count; i++)
    if (values[i].kind == LT_SCALAR_NIL)
      set_in_range(table, first, i, &values[i], &old[i]);
  return true;
}
