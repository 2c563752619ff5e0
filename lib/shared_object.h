/*
** Shared objects: shared tables with a metatable.
*/
#ifndef lt_shared_object_h
#define lt_shared_object_h

#include "src/shared/shared_metatable.h"
#include "src/shared/shared_table.h"

/* Raises TypeError, for argument 'arg', if no shared object can have the metatable at 'index'. */
void lt_shared_object_check_metatable(lua_State *L, int index, int arg);

/*
** Pushes the fields of the table at 'object' that hold its class, or nil where there are none: the
** metatable itself, or a class that has it as a field. They are the same for all objects of the
** class, and each thread has its own.
*/
void lt_shared_object_push_class_fields(lua_State *L, int object, int metatable);

/* See lt_shared_metatable_of. */
lt_SharedMetatable *lt_shared_object_metatable(lua_State *L, int metatable, int class_fields);

/* The 'push_metatable' of shared tables. */
bool lt_shared_object_push_metatable(lua_State *L, lt_Object *object);

/*
** The table at the top is a copy of the shared table, whose fields are still to come: makes it an
** object of the same class, unless that is a shared table.
*/
void lt_shared_object_begin_copy(lua_State *L, lt_SharedTable *shared);

#endif
