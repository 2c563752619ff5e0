#include "src/transfer/dump_format.h"

#include <stdlib.h>
#include <string.h>

#include <lua.h>

#include "src/base/growing_array.h"

enum { NIL = 0, FALSE = 1, TRUE = 17, INTEGER = 3, FLOAT = 19, SHORT_STRING = 4, LONG_STRING = 20 };

static void skip(lt_DumpReader *reader, size_t bytes) {
  if (bytes > reader->size - reader->position) {
    reader->truncated = true;
    reader->position = reader->size;
  } else {
    reader->position += bytes;
  }
}

static unsigned read_byte(lt_DumpReader *reader) {
  size_t position = reader->position;
  skip(reader, 1);
  return reader->truncated ? 0 : reader->bytes[position];
}

/* Seven bits a byte, the highest first; the top bit of the last byte is another than the others'. */
size_t lt_dump_read_count(lt_DumpReader *reader) {
  enum { TOP_OF_LAST = LT_DUMP_IS_5_5 ? 0 : 0x80 };
  size_t size = 0;
  unsigned byte;
  do {
    byte = read_byte(reader);
    size = size << 7 | (byte & 0x7f);
  } while ((byte & 0x80) != TOP_OF_LAST && !reader->truncated);
  return reader->truncated ? 0 : size;
}

#if LUA_VERSION_NUM >= 505

static const lt_DumpString no_string = {0, SIZE_MAX, 0};

static void skip_to_multiple(lt_DumpReader *reader, size_t alignment) {
  skip(reader, (alignment - reader->position % alignment) % alignment);
}

/* It gets the next number, from 1 on. */
static lt_DumpString keep_string(lt_DumpReader *reader, size_t length) {
  lt_DumpString string = {reader->position, length, 0};
  if (reader->string_count == reader->string_capacity &&
      !lt_array_grow(&reader->strings, NULL, &reader->string_capacity, 16, sizeof(lt_DumpString))) {
    reader->no_memory = true;
    reader->truncated = true;
    return no_string;
  }
  reader->strings[reader->string_count++] = string;
  skip(reader, length + 1);
  return string;
}

static lt_DumpString read_dump_string(lt_DumpReader *reader) {
  size_t size = lt_dump_read_count(reader);
  if (size > 0)
    return keep_string(reader, size - 1);
  size_t number = lt_dump_read_count(reader);
  bool is_known = number > 0 && number <= reader->string_count;
  return is_known ? reader->strings[number - 1] : no_string;
}

static void skip_integer(lt_DumpReader *reader) {
  lt_dump_read_count(reader);
}

static void skip_absolute_lines(lt_DumpReader *reader) {
  size_t count = lt_dump_read_count(reader);
  if (count == 0)
    return;
  skip_to_multiple(reader, sizeof(int));
  skip(reader, count > reader->size ? SIZE_MAX : count * 2 * sizeof(int));
}

/* A number of a type, whose size comes before it. */
static bool skip_sample(lt_DumpReader *reader, size_t size) {
  bool is_same = read_byte(reader) == size;
  skip(reader, size);
  return is_same;
}

static bool skip_samples(lt_DumpReader *reader) {
  return skip_sample(reader, sizeof(int)) && skip_sample(reader, LT_INSTRUCTION_BYTES) &&
         skip_sample(reader, sizeof(lua_Integer)) && skip_sample(reader, sizeof(lua_Number));
}

#else

static void skip_to_multiple(lt_DumpReader *reader, size_t alignment) {
  (void)reader;
  (void)alignment;
}

static lt_DumpString read_dump_string(lt_DumpReader *reader) {
  size_t size = lt_dump_read_count(reader);
  lt_DumpString string = {reader->position, size == 0 ? SIZE_MAX : size - 1, 0};
  if (size > 0)
    skip(reader, size - 1);
  return string;
}

static void skip_integer(lt_DumpReader *reader) {
  skip(reader, sizeof(lua_Integer));
}

static void skip_absolute_lines(lt_DumpReader *reader) {
  for (size_t left = lt_dump_read_count(reader); left > 0 && !reader->truncated; left--) {
    lt_dump_read_count(reader);
    lt_dump_read_count(reader);
  }
}

/* Their sizes, then a number of each. */
static bool skip_samples(lt_DumpReader *reader) {
  static const unsigned char sizes[] = {LT_INSTRUCTION_BYTES, sizeof(lua_Integer),
                                        sizeof(lua_Number)};
  const unsigned char *given = reader->bytes + reader->position;
  skip(reader, sizeof(sizes) + sizeof(lua_Integer) + sizeof(lua_Number));
  return !reader->truncated && memcmp(given, sizes, sizeof(sizes)) == 0;
}

#endif

/* Up to and with the number of upvalues, which stands before the function. */
bool lt_dump_begin(lt_DumpReader *reader) {
  static const unsigned char header[] = {
      0x1b, 'L', 'u', 'a', 0x50 + LUA_VERSION_NUM % 100, 0, 0x19, 0x93, '\r', '\n', 0x1a, '\n'};
  if (reader->size < sizeof(header) || memcmp(reader->bytes, header, sizeof(header)) != 0)
    return false;
  skip(reader, sizeof(header));
  bool is_known = skip_samples(reader);
  skip(reader, 1);
  return is_known && !reader->truncated;
}

void lt_dump_end(lt_DumpReader *reader) {
  free(reader->strings);
}

static bool read_constants(lt_DumpReader *reader, lt_DumpFunction *function) {
  size_t count = lt_dump_read_count(reader);
  if (count > reader->size)
    return false;
  function->constants = malloc((count + 1) * sizeof(lt_DumpString));
  if (function->constants == NULL) {
    reader->no_memory = true;
    return false;
  }
  function->constant_count = count;
  for (size_t i = 0; i < count; i++) {
    unsigned type = read_byte(reader);
    function->constants[i].length = SIZE_MAX;
    if (type == SHORT_STRING || type == LONG_STRING)
      function->constants[i] = read_dump_string(reader);
    else if (type == INTEGER)
      skip_integer(reader);
    else if (type == FLOAT)
      skip(reader, sizeof(lua_Number));
    else if (type != NIL && type != FALSE && type != TRUE)
      return false;
  }
  return !reader->truncated;
}

bool lt_dump_read_function(lt_DumpReader *reader, lt_DumpFunction *function) {
  memset(function, 0, sizeof(*function));
  if (!LT_DUMP_IS_5_5)
    read_dump_string(reader);
  lt_dump_read_count(reader);
  lt_dump_read_count(reader);
  skip(reader, 2);
  function->registers = read_byte(reader);
  function->instruction_count = lt_dump_read_count(reader);
  skip_to_multiple(reader, LT_INSTRUCTION_BYTES);
  function->code = reader->position;
  if (function->instruction_count > reader->size / LT_INSTRUCTION_BYTES)
    return false;
  skip(reader, function->instruction_count * LT_INSTRUCTION_BYTES);
  return read_constants(reader, function);
}

lt_DumpUpvalue lt_dump_read_upvalue(lt_DumpReader *reader) {
  lt_DumpUpvalue upvalue;
  upvalue.in_stack = read_byte(reader) != 0;
  upvalue.index = read_byte(reader);
  read_byte(reader);
  return upvalue;
}

void lt_dump_skip_debug(lt_DumpReader *reader) {
  if (LT_DUMP_IS_5_5)
    read_dump_string(reader);
  skip(reader, lt_dump_read_count(reader));
  skip_absolute_lines(reader);
  for (size_t left = lt_dump_read_count(reader); left > 0 && !reader->truncated; left--) {
    read_dump_string(reader);
    lt_dump_read_count(reader);
    lt_dump_read_count(reader);
  }
  for (size_t left = lt_dump_read_count(reader); left > 0 && !reader->truncated; left--)
    read_dump_string(reader);
}
