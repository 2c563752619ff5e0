/*
** The globals that come with the functions of a message, and which of them the receiver takes.
**
** What a state has assigned itself is its own; it goes out stamped with the moment. What a state
** has received and not assigned since, it passes on with the stamp with which it came. So a
** receiver can tell what is newer, and nobody gets his own globals back in an older state.
*/
#ifndef lt_received_globals_h
#define lt_received_globals_h

#include <stdbool.h>

#include <lua.h>

/* Whether they may take the place of those that the receiver has. */
typedef enum lt_GlobalsRule { LT_KEEP_GLOBALS, LT_TAKE_GLOBALS } lt_GlobalsRule;

typedef enum lt_GlobalOrigin {
  LT_GLOBAL_OWN,
  LT_GLOBAL_PASSED_ON,
  LT_GLOBAL_GUESSED /* that the function names it is not certain: only for who has none */
} lt_GlobalOrigin;

typedef struct lt_GlobalStamp {
  lua_Integer moment; /* the larger, the later */
  lt_GlobalOrigin origin;
} lt_GlobalStamp;

/*
** Stamps the global whose name and value are on the top, in the sender. False: it has none, and
** never sent nor received one, so there is nothing to tell.
*/
bool lt_received_globals_stamp(lua_State *L, lt_GlobalStamp *stamp);

/*
** Those of one message, in the receiver: two tables at 'place' and behind it on the stack, which
** are nil before the first one. Adds the global whose name and value are on the top, and pops both.
*/
enum { LT_RECEIVED_GLOBALS_PLACES = 2 };
void lt_received_globals_add(lua_State *L, int place, const lt_GlobalStamp *stamp,
                             lt_GlobalsRule rule);

/* Sets what was added as globals, all or, where it raises, none. Then there are none any more. */
void lt_received_globals_set(lua_State *L, int place);

#endif
