/*
** Bytecode: the code of a Lua function as a shared object, with the names of globals that are in
** it. States that get the same function again share it.
*/
#ifndef lt_bytecode_h
#define lt_bytecode_h

#include <stdbool.h>
#include "src/object/object.h"
#include "src/transfer/global_names.h"

typedef struct lt_Bytecode {
  lt_Object object;
  lt_UpvalueSet globals; /* the upvalues that were the globals */
  lt_GlobalNames names;
  size_t size;
  unsigned char bytes[]; /* what lua_dump wrote */
} lt_Bytecode;

/*
** The code of the Lua function at 'index', 'globals' being the upvalues that stand for the globals:
** the state's, without a reference for the caller, or NULL where it has none yet.
*/
lt_Bytecode *lt_bytecode_find(lua_State *L, int index, const lt_UpvalueSet *globals);

/*
** A new one is empty at first, with a reference for the caller. Then the code is put into it, and it
** moves; where that raises, it is still the caller's. Then it becomes the state's, which keeps it as
** long as the function. None of them calls anything.
*/
lt_Bytecode *lt_bytecode_begin(lua_State *L);
void lt_bytecode_dump(lua_State *L, int index, const lt_UpvalueSet *globals, void **target);
void lt_bytecode_keep(lua_State *L, int index, lt_Bytecode *code);

/* Whether the function, or one within it, assigns its upvalue of this number, from 1 on. */
static inline bool lt_bytecode_assigns(const lt_Bytecode *code, int upvalue) {
  return lt_upvalue_set_has(&code->names.assigned, upvalue);
}

/* Pushes a function made of the code, or an error message; returns lua_load's status. */
int lt_bytecode_load(lua_State *L, const lt_Bytecode *code);

#endif
