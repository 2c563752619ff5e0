/*
** What a module was when it was loaded: a state of ours keeps, of each module that it requires, a
** copy of its tables (see module_tables.h), as they were then. So it is known what its code has
** changed since, and what a message has set there.
*/
#ifndef lt_fresh_module_h
#define lt_fresh_module_h

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

/* Has the state's require keep what it loads, and call Lua's own. */
void lt_fresh_module_watch(lua_State *L);

/*
** Keeps the table on the top, a module that was just made from an offer: a require that returns it
** later, when more has been set in it, does not keep it anew.
*/
void lt_fresh_module_keep_made(lua_State *L);

/* Whether it is one of those. */
bool lt_fresh_module_is_require(lua_CFunction function);

/* Pushes the state's copies, by the tables of which they are. */
void lt_fresh_module_push_all(lua_State *L);

/* Whether the module at 'index' is known. */
bool lt_fresh_module_is_known(lua_State *L, int index);

/*
** Around what others add to the module on the top: the first pushes what the second, with that on
** the top, compares with and pops. What has been added then counts as fresh.
*/
void lt_fresh_module_before(lua_State *L);
void lt_fresh_module_after(lua_State *L);

/*
** Looks at the field of the table at 'table' with the key at 'key'. 'as_known' says whether it has
** what it had when it was fresh, or what a message has set there last, of which 'brought' is the
** number; 0 if none has.
*/
typedef struct lt_FreshField {
  bool table_known;
  bool as_known;
  uint64_t brought;
} lt_FreshField;

lt_FreshField lt_fresh_module_field(lua_State *L, int table, int key);

/*
** Pushes what the field was when it was fresh; nil if it was not there, or the table is not known.
*/
void lt_fresh_module_push_field(lua_State *L, int table, int key);

/* Sets the field to the value on the top, which it pops, for a message. */
void lt_fresh_module_bring(lua_State *L, int table, int key, uint64_t number);

#endif
