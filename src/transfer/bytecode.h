/*
** Bytecode: the code of a Lua function as a shared object, with the names of globals that are in
** it. States that get the same function again share it.
*/
#ifndef lt_bytecode_h
#define lt_bytecode_h

#include <stdbool.h>
#include <stdint.h>

#include "src/object/object.h"

typedef struct lt_GlobalName {
  size_t offset; /* into the bytes of the dump */
  size_t length;
} lt_GlobalName;

/* Some of the upvalues of a function, from 0 on. */
typedef struct lt_UpvalueSet {
  uint32_t bits[8];
} lt_UpvalueSet;

typedef struct lt_Bytecode {
  lt_Object object;
  int environment;        /* which upvalue the names are fields of, 0: none */
  lt_UpvalueSet assigned; /* by the function, or by one within it */
  size_t name_count;
  lt_GlobalName *names;
  size_t size;
  unsigned char bytes[]; /* what lua_dump wrote */
} lt_Bytecode;

#define LT_NO_ENVIRONMENT 0

/* Strings of Lua up to this length are constants of which a state has only one of the same text. */
#define LT_LONGEST_SHORT_STRING 40

/*
** The code of the Lua function at 'index', 'environment' being the upvalue that stands for the
** globals. The state's, without a reference for the caller, or NULL where it has none yet; one that
** is new, with a reference for the caller; and that one becomes the state's, which keeps it as long
** as the function.
*/
lt_Bytecode *lt_bytecode_find(lua_State *L, int index, int environment);
lt_Bytecode *lt_bytecode_new(lua_State *L, int index, int environment);
void lt_bytecode_keep(lua_State *L, int index, lt_Bytecode *code);

/* Whether the function, or one within it, assigns its upvalue of this number, from 1 on. */
static inline bool lt_bytecode_assigns(const lt_Bytecode *code, int upvalue) {
  int number = upvalue - 1;
  return (code->assigned.bits[number / 32] >> (number % 32) & 1) != 0;
}

/* Pushes a function made of the code, or an error message; returns lua_load's status. */
int lt_bytecode_load(lua_State *L, const lt_Bytecode *code);

#endif
