/*
** Lua's own functions, as a state has them that nobody has changed.
*/
#ifndef lt_stock_h
#define lt_stock_h

#include <stdbool.h>

#include <lua.h>

typedef enum lt_Stock {
  LT_STOCK_PRINT,
  LT_STOCK_PCALL,
  LT_STOCK_XPCALL,
  LT_STOCK_WRAPPED, /* what coroutine.wrap returns */
  LT_STOCK_COROUTINE_CLOSE,
  LT_STOCK_EXECUTE,
  LT_STOCK_SETHOOK,
  LT_STOCK_IO_LINES,
  LT_STOCK_IO_INPUT,
  LT_STOCK_IO_OUTPUT,
  LT_STOCK_IO_OPEN,
  LT_STOCK_IO_TMPFILE,
  LT_STOCK_IO_POPEN,
  LT_STOCK_FILE_LINES,
  LT_STOCK_FILE_READ,
  LT_STOCK_LINE_ITERATOR,   /* what file:lines returns */
  LT_STOCK_GMATCH_ITERATOR, /* what string.gmatch returns */
  LT_STOCK_COUNT
} lt_Stock;

/* What debug.sethook sets to call a hook of a script. */
lua_Hook lt_stock_hook(void);

/* NULL: not learnt, for want of memory, or there is no such library in the program. */
lua_CFunction lt_stock_function(lt_Stock which);

/* Learns them, in a fresh state, unless they are known. */
void lt_stock_learn(void);
bool lt_stock_is_learnt(void);

#endif
