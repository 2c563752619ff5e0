/*
** Nothing here is written once the bytecode is shared.
*/
#include "src/transfer/bytecode.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
static lt_Bytecode *dump_function(lua_State *L, const lt_UpvalueSet *globals) {
  Dump dump = {NULL, 1024};
  dump.code = calloc(1, sizeof(lt_Bytecode) + dump.capacity);
  if (dump.code == NULL)
    return NULL;
  lt_object_init(&dump.code->object, &code_type);
  if (lua_dump(L, write_dump, &dump, 0) != 0) {
    free(dump.code);
    return NULL;
  }
  lt_Bytecode *code = dump.code;
  code->globals = *globals;
  if (lt_global_names_find(code->bytes, code->size, globals, &code->names))
    return code;
  lt_object_release(&code->object);
  return NULL;
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
  lt_check_stack(L, 1);
  lua_pushvalue(L, index);
  lt_Bytecode *code = dump_function(L, globals);
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
