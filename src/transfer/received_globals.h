/*
** The globals that come with the functions of a message.
*/
#ifndef lt_received_globals_h
#define lt_received_globals_h

#include <lua.h>

/* Whether they take the place of those that the receiver has. */
typedef enum lt_GlobalsRule { LT_KEEP_GLOBALS, LT_OVERRIDE_GLOBALS } lt_GlobalsRule;

/* Sets the fields of the table at 'received' as globals, all or, where it raises, none. */
void lt_received_globals_set(lua_State *L, int received, lt_GlobalsRule rule);

#endif
