/*
** The metatable of a shared object: it is packed once, into a message that never changes, and each
** state makes one of its own out of that; the state that it comes from has the very table.
**
** Beside it, the state has the metatable that the proxies of these objects get, which is hidden: a
** script sees the other one. The two live as long as each other.
*/
#ifndef lt_shared_metatable_h
#define lt_shared_metatable_h

#include "src/object/cycles.h"
#include "src/transfer/message.h"

typedef struct lt_SharedMetatable {
  lt_Traced traced;
  lt_Message *message; /* of two values: the metatable, and the constants or nil */
  size_t size;         /* of the message */
} lt_SharedMetatable;

/* What is done above, for the metatable of the proxies. */
typedef struct lt_HiddenMaker {
  /* Begins it, at 'hidden', which is as of plain shared tables; its owner is below. */
  void (*begin)(lua_State *L, int hidden);
  /*
  ** Fills it, at 'hidden', out of the metatable that the objects have and their constants, which
  ** are at the next two places.
  */
  void (*fill)(lua_State *L, int hidden);
  lua_CFunction complete; /* calls lt_shared_metatable_complete */
} lt_HiddenMaker;

/*
** Fields of the metatable of the proxies: what the state has as the metatable of the objects, and
** as their constants, a table of fields that are no fields of the shared table; or nil.
*/
enum { LT_HIDDEN_METATABLE = 1, LT_HIDDEN_CONSTANTS };

/*
** That of the table at 'metatable', with the constants at 'constants', of which there may be none.
** Pushes what keeps it as long as it is on the stack. Raises TypeError for what can't be
** transferred.
*/
lt_SharedMetatable *lt_shared_metatable_of(lua_State *L, int metatable, int constants,
                                           const lt_HiddenMaker *maker);

/*
** Pushes the metatable of the proxies, for that of 'object'. Raises what goes wrong in making it.
** While that goes on, and until all of the message is there that the object comes with, it is
** there, but only begun.
*/
void lt_shared_metatable_push_hidden(lua_State *L, lt_SharedMetatable *metatable,
                                     const lt_Object *object, const lt_HiddenMaker *maker);

/*
** Completes the one whose owner, as 'complete' has it as first upvalue, is at 'owner'. Returns
** false if that is being done.
*/
bool lt_shared_metatable_complete(lua_State *L, int owner, const lt_HiddenMaker *maker);

#endif
