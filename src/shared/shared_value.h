/*
** The values that shared tables hold, and the keys by which they are looked up.
*/
#ifndef lt_shared_value_h
#define lt_shared_value_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <lua.h>

#include "src/base/scalar.h"
#include "src/object/object.h"

/* An immutable string with a count of references. */
typedef struct lt_SharedString {
  atomic_size_t references;
  size_t length;
  char bytes[];
} lt_SharedString;

typedef enum lt_SharedKind { LT_SHARED_STRING = LT_SCALAR_KINDS, LT_SHARED_OBJECT } lt_SharedKind;

/* A string or an object in it is a reference. 'hash' is that of a key. */
typedef struct lt_SharedValue {
  uint8_t kind; /* of a scalar, or an lt_SharedKind */
  uint32_t hash;
  union {
    lt_Scalar scalar;
    lt_SharedString *string;
    lt_Object *object;
  } as;
} lt_SharedValue;

extern const lt_SharedValue lt_shared_nil;

lt_SharedString *lt_shared_string_new(const char *bytes, size_t length); /* NULL without memory */

void lt_shared_value_retain(const lt_SharedValue *value);
void lt_shared_value_release(const lt_SharedValue *value);

/* Whether it refers to an object that the collector follows. */
bool lt_shared_value_is_traced(const lt_SharedValue *value);

/* What to look for. It borrows: its string and its object live elsewhere. */
typedef struct lt_SharedKey {
  uint8_t kind; /* as above */
  uint32_t hash;
  union {
    lt_Scalar scalar;
    lt_Object *object;
    struct {
      const char *bytes;
      size_t length;
    } string;
  } as;
} lt_SharedKey;

/*
** The key that the Lua value at 'index' is, valid as long as that; false: none of its type can be
** one. A float with an integer's value is that integer; NaN remains a float. Does not raise.
*/
bool lt_shared_key_at(lua_State *L, int index, lt_SharedKey *key);

lt_SharedKey lt_shared_key_integer(lua_Integer integer);

/* The key as a value, with references of its own; false: no memory. */
bool lt_shared_key_value(const lt_SharedKey *key, lt_SharedValue *value);

/* Whether a value is whole by itself, without a reference to something. */
static inline bool lt_shared_value_is_scalar(const lt_SharedValue *value) {
  return value->kind < LT_SHARED_STRING;
}

/* Up to 8 bytes as a number. */
static inline uint64_t lt_shared_last_word(const char *bytes, size_t length) {
  uint64_t word = 0;
  if (length >= 4) {
    uint32_t low;
    uint32_t high;
    memcpy(&low, bytes, sizeof(low));
    memcpy(&high, bytes + length - sizeof(high), sizeof(high));
    word = (uint64_t)high << 32 | low;
  } else if (length > 0) {
    word = (uint64_t)(unsigned char)bytes[0] | (uint64_t)(unsigned char)bytes[length / 2] << 8 |
           (uint64_t)(unsigned char)bytes[length - 1] << 16;
  }
  return word;
}

/* For keys, which mostly are short. */
static inline bool lt_shared_same_bytes(const char *a, const char *b, size_t length) {
  uint64_t word_a;
  uint64_t word_b;
  for (; length > sizeof(word_a); length -= sizeof(word_a)) {
    memcpy(&word_a, a, sizeof(word_a));
    memcpy(&word_b, b, sizeof(word_b));
    if (word_a != word_b)
      return false;
    a += sizeof(word_a);
    b += sizeof(word_b);
  }
  return lt_shared_last_word(a, length) == lt_shared_last_word(b, length);
}

/* Whether the value is what the key looks for; any NaN is a NaN. */
static inline bool lt_shared_key_matches(const lt_SharedKey *key, const lt_SharedValue *value) {
  if (key->kind != value->kind)
    return false;
  switch (key->kind) {
  case LT_SHARED_STRING:
    return value->as.string->length == key->as.string.length &&
           lt_shared_same_bytes(value->as.string->bytes, key->as.string.bytes,
                                key->as.string.length);
  case LT_SCALAR_INTEGER:
    return value->as.scalar.integer == key->as.scalar.integer;
  case LT_SCALAR_FLOAT:
    return value->as.scalar.number == key->as.scalar.number ||
           (value->as.scalar.number != value->as.scalar.number &&
            key->as.scalar.number != key->as.scalar.number);
  case LT_SCALAR_POINTER:
    return value->as.scalar.pointer == key->as.scalar.pointer;
  case LT_SHARED_OBJECT:
    return value->as.object == key->as.object;
  default:
    return true;
  }
}

#endif
