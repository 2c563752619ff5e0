/*
** In what the sender's module differs from a fresh one. A watch keeps what was found out last; as
** long as neither the module nor its shape has changed it is one walk through the module's tables
** to know.
*/
#ifndef lt_module_differences_h
#define lt_module_differences_h

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "src/state/module_tables.h"
#include "src/transfer/module_shape.h"

/* A field that differs or has differed, or, without a shape, any field. */
typedef struct lt_ModuleField {
  size_t table; /* the number of the table that has it */
  uint64_t content;
  bool replaces; /* it is one function in the place of another */
} lt_ModuleField;

typedef struct lt_ModuleWatch {
  const lt_ModuleShape *shape;
  uint64_t fingerprint; /* 0: it was never looked at */
  uint64_t message;     /* the last one for which it was looked at */
  size_t table_count;
  const lt_ModuleTable *tables;
  size_t field_count;           /* of those that differ, or have differed */
  const lt_ModuleField *fields; /* from 0 */
} lt_ModuleWatch;

/* Pushes a new one, a userdata. */
lt_ModuleWatch *lt_module_watch_push(lua_State *L);

/*
** Whether the module on the top differs from one of this shape; without a shape it does. The watch
** is at 'place'. Nothing but a table differs. A message asks as often as it likes.
*/
bool lt_module_watch_differs(lua_State *L, int place, const lt_ModuleShape *shape,
                             uint64_t message);

/* Pushes the key and the value of a field that differs, and returns what is known of it now. */
lt_ModuleField lt_module_watch_push_field(lua_State *L, int place, size_t field);

/*
** Pushes the keys that lead to a table with this number, and returns how many they are: at most
** LT_MODULE_TABLES_DEEPEST.
*/
int lt_module_watch_push_keys(lua_State *L, int place, size_t table);

#endif
