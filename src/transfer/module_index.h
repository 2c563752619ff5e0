/*
** The index of a state's modules: which path leads to a value from package.loaded, such as
** io -> stdout. It is a userdata, made anew when package.loaded has changed, and never changed
** itself: what is read from it is valid as long as it lies on the stack.
*/
#ifndef lt_module_index_h
#define lt_module_index_h

#include <stdbool.h>
#include <stddef.h>

#include "src/object/object.h"
#include "src/state/quiet_call.h"

#define LT_MODULE_PATH_LONGEST 6

/* The steps of a path: the module's name, then fields. NULL is a step to the metatable. */
typedef struct lt_ModulePath {
  int length;
  size_t module; /* the first step's number in the index */
  const char *steps[LT_MODULE_PATH_LONGEST];
} lt_ModulePath;

typedef struct lt_ModuleIndex lt_ModuleIndex;

/*
** Pushes the index for package.loaded as it is, or, with 'anew', a new one at any rate.
** 'quiet' is the quiet call that this is in, or NULL.
*/
void lt_module_index_push(lua_State *L, bool anew, lt_QuietCall *quiet);

/* Whether a value had this address when the index at 'index' was made, and what led to it then. */
bool lt_module_index_find(lua_State *L, int index, const void *address, lt_ModulePath *path);

/*
** What is kept for the module of a path, see pack_module.c: an object, or NULL, and the userdata on
** the top, which stays there. The index has a reference to each.
*/
void lt_module_index_keep(lua_State *L, int index, const lt_ModulePath *path, lt_Object *object);

/* Pushes the userdata, or nil, and returns its address. */
void *lt_module_index_push_kept(lua_State *L, int index, const lt_ModulePath *path,
                                lt_Object **object);

#endif
