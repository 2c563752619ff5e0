/*
** Values that every state can get for itself: what is a member of a loaded module. They have a
** path, such as io -> stdout, that leads to them from package.loaded.
*/
#ifndef lt_named_h
#define lt_named_h

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#define LT_PATH_LONGEST 6

/* The steps of a path: the module's name, then fields. NULL is a step to the metatable. */
typedef struct lt_Path {
  int length;
  const char *steps[LT_PATH_LONGEST];
} lt_Path;

/* The index of a state's modules. It is valid as long as no code of that state runs. */
typedef struct lt_Names lt_Names;

lt_Names *lt_names_of(lua_State *L);

/*
** Looks for the table, function or userdata with this address. The steps are valid as long as the
** index.
*/
bool lt_named_find(lua_State *L, lt_Names *names, const void *address, lt_Path *path);

/* Pushes what the path leads to, loading the module if need be, or raises RuntimeError. */
void lt_named_push(lua_State *L, const lt_Path *path);

/* Whether the path leads to what a new state has from its beginning under this global name. */
bool lt_named_is_standard_global(const lt_Path *path, const char *name);

#endif
