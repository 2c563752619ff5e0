/*
** What C modules of others find through the registry, because they can't link to this library.
*/
#ifndef lt_module_functions_h
#define lt_module_functions_h

#include "lthread.h"

extern const lthread_Functions lt_module_functions;

#endif
