/*
** The fields of shared tables, as Lua sees them. All of this acts on the table's own fields,
** whether it is a shared object or not.
*/
#ifndef lt_shared_fields_h
#define lt_shared_fields_h

#include "src/shared/shared_table.h"

/* The metamethods of a plain shared table. */
int lt_shared_index(lua_State *L);
int lt_shared_newindex(lua_State *L);
int lt_shared_len(lua_State *L);
int lt_shared_pairs(lua_State *L);

/* As lt_shared_index, without the globals of the state, which the shared globals fall back on. */
int lt_shared_get(lua_State *L);

/* Whether the table at 1 has a field whose key is at 2. */
bool lt_shared_has(lua_State *L);

#endif
