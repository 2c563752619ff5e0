/*
** The addresses of Lua's own functions, learnt once from a state that nobody has changed: by them
** others find out whether a state still has Lua's own under a name, and what it is that stands on
** a stack.
*/
#ifndef lt_library_functions_h
#define lt_library_functions_h

#include <stdbool.h>

#include <lua.h>

typedef enum lt_LibraryFunction {
  LT_LIBRARY_PRINT,
  LT_LIBRARY_PCALL,
  LT_LIBRARY_XPCALL,
  LT_LIBRARY_WRAPPED, /* what coroutine.wrap returns */
  LT_LIBRARY_COROUTINE_CLOSE,
  LT_LIBRARY_EXECUTE,
  LT_LIBRARY_SETHOOK,
  LT_LIBRARY_IO_LINES,
  LT_LIBRARY_IO_INPUT,
  LT_LIBRARY_IO_OUTPUT,
  LT_LIBRARY_IO_OPEN,
  LT_LIBRARY_IO_TMPFILE,
  LT_LIBRARY_IO_POPEN,
  LT_LIBRARY_FILE_LINES,
  LT_LIBRARY_FILE_READ,
  LT_LIBRARY_LINE_ITERATOR,   /* what file:lines returns */
  LT_LIBRARY_GMATCH_ITERATOR, /* what string.gmatch returns */
  LT_LIBRARY_REQUIRE,
  LT_LIBRARY_RANDOM,
  LT_LIBRARY_RANDOMSEED,
  LT_LIBRARY_COUNT
} lt_LibraryFunction;

/* What debug.sethook sets to call a hook of a script. */
lua_Hook lt_library_hook(void);

/* NULL: not learnt, for want of memory, or there is no such library in the program. */
lua_CFunction lt_library_function(lt_LibraryFunction which);

/* Ours that catches as pcall does; written once, before the first runtime opens. */
extern lua_CFunction lt_own_pcall;

static inline bool lt_is_pcall(lua_CFunction function) {
  return function != NULL &&
         (function == lt_library_function(LT_LIBRARY_PCALL) || function == lt_own_pcall);
}

/* The function in C of this call, to be compared with them; NULL: it is one of Lua. */
lua_CFunction lt_function_of_call(lua_State *L, lua_Debug *call);

/* Learns them, in a fresh state, unless they are known. */
void lt_library_functions_learn(void);
bool lt_library_functions_are_learnt(void);

#endif
