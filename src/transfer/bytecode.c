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
#include "src/transfer/bytecode_trial.h"

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
  void **code;
  size_t capacity;
} Dump;

enum { FIRST_CAPACITY = 1024 };

static int write_dump(lua_State *L, const void *bytes, size_t size, void *state) {
  Dump *dump = state;
  lt_Bytecode *code = *dump->code;
  (void)L;
  if (size == 0) /* the end, in Lua 5.5 */
    return 0;
  if (size > dump->capacity - code->size) {
    size_t capacity = (dump->capacity + size) * 2;
    code = realloc(code, sizeof(lt_Bytecode) + capacity);
    if (code == NULL)
      return 1;
    *dump->code = code;
    dump->capacity = capacity;
  }
  memcpy(code->bytes + code->size, bytes, size);
  code->size += size;
  return 0;
}

lt_Bytecode *lt_bytecode_begin(lua_State *L) {
  lt_Bytecode *code = calloc(1, sizeof(lt_Bytecode) + FIRST_CAPACITY);
  if (code == NULL)
    lt_raise_memory(L);
  lt_object_init(&code->object, &code_type);
  return code;
}

void lt_bytecode_dump(lua_State *L, int index, const lt_UpvalueSet *globals, void **target) {
  Dump dump = {target, FIRST_CAPACITY};
  lt_check_stack(L, 2);
  lua_pushvalue(L, index);
  if (lua_dump(L, write_dump, &dump, 0) != 0)
    lt_raise_memory(L);
  lua_pop(L, 1);
  lt_Bytecode *code = *target;
  code->globals = *globals;
  lt_BytecodeTrial trial = lt_bytecode_trial();
  if (trial == LT_BYTECODE_UNTRIED ||
      !lt_global_names_find(code->bytes, code->size, globals, &code->names))
    lt_raise_memory(L);
  if (trial == LT_BYTECODE_UNKNOWN)
    lt_global_names_forget(&code->names);
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
