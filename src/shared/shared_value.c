/*
** Shared state: the references of a string are atomic, the rest of it is written before it is
** shared.
*/
#include "src/shared/shared_value.h"

#include <stdatomic.h>
#include <string.h>

#include "src/base/shared_memory.h"

const lt_SharedValue lt_shared_nil = {LT_SCALAR_NIL, 0, {{0}}};

/*
** Strings
*/

lt_SharedString *lt_shared_string_new(const char *bytes, size_t length) {
  lt_SharedString *string = lt_memory_alloc(sizeof(*string) + length);
  if (string == NULL)
    return NULL;
  atomic_init(&string->references, 1);
  string->length = length;
  memcpy(string->bytes, bytes, length);
  return string;
}

static void release_string(lt_SharedString *string) {
  /* Acquire and release: the last one frees after all others have read. */
  if (atomic_fetch_sub_explicit(&string->references, 1, memory_order_acq_rel) == 1)
    lt_memory_free(string, sizeof(*string) + string->length);
}

/*
** Values
*/

void lt_shared_value_retain(const lt_SharedValue *value) {
  if (value->kind == LT_SHARED_STRING)
    /* Relaxed: who retains already has a reference to go by. */
    atomic_fetch_add_explicit(&value->as.string->references, 1, memory_order_relaxed);
  else if (value->kind == LT_SHARED_OBJECT)
    lt_object_retain(value->as.object);
}

void lt_shared_value_release(const lt_SharedValue *value) {
  if (value->kind == LT_SHARED_STRING)
    release_string(value->as.string);
  else if (value->kind == LT_SHARED_OBJECT)
    lt_object_release(value->as.object);
}

bool lt_shared_value_is_traced(const lt_SharedValue *value) {
  return value->kind == LT_SHARED_OBJECT && value->as.object->type->tracing != NULL;
}

/*
** Keys
*/

static uint32_t mix_hash(uint64_t bits) {
  bits *= UINT64_C(0x9E3779B97F4A7C15);
  bits ^= bits >> 32;
  return (uint32_t)bits;
}

/* The system chooses where the library lies, so nobody knows beforehand which keys collide. */
static uint32_t hash_string_key(const char *bytes, size_t length) {
  uint64_t hash = (uint64_t)(uintptr_t)&lt_shared_nil ^ length;
  uint64_t word;
  for (; length > sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
    memcpy(&word, bytes, sizeof(word));
    hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
    hash ^= hash >> 32;
  }
  return mix_hash(hash ^ lt_shared_last_word(bytes, length));
}

lt_SharedKey lt_shared_key_integer(lua_Integer integer) {
  lt_SharedKey key = {LT_SCALAR_INTEGER, mix_hash((uint64_t)integer), {{integer}}};
  return key;
}

static void number_key(lua_State *L, int index, lt_SharedKey *key) {
  int is_integer;
  lua_Integer integer = lua_tointegerx(L, index, &is_integer);
  if (is_integer) {
    *key = lt_shared_key_integer(integer);
  } else {
    uint64_t bits = 0;
    key->kind = LT_SCALAR_FLOAT;
    key->as.scalar.number = lua_tonumber(L, index);
    memcpy(&bits, &key->as.scalar.number,
           sizeof(bits) < sizeof(lua_Number) ? sizeof(bits) : sizeof(lua_Number));
    key->hash = mix_hash(bits);
  }
}

bool lt_shared_key_at(lua_State *L, int index, lt_SharedKey *key) {
  int type = lua_type(L, index);
  if (type == LUA_TSTRING) { /* the most frequent */
    key->kind = LT_SHARED_STRING;
    key->as.string.bytes = lua_tolstring(L, index, &key->as.string.length);
    key->hash = hash_string_key(key->as.string.bytes, key->as.string.length);
    return true;
  }
  switch (type) {
  case LUA_TNUMBER:
    number_key(L, index, key);
    return true;
  case LUA_TBOOLEAN:
    key->kind = lua_toboolean(L, index) ? LT_SCALAR_TRUE : LT_SCALAR_FALSE;
    key->hash = key->kind;
    return true;
  case LUA_TLIGHTUSERDATA:
    key->kind = LT_SCALAR_POINTER;
    key->as.scalar.pointer = lua_touserdata(L, index);
    key->hash = mix_hash((uint64_t)(uintptr_t)key->as.scalar.pointer);
    return true;
  case LUA_TUSERDATA:
    key->kind = LT_SHARED_OBJECT;
    key->as.object = lt_object_at(L, index);
    key->hash = mix_hash((uint64_t)(uintptr_t)key->as.object);
    return key->as.object != NULL;
  default:
    return false;
  }
}

bool lt_shared_key_value(const lt_SharedKey *key, lt_SharedValue *value) {
  value->kind = key->kind;
  value->hash = key->hash;
  switch (key->kind) {
  case LT_SHARED_STRING:
    value->as.string = lt_shared_string_new(key->as.string.bytes, key->as.string.length);
    return value->as.string != NULL;
  case LT_SHARED_OBJECT:
    value->as.object = key->as.object;
    lt_object_retain(value->as.object);
    return true;
  default:
    value->as.scalar = key->as.scalar;
    return true;
  }
}
