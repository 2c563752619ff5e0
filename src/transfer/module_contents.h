/*
** The contents of a loaded module, as far as another state must know them to have the module as
** complete: all names under which package.loaded has it, its members, and which other modules may
** have added some of them. A shared object, which crosses together with the module's name.
*/
#ifndef lt_module_contents_h
#define lt_module_contents_h

#include <lua.h>

#include "src/object/object.h"
#include "src/transfer/module_shape.h"

/*
** Where a module that can't be required is to be had: a shared object. 'push' makes a new one, or
** raises.
*/
typedef struct lt_ModuleOffer {
  lt_Object object;
  void (*push)(lua_State *L, const struct lt_ModuleOffer *offer);
} lt_ModuleOffer;

/*
** The text is four lists of strings, one after the other. Each string ends with a zero, each list
** with an empty string: the names, without the first; the members; the modules that have made
** members; the modules that may have.
*/
typedef struct lt_ModuleContents {
  lt_Object object;
  lua_Integer id;                  /* a hash of all: equal ones of several states are one */
  _Atomic(lt_ModuleShape *) shape; /* set once */
  lt_ModuleOffer *offer;           /* NULL: it can be required */
  const char *members;
  const char *makers;
  const char *others;
  char names[];
} lt_ModuleContents;

/*
** That of the module with this name, with a reference for the caller; NULL if it is Lua's or the
** library's own. As long as it stays the same it is the same object.
*/
lt_ModuleContents *lt_module_contents_new(lua_State *L, const char *name);

/*
** What a state has that has just loaded the module; NULL: no state of ours has done so. Who loads
** the module first tells it, for all that have these contents.
*/
const lt_ModuleShape *lt_module_contents_shape(const lt_ModuleContents *module);

/* Tells it for the module on the top, if nobody has yet. */
void lt_module_contents_tell(lua_State *L, lt_ModuleContents *module);

#endif
