/*
** The memory of a thread's Lua state: small blocks from a pool of the state's own, large ones from
** malloc. A million small tables take half the time they take with malloc, if 1,000 are in use, and
** three quarters if all are (doc/performance.md).
**
** It also takes snapshots: the bytes of a fresh state, with its libraries, to which the next thread
** of the same worker comes back. That takes 2 us; opening a state takes 14.
**
** A state that has shrunk keeps free at most a megabyte or three times what it uses, whichever is
** more; unless it uses blocks all over its memory, since only whole chunks of it are given back.
** Without that, 39 of 39 MB stay after ten bursts of 300,000 tables, as they do with malloc, rather
** than 13; but the bursts take half the time.
*/
#ifndef lt_pool_h
#define lt_pool_h

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

typedef struct lt_Pool lt_Pool;

/*
** A new state without libraries, which writes nothing, in a pool of its own; NULL
** without memory. Any thread may use it, one at a time. lua_close frees the pool, too, unless
** there is a snapshot.
*/
lua_State *lt_pool_new_state(lt_Pool **pool);

/*
** What the state has asked of its allocator so far, as a number greater than 1: the same for states
** that have asked for blocks of the same lengths in the same order. 0: there is another allocator
** by now. Once for a state.
*/
uint64_t lt_pool_end_trace(lt_Pool *pool);

/*
** The state has its libraries. With 'again' a snapshot of it is kept, byte for byte, to come back
** to after lua_close. There is none without memory, nor if LT_SNAPSHOTS of other states are kept
** already.
*/
#define LT_SNAPSHOTS 8

void lt_pool_opened(lt_Pool *pool, bool again);
bool lt_pool_has_snapshot(const lt_Pool *pool);

/* After lua_close: the state is again as it was then. */
lua_State *lt_pool_restore(lt_Pool *pool);

/* From now on lua_close frees the pool. */
void lt_pool_drop_snapshot(lt_Pool *pool);

/* Frees a pool with a snapshot, after lua_close. */
void lt_pool_free(lt_Pool *pool);

/* The state is being closed: what it frees is soon given back as a whole. */
void lt_pool_closing(lt_Pool *pool);

/* How many bytes of large blocks it had at the most. */
size_t lt_pool_most_large(const lt_Pool *pool);

#endif
