/*
** What Lua's libraries have in a state that nobody has changed: by that others find out what a
** script or a host has taken away from them, or put in its place. Learnt once in a process, from
** a state with Lua's own libraries and one with those that luaL_openlibs opens; both with what
** lthread replaces, and without.
*/
#ifndef lt_stock_libraries_h
#define lt_stock_libraries_h

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

/* The tables of a state that have something of the libraries. */
typedef enum lt_StockPlace {
  LT_STOCK_GLOBALS,  /* base functions, and the libraries by their names */
  LT_STOCK_LOADED,   /* package.loaded: the libraries */
  LT_STOCK_REGISTRY, /* what io and package have there */
  LT_STOCK_STRINGS,  /* the metatable of strings */
  LT_STOCK_FILES,    /* the methods of files */
  LT_STOCK_LIBRARIES /* from here on a library each, in the order of lt_stock_library_names */
} lt_StockPlace;

enum { LT_STOCK_LIBRARY_COUNT = 9, LT_STOCK_PLACES = LT_STOCK_LIBRARIES + LT_STOCK_LIBRARY_COUNT };

extern const char *const lt_stock_library_names[LT_STOCK_LIBRARY_COUNT];

enum { LT_STOCK_NAME_BYTES = 32, LT_STOCK_FUNCTIONS = 4, LT_STOCK_SEARCHERS = 4 };

typedef struct lt_StockField {
  char name[LT_STOCK_NAME_BYTES];
  unsigned types; /* bits: 1 << LUA_T... */
  lua_Number number;
  int function_count;
  lua_CFunction functions[LT_STOCK_FUNCTIONS];
} lt_StockField;

typedef struct lt_StockTable {
  size_t count;
  size_t capacity;
  lt_StockField *fields;
} lt_StockTable;

typedef struct lt_Stock {
  lt_StockTable tables[LT_STOCK_PLACES];
  lua_CFunction searchers[LT_STOCK_SEARCHERS]; /* of package.searchers */
} lt_Stock;

/* It stays for ever. Raises for want of memory. */
const lt_Stock *lt_stock_get(lua_State *L);

/*
** Pushes the table at this place in a state, or nil where there is none. That of a library is what
** the global of its name is; that of 'package' is the one that require uses, whether there is a
** name for it or not.
*/
void lt_stock_push(lua_State *L, int place);

/* The field of this name, or NULL. */
const lt_StockField *lt_stock_find(const lt_StockTable *table, const char *name);

/* Pushes the field of this name of the table at 'index', without metamethods; returns its type. */
int lt_stock_push_field(lua_State *L, int index, const char *name);

#endif
