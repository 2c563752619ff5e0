#include "src/shared/value_table.h"

#include <string.h>

#include "platform/platform.h"
#include "src/base/growing_array.h"
#include "src/base/shared_memory.h"

#define FEW 8            /* entries that are looked through one by one, without an index */
#define SMALLEST_ARRAY 4 /* values */
#define SMALL 64         /* entries or values whose storage is kept when all of them are gone */

void lt_value_table_init(lt_ValueTable *table) {
  memset(table, 0, sizeof(*table));
}

static size_t index_bytes(const lt_ValueTable *table) {
  return table->index == NULL ? 0 : ((size_t)table->index_mask + 1) * sizeof(uint32_t);
}

/* Whole cache lines, as a table of few entries would share them with another table otherwise. */
static size_t entry_bytes(uint32_t capacity) {
  return (capacity * sizeof(lt_ValueEntry) + PLAT_CACHE_LINE - 1) / PLAT_CACHE_LINE *
         PLAT_CACHE_LINE;
}

static void free_entries(lt_ValueTable *table) {
  lt_memory_free_lines(table->entries, entry_bytes(table->entry_capacity));
  lt_memory_free(table->index, index_bytes(table));
  table->entries = NULL;
  table->index = NULL;
  table->entry_count = 0;
  table->entry_capacity = 0;
}

static void free_array(lt_ValueTable *table) {
  lt_memory_free(table->array, table->array_capacity * sizeof(lt_SharedValue));
  table->array = NULL;
  table->array_capacity = 0;
}

void lt_value_table_free(lt_ValueTable *table) {
  for (size_t i = 0; i < table->array_size; i++)
    lt_shared_value_release(&table->array[i]);
  for (uint32_t i = 0; i < table->entry_count; i++) {
    lt_shared_value_release(&table->entries[i].key);
    lt_shared_value_release(&table->entries[i].value);
  }
  free_array(table);
  free_entries(table);
}

/*
** Entries. The index is probed one place after the other; when an entry goes, those behind it
** move up, so that no marks of removed entries are needed.
*/

#define NOT_FOUND UINT32_MAX

static uint32_t find_few(const lt_ValueTable *table, const lt_SharedKey *key) {
  for (uint32_t i = 0; i < table->entry_count; i++) {
    const lt_SharedValue *candidate = &table->entries[i].key;
    if (candidate->hash == key->hash && lt_shared_key_matches(key, candidate))
      return i;
  }
  return NOT_FOUND;
}

/* The number of the entry, and in 'place' where the index has it. */
static uint32_t find_indexed(const lt_ValueTable *table, const lt_SharedKey *key, uint32_t *place) {
  for (*place = key->hash & table->index_mask; table->index[*place] != 0;
       *place = (*place + 1) & table->index_mask) {
    uint32_t number = table->index[*place] - 1;
    const lt_SharedValue *candidate = &table->entries[number].key;
    if (candidate->hash == key->hash && lt_shared_key_matches(key, candidate))
      return number;
  }
  return NOT_FOUND;
}

static uint32_t table_find_entry(const lt_ValueTable *table, const lt_SharedKey *key,
                                 uint32_t *place) {
  return table->index == NULL ? find_few(table, key) : find_indexed(table, key, place);
}

static void index_entry(lt_ValueTable *table, uint32_t number) {
  uint32_t place = table->entries[number].key.hash & table->index_mask;
  while (table->index[place] != 0)
    place = (place + 1) & table->index_mask;
  table->index[place] = number + 1;
}

static void unindex_place(lt_ValueTable *table, uint32_t hole) {
  uint32_t mask = table->index_mask;
  for (uint32_t place = (hole + 1) & mask; table->index[place] != 0; place = (place + 1) & mask) {
    uint32_t home = table->entries[table->index[place] - 1].key.hash & mask;
    if (((place - home) & mask) >= ((place - hole) & mask)) {
      table->index[hole] = table->index[place];
      hole = place;
    }
  }
  table->index[hole] = 0;
}

/* Moves the live entries to storage for 'capacity' of them. False: no memory. */
static bool rebuild_entries(lt_ValueTable *table, uint32_t capacity) {
  uint32_t *index = NULL;
  size_t places = (size_t)2 * FEW;
  if (capacity > FEW) {
    while (places < (size_t)capacity * 2)
      places *= 2;
    if (places > UINT32_MAX)
      return false;
    index = lt_memory_alloc_zeroed(places * sizeof(uint32_t));
    if (index == NULL)
      return false;
  }
  lt_ValueEntry *entries = lt_memory_alloc_lines(entry_bytes(capacity));
  if (entries == NULL) {
    lt_memory_free(index, places * sizeof(uint32_t));
    return false;
  }
  uint32_t count = 0;
  for (uint32_t i = 0; i < table->entry_count; i++)
    if (table->entries[i].key.kind != LT_SCALAR_NIL)
      entries[count++] = table->entries[i];
  free_entries(table);
  table->entries = entries;
  table->entry_capacity = capacity;
  table->entry_count = count;
  table->index = index;
  table->index_mask = (uint32_t)places - 1;
  for (uint32_t i = 0; index != NULL && i < count; i++)
    index_entry(table, i);
  return true;
}

/* Room for so many more entries. */
static bool reserve_entries(lt_ValueTable *table, size_t more) {
  if (more <= table->entry_capacity - table->entry_count)
    return true;
  size_t needed = table->live_count + more;
  size_t capacity = needed < 4 ? 4 : needed + needed / 2;
  return capacity < UINT32_MAX / 2 && rebuild_entries(table, (uint32_t)capacity);
}

/* There is room. The key and the value are moved in; 'traced_count' does not change. */
static void append_entry(lt_ValueTable *table, const lt_SharedValue *key,
                         const lt_SharedValue *value) {
  uint32_t number = table->entry_count++;
  table->entries[number] = (lt_ValueEntry){*key, *value, table->next_serial++};
  table->live_count++;
  table->integer_count += key->kind == LT_SCALAR_INTEGER;
  if (table->index != NULL)
    index_entry(table, number);
}

/* The key and the value have been moved out. */
static void remove_entry(lt_ValueTable *table, uint32_t number, uint32_t place) {
  lt_ValueEntry *entry = &table->entries[number];
  if (table->index != NULL)
    unindex_place(table, place);
  table->integer_count -= entry->key.kind == LT_SCALAR_INTEGER;
  table->live_count--;
  entry->key = lt_shared_nil;
  entry->value = lt_shared_nil;
  while (table->entry_count > 0 && table->entries[table->entry_count - 1].key.kind == LT_SCALAR_NIL)
    table->entry_count--;
  if (table->live_count == 0 && table->entry_capacity > SMALL)
    free_entries(table);
}

/*
** The array. It grows at its end, and takes over from the entries what follows there. When it is
** full and mostly holes, as when a list is used up from its beginning, it becomes entries.
*/

static bool is_in_array(const lt_ValueTable *table, const lt_SharedKey *key) {
  return key->kind == LT_SCALAR_INTEGER &&
         (lua_Unsigned)key->as.scalar.integer - 1 < table->array_size;
}

static bool array_to_entries(lt_ValueTable *table) {
  if (!reserve_entries(table, table->array_used + 1))
    return false;
  for (size_t i = 0; i < table->array_size; i++) {
    if (table->array[i].kind != LT_SCALAR_NIL) {
      lt_SharedKey key = lt_shared_key_integer((lua_Integer)i + 1);
      lt_SharedValue number;
      lt_shared_key_value(&key, &number);
      append_entry(table, &number, &table->array[i]);
    }
  }
  free_array(table);
  table->array_size = 0;
  table->array_used = 0;
  return true;
}

static bool grow_array(lt_ValueTable *table) {
  return lt_array_grow_shared(&table->array, &table->array_capacity, SMALLEST_ARRAY,
                              sizeof(lt_SharedValue));
}

static void append_value(lt_ValueTable *table, const lt_SharedValue *value) {
  table->array[table->array_size++] = *value;
  table->array_used++;
}

/* Without memory for more of them they stay where they are. */
static void take_over_entries(lt_ValueTable *table) {
  while (table->integer_count > 0 && table->entries != NULL) {
    uint32_t place = 0;
    lt_SharedKey key = lt_shared_key_integer((lua_Integer)table->array_size + 1);
    uint32_t number = table_find_entry(table, &key, &place);
    if (number == NOT_FOUND)
      return;
    if (table->array_size == table->array_capacity && !grow_array(table))
      return;
    append_value(table, &table->entries[number].value);
    remove_entry(table, number, place);
  }
}

static void shrink_array(lt_ValueTable *table) {
  while (table->array_size > 0 && table->array[table->array_size - 1].kind == LT_SCALAR_NIL)
    table->array_size--;
  if (table->array_size == 0 && table->array_capacity > SMALL)
    free_array(table);
}

/*
** Fields
*/

lt_SharedValue *lt_value_table_find(const lt_ValueTable *table, const lt_SharedKey *key) {
  uint32_t place;
  if (is_in_array(table, key))
    return &table->array[key->as.scalar.integer - 1];
  uint32_t number = table_find_entry(table, key, &place);
  return number == NOT_FOUND ? NULL : &table->entries[number].value;
}

static void set_in_array(lt_ValueTable *table, size_t position, const lt_SharedValue *value,
                         lt_SharedValue *old) {
  *old = table->array[position];
  table->array[position] = *value;
  table->array_used +=
      (size_t)(value->kind != LT_SCALAR_NIL) - (size_t)(old->kind != LT_SCALAR_NIL);
  if (value->kind == LT_SCALAR_NIL)
    shrink_array(table);
}

static bool insert_entry(lt_ValueTable *table, const lt_SharedKey *key,
                         const lt_SharedValue *value) {
  lt_SharedValue own_key;
  if (!reserve_entries(table, 1) || !lt_shared_key_value(key, &own_key))
    return false;
  append_entry(table, &own_key, value);
  table->traced_count += lt_shared_value_is_traced(&own_key);
  return true;
}

static bool table_insert(lt_ValueTable *table, const lt_SharedKey *key,
                         const lt_SharedValue *value) {
  bool is_next = key->kind == LT_SCALAR_INTEGER && key->as.scalar.integer > 0 &&
                 (lua_Unsigned)key->as.scalar.integer == (lua_Unsigned)table->array_size + 1;
  if (is_next && table->array_size == table->array_capacity) {
    if (table->array_used < table->array_size / 2) {
      if (!array_to_entries(table))
        return false;
      is_next = false;
    } else if (!grow_array(table)) {
      return false;
    }
  }
  if (!is_next)
    return insert_entry(table, key, value);
  append_value(table, value);
  take_over_entries(table);
  return true;
}

bool lt_value_table_set(lt_ValueTable *table, const lt_SharedKey *key, const lt_SharedValue *value,
                        lt_SharedValue *old, lt_SharedValue *old_key) {
  *old = lt_shared_nil;
  *old_key = lt_shared_nil;
  if (is_in_array(table, key)) {
    set_in_array(table, (size_t)key->as.scalar.integer - 1, value, old);
  } else {
    uint32_t place = 0;
    uint32_t number = table_find_entry(table, key, &place);
    if (number == NOT_FOUND) {
      if (value->kind != LT_SCALAR_NIL && !table_insert(table, key, value))
        return false;
    } else {
      *old = table->entries[number].value;
      if (value->kind != LT_SCALAR_NIL) {
        table->entries[number].value = *value;
      } else {
        *old_key = table->entries[number].key;
        remove_entry(table, number, place);
      }
    }
  }
  table->traced_count += lt_shared_value_is_traced(value);
  table->traced_count -=
      (size_t)lt_shared_value_is_traced(old) + lt_shared_value_is_traced(old_key);
  return true;
}

/* Doubles a border's distance, then halves the span, as there may be any number of entries. */
static lua_Integer find_border(const lt_ValueTable *table, size_t low) {
  size_t high = low + 1;
  for (;;) {
    lt_SharedKey key = lt_shared_key_integer((lua_Integer)high);
    if (high > (size_t)LUA_MAXINTEGER / 2 || lt_value_table_find(table, &key) == NULL)
      break;
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    lt_SharedKey key = lt_shared_key_integer((lua_Integer)middle);
    if (lt_value_table_find(table, &key) == NULL)
      high = middle;
    else
      low = middle;
  }
  return (lua_Integer)low;
}

lua_Integer lt_value_table_length(const lt_ValueTable *table) {
  if (table->integer_count == 0)
    return (lua_Integer)table->array_size;
  return find_border(table, table->array_size);
}

/*
** Walking
*/

void lt_value_table_begin(const lt_ValueTable *table, lt_ValueCursor *cursor) {
  *cursor = (lt_ValueCursor){0, table->array_size, 0, table->next_serial, 0};
}

/* The first entry from the serial on; the serials are in order. */
static uint32_t seek(const lt_ValueTable *table, const lt_ValueCursor *cursor) {
  uint32_t hint = cursor->hint;
  const lt_ValueEntry *entries = table->entries;
  uint32_t low = 0;
  uint32_t high = table->entry_count;
  if (hint < high && entries[hint].serial >= cursor->serial_next &&
      (hint == 0 || entries[hint - 1].serial < cursor->serial_next))
    return hint;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (entries[middle].serial < cursor->serial_next)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

bool lt_value_table_next(const lt_ValueTable *table, lt_ValueCursor *cursor, lt_SharedValue *key,
                         lt_SharedValue *value) {
  while (cursor->array_next < cursor->array_end && cursor->array_next < table->array_size) {
    const lt_SharedValue *element = &table->array[cursor->array_next++];
    if (element->kind != LT_SCALAR_NIL) {
      *key = lt_shared_nil;
      key->kind = LT_SCALAR_INTEGER;
      key->as.scalar.integer = (lua_Integer)cursor->array_next;
      *value = *element;
      return true;
    }
  }
  for (uint32_t i = seek(table, cursor); i < table->entry_count; i++) {
    const lt_ValueEntry *entry = &table->entries[i];
    if (entry->serial >= cursor->serial_end)
      break;
    cursor->serial_next = entry->serial + 1;
    cursor->hint = i + 1;
    if (entry->key.kind != LT_SCALAR_NIL) {
      *key = entry->key;
      *value = entry->value;
      return true;
    }
  }
  return false;
}
