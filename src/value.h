/*
** Values of the shared data space, and the keys by which they are looked up.
*/
#ifndef lt_value_h
#define lt_value_h

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "src/object.h"

/* An immutable string with a count of references. */
typedef struct lt_String lt_String;

typedef enum lt_Kind {
  LT_NIL,
  LT_FALSE,
  LT_TRUE,
  LT_INTEGER,
  LT_FLOAT,
  LT_POINTER, /* a light userdata */
  LT_STRING,
  LT_OBJECT
} lt_Kind;

/* A string or an object in it is a reference. 'hash' is that of a key. */
typedef struct lt_Value {
  uint8_t kind;
  uint32_t hash;
  union {
    lua_Integer integer;
    lua_Number number;
    void *pointer;
    lt_String *string;
    lt_Object *object;
  } as;
} lt_Value;

extern const lt_Value lt_nil;

lt_String *lt_string_new(const char *bytes, size_t length); /* NULL without memory */
const char *lt_string_bytes(const lt_String *string, size_t *length);

void lt_value_retain(const lt_Value *value);
void lt_value_release(const lt_Value *value);

/* Whether it refers to an object that the collector follows. */
bool lt_value_is_traced(const lt_Value *value);

/* What to look for. It borrows: its string and its object live elsewhere. */
typedef struct lt_Key {
  uint8_t kind;
  uint32_t hash;
  union {
    lua_Integer integer;
    lua_Number number;
    void *pointer;
    lt_Object *object;
    struct {
      const char *bytes;
      size_t length;
    } string;
  } as;
} lt_Key;

/*
** The key that the Lua value at 'index' is, valid as long as that; false: none of its type can be
** one. A float with an integer's value is that integer; NaN remains a float. Does not raise.
*/
bool lt_key_at(lua_State *L, int index, lt_Key *key);

lt_Key lt_integer_key(lua_Integer integer);

/* The key as a value, with references of its own; false: no memory. */
bool lt_key_value(const lt_Key *key, lt_Value *value);

/* Whether the value is what the key looks for; of NaNs, if they are bit for bit the same. */
bool lt_key_matches(const lt_Key *key, const lt_Value *value);

#endif
