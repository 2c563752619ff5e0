/*
** Nothing here is written once the bytecode is shared.
**
** The names of globals are read from the dump, in the format of Lua 5.4: names that the function,
** or a function within it, reads or writes as a field of the environment upvalue. A dump of any
** other format has no names.
*/
#include "src/transfer/bytecode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/growing_array.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

static const char cache_key;

static void destroy_code(lt_Object *object) {
  lt_Bytecode *code = (lt_Bytecode *)object;
  free(code->names);
  free(code);
}

static const lt_Type code_type = {"code", NULL, destroy_code, NULL};

/*
** Names. A Reader is a cursor over the dump; past the end it reads zeros and says so in
** 'truncated'.
*/

typedef struct Reader {
  const unsigned char *bytes;
  size_t size;
  size_t position;
  bool truncated;
  bool no_memory;
  size_t capacity; /* of the names */
} Reader;

/* What upvalues of one function are. */
typedef struct Upvalues {
  lt_UpvalueSet environment;
  lt_UpvalueSet assigned;
} Upvalues;

/* Which upvalues of the enclosing function those of a function are; -1: a local variable of it. */
typedef struct Origins {
  size_t count;
  short outer[256];
} Origins;

typedef struct Constants {
  size_t count;
  lt_GlobalName *strings; /* length SIZE_MAX: not a string */
} Constants;

enum { NIL = 0, FALSE = 1, TRUE = 17, INTEGER = 3, FLOAT = 19, SHORT_STRING = 4, LONG_STRING = 20 };
enum { OP_GETUPVAL = 9, OP_SETUPVAL = 10, OP_GETTABUP = 11, OP_SETTABUP = 15 };
#define INSTRUCTION_BYTES 4
#define RECENT_NAMES 64
#define LARGEST_FIELD_CONSTANT 255

static bool upvalues_has(const lt_UpvalueSet *set, unsigned index) {
  return index < 256 && (set->bits[index / 32] >> (index % 32) & 1) != 0;
}

static void upvalues_add(lt_UpvalueSet *set, unsigned index) {
  if (index < 256)
    set->bits[index / 32] |= (uint32_t)1 << (index % 32);
}

static void skip(Reader *reader, size_t bytes) {
  if (bytes > reader->size - reader->position) {
    reader->truncated = true;
    reader->position = reader->size;
  } else {
    reader->position += bytes;
  }
}

static unsigned read_byte(Reader *reader) {
  size_t position = reader->position;
  skip(reader, 1);
  return reader->truncated ? 0 : reader->bytes[position];
}

/* Seven bits a byte, the highest first; the last byte has its top bit set. */
static size_t read_size(Reader *reader) {
  size_t size = 0;
  unsigned byte;
  do {
    byte = read_byte(reader);
    size = size << 7 | (byte & 0x7f);
  } while ((byte & 0x80) == 0 && !reader->truncated);
  return reader->truncated ? 0 : size;
}

static lt_GlobalName read_string(Reader *reader) {
  size_t size = read_size(reader);
  lt_GlobalName name = {reader->position, size == 0 ? SIZE_MAX : size - 1};
  if (size > 0)
    skip(reader, size - 1);
  return name;
}

static bool read_constants(Reader *reader, Constants *constants) {
  constants->count = read_size(reader);
  if (constants->count > reader->size)
    return false;
  constants->strings = malloc((constants->count + 1) * sizeof(lt_GlobalName));
  if (constants->strings == NULL) {
    reader->no_memory = true;
    return false;
  }
  for (size_t i = 0; i < constants->count; i++) {
    unsigned type = read_byte(reader);
    constants->strings[i].length = SIZE_MAX;
    if (type == SHORT_STRING || type == LONG_STRING)
      constants->strings[i] = read_string(reader);
    else if (type == INTEGER)
      skip(reader, sizeof(lua_Integer));
    else if (type == FLOAT)
      skip(reader, sizeof(lua_Number));
    else if (type != NIL && type != FALSE && type != TRUE)
      return false;
  }
  return !reader->truncated;
}

static bool same_name(const Reader *reader, lt_GlobalName a, lt_GlobalName b) {
  return a.length == b.length &&
         memcmp(reader->bytes + a.offset, reader->bytes + b.offset, a.length) == 0;
}

/*
** Within a function a constant is added once: then it is none any more. Functions within each other
** mostly name the same globals: one that came lately is not added again, and repeating one does no
** harm.
*/
static bool add_name(Reader *reader, lt_Bytecode *code, lt_GlobalName *constant) {
  lt_GlobalName name = *constant;
  constant->length = SIZE_MAX;
  if (name.length == SIZE_MAX)
    return true;
  for (size_t i = code->name_count; i > 0 && code->name_count - i < RECENT_NAMES; i--)
    if (same_name(reader, code->names[i - 1], name))
      return true;
  if (code->name_count == reader->capacity &&
      !lt_array_grow(&code->names, NULL, &reader->capacity, 8, sizeof(lt_GlobalName))) {
    reader->no_memory = true;
    return false;
  }
  code->names[code->name_count++] = name;
  return true;
}

/*
** An instruction that reads or writes a field of an upvalue names it by a constant, a short string
** whose index has 8 bits. A name with a larger index, or a longer one, goes through a register
** after the environment has been loaded: all constants that can be reached only so are taken for
** names.
*/
static bool add_indirect_names(Reader *reader, lt_Bytecode *code, const Constants *constants) {
  for (size_t i = 0; i < constants->count; i++) {
    lt_GlobalName *name = &constants->strings[i];
    if (i > LARGEST_FIELD_CONSTANT || name->length > LT_LONGEST_SHORT_STRING)
      if (!add_name(reader, code, name))
        return false;
  }
  return true;
}

static bool scan_code(Reader *reader, lt_Bytecode *code, size_t start, size_t count,
                      const Constants *constants, Upvalues *upvalues) {
  bool indirect = false;
  for (size_t i = 0; i < count; i++) {
    uint32_t instruction;
    memcpy(&instruction, reader->bytes + start + i * INSTRUCTION_BYTES, sizeof(instruction));
    unsigned opcode = instruction & 0x7f;
    unsigned a = instruction >> 7 & 0xff;
    unsigned b = instruction >> 16 & 0xff;
    unsigned c = instruction >> 24 & 0xff;
    bool done = true;
    if (opcode == OP_GETTABUP && upvalues_has(&upvalues->environment, b) && c < constants->count)
      done = add_name(reader, code, &constants->strings[c]);
    else if (opcode == OP_SETTABUP && upvalues_has(&upvalues->environment, a) &&
             b < constants->count)
      done = add_name(reader, code, &constants->strings[b]);
    else if (opcode == OP_GETUPVAL && upvalues_has(&upvalues->environment, b))
      indirect = true;
    else if (opcode == OP_SETUPVAL)
      upvalues_add(&upvalues->assigned, b);
    if (!done)
      return false;
  }
  return !indirect || add_indirect_names(reader, code, constants);
}

/* Those of a function within another, which has upvalues that are 'outer'; or NULL. */
static void read_upvalues(Reader *reader, const Upvalues *outer, Upvalues *upvalues,
                          Origins *origins) {
  origins->count = read_size(reader);
  for (size_t i = 0; i < origins->count && !reader->truncated; i++) {
    unsigned in_stack = read_byte(reader);
    unsigned index = read_byte(reader);
    read_byte(reader);
    if (i < 256)
      origins->outer[i] = (short)(in_stack ? -1 : (int)index);
    if (outer != NULL && !in_stack && upvalues_has(&outer->environment, index))
      upvalues_add(&upvalues->environment, (unsigned)i);
  }
}

/* What a function within another assigns, that one does, too. */
static void pass_assigned(const Upvalues *inner, const Origins *origins, Upvalues *outer) {
  for (unsigned i = 0; outer != NULL && i < 256 && i < origins->count; i++)
    if (origins->outer[i] >= 0 && upvalues_has(&inner->assigned, i))
      upvalues_add(&outer->assigned, (unsigned)origins->outer[i]);
}

static void skip_debug(Reader *reader) {
  skip(reader, read_size(reader));
  for (size_t left = read_size(reader); left > 0 && !reader->truncated; left--) {
    read_size(reader);
    read_size(reader);
  }
  for (size_t left = read_size(reader); left > 0 && !reader->truncated; left--) {
    read_string(reader);
    read_size(reader);
    read_size(reader);
  }
  for (size_t left = read_size(reader); left > 0 && !reader->truncated; left--)
    read_string(reader);
}

/*
** 'outer' tells what the upvalues of the enclosing function are; the outermost function has none
** and comes with its own environment in 'upvalues'. The parser of Lua bounds how deep functions
** nest.
*/
static bool read_function(Reader *reader, lt_Bytecode *code, Upvalues *outer, Upvalues *upvalues) {
  Origins origins = {0, {0}};
  read_string(reader);
  read_size(reader);
  read_size(reader);
  skip(reader, 3);
  size_t count = read_size(reader);
  size_t start = reader->position;
  if (count > reader->size / INSTRUCTION_BYTES)
    return false;
  skip(reader, count * INSTRUCTION_BYTES);
  Constants constants = {0, NULL};
  bool done = read_constants(reader, &constants);
  if (done) {
    read_upvalues(reader, outer, upvalues, &origins);
    done = scan_code(reader, code, start, count, &constants, upvalues);
  }
  free(constants.strings);
  for (size_t left = done ? read_size(reader) : 0; left > 0 && done; left--) {
    Upvalues inner = {{{0}}, {{0}}};
    done = read_function(reader, code, upvalues, &inner);
  }
  if (done)
    skip_debug(reader);
  pass_assigned(upvalues, &origins, outer);
  return done && !reader->truncated;
}

/* Up to and with the number of upvalues, which stands before the function. */
static bool read_header(Reader *reader) {
  static const unsigned char header[] = {0x1b, 'L',  'u',  'a',  0x54, 0,
                                         0x19, 0x93, '\r', '\n', 0x1a, '\n'};
  static const unsigned char sizes[] = {INSTRUCTION_BYTES, sizeof(lua_Integer), sizeof(lua_Number)};
  size_t tail = sizeof(lua_Integer) + sizeof(lua_Number) + 1;
  if (reader->size < sizeof(header) + sizeof(sizes) + tail)
    return false;
  if (memcmp(reader->bytes, header, sizeof(header)) != 0 ||
      memcmp(reader->bytes + sizeof(header), sizes, sizeof(sizes)) != 0)
    return false;
  skip(reader, sizeof(header) + sizeof(sizes) + tail);
  return true;
}

/* False only without memory. */
static bool find_names(lt_Bytecode *code) {
  Reader reader = {.bytes = code->bytes, .size = code->size};
  Upvalues upvalues = {{{0}}, {{0}}};
  if (!read_header(&reader))
    return true;
  if (code->environment != LT_NO_ENVIRONMENT)
    upvalues_add(&upvalues.environment, (unsigned)code->environment - 1);
  if (!read_function(&reader, code, NULL, &upvalues))
    code->name_count = 0;
  code->assigned = upvalues.assigned;
  return !reader.no_memory;
}

/*
** Dumping and loading
*/

typedef struct Dump {
  lt_Bytecode *code;
  size_t capacity;
} Dump;

static int write_dump(lua_State *L, const void *bytes, size_t size, void *state) {
  Dump *dump = state;
  (void)L;
  if (size > dump->capacity - dump->code->size) {
    size_t capacity = (dump->capacity + size) * 2;
    lt_Bytecode *code = realloc(dump->code, sizeof(lt_Bytecode) + capacity);
    if (code == NULL)
      return 1;
    dump->code = code;
    dump->capacity = capacity;
  }
  memcpy(dump->code->bytes + dump->code->size, bytes, size);
  dump->code->size += size;
  return 0;
}

/* The function is on the top; lua_dump neither allocates nor raises. */
static lt_Bytecode *dump_function(lua_State *L, int environment) {
  Dump dump = {NULL, 1024};
  dump.code = calloc(1, sizeof(lt_Bytecode) + dump.capacity);
  if (dump.code == NULL)
    return NULL;
  lt_object_init(&dump.code->object, &code_type);
  if (lua_dump(L, write_dump, &dump, 0) != 0) {
    free(dump.code);
    return NULL;
  }
  dump.code->environment = environment;
  if (find_names(dump.code))
    return dump.code;
  lt_object_release(&dump.code->object);
  return NULL;
}

lt_Bytecode *lt_bytecode_find(lua_State *L, int index, int environment) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  lt_push_registered(L, &cache_key, "k");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lt_Bytecode *code = (lt_Bytecode *)lt_object_of_type(L, -1, &code_type);
  lua_pop(L, 2);
  return code != NULL && code->environment == environment ? code : NULL;
}

lt_Bytecode *lt_bytecode_new(lua_State *L, int index, int environment) {
  lt_check_stack(L, 1);
  lua_pushvalue(L, index);
  lt_Bytecode *code = dump_function(L, environment);
  if (code == NULL)
    lt_raise_memory(L);
  lua_pop(L, 1);
  return code;
}

void lt_bytecode_keep(lua_State *L, int index, lt_Bytecode *code) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  lt_push_registered(L, &cache_key, "k");
  lua_pushvalue(L, index);
  lt_object_push(L, &code->object);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

typedef struct Load {
  const lt_Bytecode *code;
  bool done;
} Load;

static const char *read_load(lua_State *L, void *state, size_t *size) {
  Load *load = state;
  (void)L;
  if (load->done)
    return NULL;
  load->done = true;
  *size = load->code->size;
  return (const char *)load->code->bytes;
}

int lt_bytecode_load(lua_State *L, const lt_Bytecode *code) {
  Load load = {code, false};
  return lua_load(L, read_load, &load, "=(transferred)", "b");
}
