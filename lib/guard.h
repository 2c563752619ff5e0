/*
** Guards: what lock:hold() and lock:with() have a lock by. A guard releases it when it is closed,
** or, if its coroutine was dropped before, when it is collected.
*/
#ifndef lt_guard_h
#define lt_guard_h

#include "src/object/object.h"

typedef struct lt_Guard lt_Guard;

/* Releases a lock, once, if the thread of this ident has it; else says why not. */
typedef const char *(*lt_GuardRelease)(lt_Object *lock, uint64_t ident);

/* Pushes the guard for the lock at index 1, which has nothing yet; may allocate and raise. */
lt_Guard *lt_guard_push(lua_State *L, lt_GuardRelease release);

/* What the thread of this ident has just acquired is the guard's to release. */
void lt_guard_entrust(lt_Guard *guard, uint64_t ident);

#endif
