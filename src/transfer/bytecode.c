/*
** Nothing here is written once the bytecode is shared.
*/
#include "src/transfer/bytecode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

static const char cache_key;

static void destroy_code(lt_Object *object) {
  lt_Bytecode *code = (lt_Bytecode *)object;
  free(code->names.list);
  free(code);
}

static const lt_Type code_type = {"code", NULL, destroy_code, NULL};

/*
** Dumping and loading
*/

typedef struct Dump {
  lt_Bytecode *code;
  size_t capacity;
} Dump;

enum { FIRST_CAPACITY = 1024 };

static int write_dump(lua_State *L, const void *bytes, size_t size, void *state) {
  Dump *dump = state;
  (void)L;
  if (size == 0) /* the end, in Lua 5.5 */
    return 0;
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

/* In Lua 5.5 lua_dump makes a table. */
static int dump_protected(lua_State *L) {
  Dump *dump = lua_touserdata(L, 1);
  if (lua_dump(L, write_dump, dump, 0) != 0)
    lt_raise_memory(L);
  return 0;
}

/* The function is on the top, and is popped. */
static lt_Bytecode *dump_function(lua_State *L, const lt_UpvalueSet *globals) {
  Dump dump = {calloc(1, sizeof(lt_Bytecode) + FIRST_CAPACITY), FIRST_CAPACITY};
  if (dump.code == NULL)
    lt_raise_memory(L);
  lt_object_init(&dump.code->object, &code_type);
  int status = lt_protected_call(L, dump_protected, &dump, 1, 0);
  lt_Bytecode *code = dump.code;
  code->globals = *globals;
  if (status != LUA_OK) {
    lt_object_release(&code->object);
    lt_throw(L);
  }
  if (!lt_global_names_find(code->bytes, code->size, globals, &code->names)) {
    lt_object_release(&code->object);
    lt_raise_memory(L);
  }
  return code;
}

lt_Bytecode *lt_bytecode_find(lua_State *L, int index, const lt_UpvalueSet *globals) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  lt_push_registered(L, &cache_key, "k");
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lt_Bytecode *code = (lt_Bytecode *)lt_object_of_type(L, -1, &code_type);
  lua_pop(L, 2);
  return code != NULL && memcmp(&code->globals, globals, sizeof(*globals)) == 0 ? code : NULL;
}

lt_Bytecode *lt_bytecode_new(lua_State *L, int index, const lt_UpvalueSet *globals) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 4);
  lua_pushvalue(L, index);
  return dump_function(L, globals);
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
