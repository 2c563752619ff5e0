/*
** How much memory a state may have: what its allocator gives, which is what collectgarbage "count"
** tells and the buffers of strings that are being built. What does not fit is refused, as by a system
** without memory: Lua collects its garbage, tries again, and raises "not enough memory".
**
** Several states may have a limit of all together besides. Each draws from what is left of it, a little
** more than it needs, so that it does not come back for each block.
**
** A state without a limit has nothing of this, and is no slower.
*/
#ifndef lt_memory_limit_h
#define lt_memory_limit_h

#include <stdatomic.h>

#include "src/state/coroutines.h"

typedef struct lt_MemoryLimit {
  size_t most;         /* bytes; 0: there is no limit */
  atomic_size_t *left; /* of the limit of all together; NULL: there is none */
  size_t drawn;        /* from there; only for the state's own thread, as what follows */
  size_t used;
  lua_Alloc allocate;
  void *allocator;
} lt_MemoryLimit;

/*
** The state of L, which has these coroutines, is under the limit until it is closed; the limit stays
** where it is until then. It may have more already: then it gets nothing more.
*/
void lt_memory_limit_begin(lt_MemoryLimit *limit, lua_State *L, lt_Coroutines *coroutines);

/* The state is closed: others have what it has drawn. Also where there is no limit. */
void lt_memory_limit_end(lt_MemoryLimit *limit);

#endif
