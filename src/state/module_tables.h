/*
** The tables of a module: its own, and those that are its fields, or fields of these, until another
** module begins. They come level by level, each with a number for the path that leads to it, which
** is the same in all states, however Lua walks its tables there.
*/
#ifndef lt_module_tables_h
#define lt_module_tables_h

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#define LT_MODULE_TABLES_DEEPEST 8

typedef struct lt_ModuleTable {
  uint64_t path;
  size_t parent; /* its number, from 1; 0: the module itself */
} lt_ModuleTable;

/* Where on the stack what belongs to them is: four values. */
typedef struct lt_ModuleTables {
  size_t count;
  lt_ModuleTable *at; /* from 1; a userdata, the third value */
  int tables;         /* a list of them */
  int keys;           /* a list of the keys by which their parents have them */
  int numbers;        /* the number of each table; 0 for the other modules */
} lt_ModuleTables;

enum { LT_MODULE_TABLES_VALUES = 4 };

#define LT_MODULE_ROOT_PATH UINT64_C(0xCBF29CE484222325)

/* The path of the field with the key at 'index'; 0: the key has no number. */
uint64_t lt_module_field_path(lua_State *L, uint64_t table, int index);

/* The same for a step of an lt_ModulePath; NULL is to the metatable. */
uint64_t lt_module_step_path(uint64_t table, const char *step);

/*
** What a field has, as far as states can compare it: of scalars the value, of functions the code,
** of all else the type. Never 0: its lowest bits are the type.
*/
uint64_t lt_module_field_content(lua_State *L, int index);

enum { LT_MODULE_TYPE_BITS = 15 };

static inline uint64_t lt_module_content(uint64_t sum, int type) {
  return (sum & ~(uint64_t)LT_MODULE_TYPE_BITS) | (uint64_t)type;
}

static inline int lt_module_content_type(uint64_t content) {
  return (int)(content & LT_MODULE_TYPE_BITS);
}

/* Whether the table at a path is entered. */
typedef bool (*lt_ModuleTableFilter)(const void *context, uint64_t path);

/*
** Finds those of the table at 'module', and pushes four values, which 'found' refers to. Where
** 'views' is not 0, the table there has for each table another one that is looked at instead; those
** without one are not entered. The filter may be NULL. Runs no code.
*/
void lt_module_tables_find(lua_State *L, int module, int views, lt_ModuleTableFilter filter,
                           const void *context, lt_ModuleTables *found);

/* Mixes a number into another. */
static inline uint64_t lt_module_mix(uint64_t sum, uint64_t number) {
  sum = (sum ^ number) * UINT64_C(0x9E3779B97F4A7C15);
  return sum ^ sum >> 29;
}

#endif
