/*
** Shared state: 'layout', atomic. Whoever finds it out writes the same.
*/
#include "src/base/table_digest.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "src/base/lua_version.h"
#include "src/base/protected_call.h"

/* As Lua 5.4 has them (lobject.h). */
typedef struct TableField {
  uint64_t value;
  unsigned char value_type;
  unsigned char key_type;
  int next;
  uint64_t key;
} TableField;

typedef struct TableHead {
  void *next;
  unsigned char type;
  unsigned char marked;
  unsigned char flags;
  unsigned char log_of_size;
  unsigned int array_size;
  void *array;
  const TableField *fields;
  void *last_free;
  const void *metatable;
} TableHead;

enum { BASIC_TYPE = 0x0F }; /* the bits of a type that tell nil, boolean and the others apart */

static uint64_t mix(uint64_t digest, uint64_t number) {
  digest = (digest ^ number) * UINT64_C(0x9E3779B97F4A7C15);
  return digest ^ digest >> 32;
}

/*
** A field without a value has nothing that is sure to be written; nor has a boolean but its type.
** The order of the fields counts for nothing, which leaves the fewest instructions to each.
*/
static uint64_t digest_fields(const TableHead *table) {
  uint64_t digest = (uint64_t)(uintptr_t)table->metatable;
  const TableField *end = table->fields + ((size_t)1 << table->log_of_size);
  for (const TableField *field = table->fields; field < end; field++) {
    uint64_t type = field->value_type;
    if ((type & BASIC_TYPE) > LUA_TBOOLEAN)
      digest += ((type << 56) + field->value + 1) * (field->key | 1);
    else if ((type & BASIC_TYPE) == LUA_TBOOLEAN)
      digest += (type << 56) * (field->key | 1) + field->key;
  }
  return digest;
}

/*
** By lua_next. The number of an integer and of a float may be the same, so their types count.
*/
static uint64_t number_of_value(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    return (uint64_t)lua_toboolean(L, index) + 1;
  case LUA_TNUMBER: {
    lua_Number number = lua_tonumber(L, index);
    uint64_t bits = (uint64_t)lua_isinteger(L, index);
    const unsigned char *bytes = (const unsigned char *)&number;
    for (size_t i = 0; i < sizeof(number); i++)
      bits = mix(bits, bytes[i]);
    return bits;
  }
  default:
    return (uint64_t)(uintptr_t)lua_topointer(L, index);
  }
}

static uint64_t digest_by_next(lua_State *L, int table) {
  uint64_t digest = 1;
  if (lua_getmetatable(L, table)) {
    digest = (uint64_t)(uintptr_t)lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, table)) {
    digest += mix(number_of_value(L, -2), number_of_value(L, -1) + (uint64_t)lua_type(L, -1));
    lua_pop(L, 1);
  }
  return digest;
}

/*
** Finding out whether tables lie like that: what Lua asks of its allocator for one must be a head
** and its fields, and what has been put into it must be there, and nothing else.
*/

typedef struct Trial {
  void *blocks[2]; /* the last that were asked for */
  size_t sizes[2];
  bool fits;
} Trial;

static void *allocate_on_trial(void *context, void *block, size_t old_size, size_t new_size) {
  Trial *trial = context;
  (void)old_size;
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  void *result = realloc(block, new_size);
  trial->blocks[0] = trial->blocks[1];
  trial->sizes[0] = trial->sizes[1];
  trial->blocks[1] = result;
  trial->sizes[1] = new_size;
  return result;
}

static bool has_blocks(const Trial *trial, const TableHead *table, unsigned char log_of_size) {
  return trial->blocks[0] == table && trial->sizes[0] >= sizeof(*table) &&
         trial->sizes[1] == sizeof(TableField) << log_of_size &&
         trial->blocks[1] == table->fields && table->log_of_size == log_of_size;
}

/* The key is below the value on the top. */
static bool has_just_one(lua_State *L, const TableHead *table) {
  int count = 0;
  for (size_t i = 0; i < (size_t)1 << table->log_of_size; i++) {
    const TableField *field = &table->fields[i];
    if ((field->value_type & BASIC_TYPE) == LUA_TFUNCTION &&
        (uintptr_t)field->key == (uintptr_t)lua_topointer(L, -2) &&
        (uintptr_t)field->value == (uintptr_t)lua_topointer(L, -1))
      count++;
  }
  return count == 1;
}

static size_t count_used(const TableHead *table) {
  size_t count = 0;
  for (size_t i = 0; i < (size_t)1 << table->log_of_size; i++)
    count += (table->fields[i].value_type & BASIC_TYPE) != LUA_TNIL;
  return count;
}

/* It has none yet; afterwards, itself. */
static bool has_metatable(lua_State *L, int table, const TableHead *head) {
  bool has_none = head->metatable == NULL;
  lua_pushvalue(L, table);
  lua_setmetatable(L, table);
  return has_none && head->metatable == head;
}

static int try_tables(lua_State *L) {
  Trial *trial = lua_touserdata(L, 1);
  lua_gc(L, LUA_GCSTOP);
  trial->fits = true;
  for (unsigned char log = 2; log <= 5 && trial->fits; log++) {
    int size = 1 << log;
    lua_createtable(L, 0, size);
    int table = lua_gettop(L);
    const TableHead *head = lua_topointer(L, table);
    trial->fits = has_blocks(trial, head, log) && count_used(head) == 0;
    trial->fits = trial->fits && has_metatable(L, table, head);
    for (int i = 0; i < size - 1 && trial->fits; i++) {
      lua_pushfstring(L, "field %d", i);
      lua_pushcfunction(L, try_tables);
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, table);
      trial->fits = has_just_one(L, head) && count_used(head) == (size_t)i + 1;
      lua_settop(L, table);
    }
    for (int i = 0; i < size - 1 && trial->fits; i++) {
      lua_pushfstring(L, "field %d", i);
      lua_pushnil(L);
      lua_rawset(L, table);
      trial->fits = count_used(head) == (size_t)(size - 2 - i);
    }
  }
  return 0;
}

enum { UNTRIED, FITS, DIFFERS };

static atomic_int layout;

static int try_layout(void) {
  Trial trial = {.fits = false};
  lua_State *L = lt_new_state(allocate_on_trial, &trial);
  if (L == NULL)
    return UNTRIED;
  int status = lt_protected_call(L, try_tables, &trial, 0, 0);
  lua_close(L);
  if (status != LUA_OK)
    return UNTRIED;
  return trial.fits ? FITS : DIFFERS;
}

/*
** Digests made in different ways are never compared: it would only look as if the table had
** changed. Relaxed: nothing else is read because of it.
*/
uint64_t lt_table_digest(lua_State *L, int index) {
  int found = atomic_load_explicit(&layout, memory_order_relaxed);
  if (found == UNTRIED) {
    found = try_layout();
    atomic_store_explicit(&layout, found, memory_order_relaxed);
  }
  return found == FITS ? digest_fields(lua_topointer(L, index))
                       : digest_by_next(L, lua_absindex(L, index));
}
