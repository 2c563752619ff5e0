/*
** The table inside a shared table: an array for the keys 1 to n, and entries for all others, in the
** order in which the keys came. It knows nothing of threads; shared_table.h does.
*/
#ifndef lt_value_table_h
#define lt_value_table_h

#include "src/shared/shared_value.h"

typedef struct lt_ValueEntry {
  lt_SharedValue key; /* nil: the entry is dead */
  lt_SharedValue value;
  uint64_t serial; /* grows from entry to entry */
} lt_ValueEntry;

typedef struct lt_ValueTable {
  lt_SharedValue *array; /* 1 to array_size; the last of them is not nil */
  size_t array_size;
  size_t array_used; /* how many of them are not nil */
  size_t array_capacity;
  lt_ValueEntry *entries;
  uint32_t entry_count; /* with the dead ones */
  uint32_t entry_capacity;
  uint32_t live_count;
  uint32_t integer_count; /* of the live ones, those with an integer as key */
  uint32_t *index;        /* hashed: the number of an entry, from 1 on; NULL while they are few */
  uint32_t index_mask;
  uint64_t next_serial;
  size_t traced_count; /* keys and values that the collector follows */
} lt_ValueTable;

void lt_value_table_init(lt_ValueTable *table);

/* Frees the storage, and gives back all references. */
void lt_value_table_free(lt_ValueTable *table);

/* Where the value of the key is, or NULL; there may be a nil. */
lt_SharedValue *lt_value_table_find(const lt_ValueTable *table, const lt_SharedKey *key);

/*
** Sets the field to 'value', whose reference the table takes over, and moves the old value with
** its reference to 'old'. A key that leaves the table is moved to 'old_key', otherwise that is
** nil. False: there was no memory, and nothing has changed.
*/
bool lt_value_table_set(lt_ValueTable *table, const lt_SharedKey *key, const lt_SharedValue *value,
                        lt_SharedValue *old, lt_SharedValue *old_key);

/* A border: 0, or an n such that n has a value and n + 1 has none. */
lua_Integer lt_value_table_length(const lt_ValueTable *table);

/*
** A walk through the fields that a table has when it begins. Whatever is done to the table
** meanwhile, it ends, and does not return to an entry it has seen.
*/
typedef struct lt_ValueCursor {
  size_t array_next;
  size_t array_end;
  uint64_t serial_next;
  uint64_t serial_end;
  uint32_t hint; /* where the entry with 'serial_next' was */
} lt_ValueCursor;

void lt_value_table_begin(const lt_ValueTable *table, lt_ValueCursor *cursor);

/* The next field; the key and the value stay the table's. False: there is none. */
bool lt_value_table_next(const lt_ValueTable *table, lt_ValueCursor *cursor, lt_SharedValue *key,
                         lt_SharedValue *value);

#endif
