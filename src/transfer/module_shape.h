/*
** The shape of a module: what a state has of it that has just required it, as far as another state
** can compare it with its own (see module_tables.h). It is learned from a state that requires the
** module anyway, and never changed.
*/
#ifndef lt_module_shape_h
#define lt_module_shape_h

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "src/transfer/module_index.h"

typedef struct lt_ModuleShape lt_ModuleShape;

/*
** That of the module on the top, which this state has required. It is the caller's to free. NULL
** if the state does not know what the module was then.
*/
lt_ModuleShape *lt_module_shape_new(lua_State *L);
void lt_module_shape_free(lt_ModuleShape *shape); /* NULL is fine */

/* What a field has, see lt_module_field_content; 0: it is not there. */
uint64_t lt_module_shape_content(const lt_ModuleShape *shape, uint64_t path);

/* Whether the table at this path is one of the module's tables; an lt_ModuleTableFilter. */
bool lt_module_shape_has_table(const void *shape, uint64_t path);

/* Whether what the path leads to in a fresh module is of the same content. */
bool lt_module_shape_has(const lt_ModuleShape *shape, const lt_ModulePath *path, uint64_t content);

#endif
