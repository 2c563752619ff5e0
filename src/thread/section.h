/*
** Blocking sections: what a C module of others waits in, with its name for dumps and with a wake by
** which an interrupt ends it. A section belongs to a C call, and ends with that at the latest.
*/
#ifndef lt_section_h
#define lt_section_h

#include "src/thread/section_list.h"

/*
** Begins a section of the running C function, within those that it is in already, and pushes a value
** that stands for it. Returns true if the thread is to raise something now: it is not to block then,
** and the value stands for nothing. NULL as wake: the poke ends what it waits in. May raise for want
** of memory.
*/
bool lt_section_begin(lua_State *L, const char *name, lt_Wake wake, void *context);

/*
** Ends the section for which the value at the absolute index stands, and removes it. A wake that runs
** is waited for. Returns whether the thread has been asked to raise something, which it will do at
** its next instruction.
*/
bool lt_section_end(lua_State *L, int index);

#endif
