/*
** What waits for the end of a message: it may need classes that come with the message, too, and
** they are the state's only when all of the message is there. A message may be unpacked within
** another; the outer one counts.
*/
#ifndef lt_unpack_end_h
#define lt_unpack_end_h

#include "src/object/object.h"

typedef struct lt_UnpackEnd lt_UnpackEnd;

struct lt_UnpackEnd {
  lua_State *L;
  lt_UnpackEnd *outer;     /* of what this thread unpacks, in whatever state; or NULL */
  const lt_Object *object; /* which is just being pushed; or NULL */
  bool is_awaited;         /* something waits for it */
};

/* Around unpacking. The end takes and returns a status of Lua, as lt_try_unpack. */
void lt_unpack_end_begin(lua_State *L, lt_UnpackEnd *end);
int lt_unpack_end_run(lua_State *L, lt_UnpackEnd *end, int status, int base);

/* Code of the script is about to run: what waits does so no longer. Raises what goes wrong. */
void lt_unpack_end_run_now(lua_State *L);

/*
** The function on the top is called, without arguments, when all of the message is there with which
** the object comes. Returns false and leaves it if the object does not come with a message.
*/
bool lt_unpack_end_await(lua_State *L, const lt_Object *object);

#endif
