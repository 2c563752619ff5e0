/*
** The code of a Lua function, as a shared object: its bytecode and the global names in it.
*/
#ifndef lt_code_h
#define lt_code_h

#include <stdint.h>

#include "src/object.h"

typedef struct lt_Name {
  size_t offset; /* into the bytes of the dump */
  size_t length;
} lt_Name;

typedef struct lt_Code {
  lt_Object object;
  int environment; /* which upvalue the names are fields of, 0: none */
  size_t name_count;
  lt_Name *names;
  size_t size;
  unsigned char bytes[]; /* what lua_dump wrote */
} lt_Code;

#define LT_NO_ENVIRONMENT 0

/*
** Pushes the proxy of the code of the Lua function at 'index', and returns the code. 'environment'
** is the upvalue that stands for the globals. Dumps are kept as long as their function.
*/
lt_Code *lt_code_push(lua_State *L, int index, int environment);

/* Pushes a function made of the code, or an error message; returns lua_load's status. */
int lt_code_load(lua_State *L, const lt_Code *code);

#endif
