/*
** The options that a host in C gives its runtime.
*/
#ifndef lt_host_options_h
#define lt_host_options_h

#include "lthread.h"
#include "src/thread/runtime_options.h"

/* What the host's options say; NULL: all defaults. Raises ValueError for what can't be meant. */
lt_RuntimeOptions lt_check_host_options(lua_State *L, const lthread_Options *given);

#endif
