/*
** How much memory a state may have: what its allocator gives, which is what collectgarbage "count"
** tells and the buffers of strings that are being built. What does not fit is refused, as by a system
** without memory: Lua collects its garbage, tries again, and raises "not enough memory".
**
** A state without a limit has nothing of this, and is no slower.
*/
#ifndef lt_memory_limit_h
#define lt_memory_limit_h

#include "src/state/coroutines.h"

typedef struct lt_MemoryLimit {
  size_t most; /* bytes; 0: there is no limit */
  size_t used; /* only for the state's own thread, as what follows */
  lua_Alloc allocate;
  void *allocator;
} lt_MemoryLimit;

/*
** The state of L, which has these coroutines, is under the limit until it is closed; the limit stays
** where it is until then. It may have more already: then it gets nothing more.
*/
void lt_memory_limit_begin(lt_MemoryLimit *limit, lua_State *L, lt_Coroutines *coroutines);

#endif
