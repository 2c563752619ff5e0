/*
** What is different in the libraries of a state from what Lua has made.
*/
#ifndef lt_library_comparison_h
#define lt_library_comparison_h

#include "src/thread/stock_libraries.h"

/*
** Where things lie on the stack, and how many they are. A field is two elements of a list, the place
** of its table and its name; a metatable of a library is like a field without a name.
*/
typedef struct lt_LibraryComparison {
  const lt_Stock *stock;
  int tables;   /* the first of those of all places, in their order */
  int removed;  /* a list of fields that are not there */
  int replaced; /* a list of fields that are not Lua's own, and can cross */
  int values;   /* a list of what they are */
  lua_Integer removed_count;
  lua_Integer replaced_count;
  lua_Integer value_count;
} lt_LibraryComparison;

/*
** Compares all tables of the libraries: fills the lists, which are empty, and lie above the tables.
** What is not Lua's own and can't cross counts as removed, or, if it has been added, as nothing. May
** raise, and run code of the state.
*/
void lt_library_comparison_make(lua_State *L, lt_LibraryComparison *comparison);

#endif
