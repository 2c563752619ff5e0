/*
** What the report of an uncaught error says of the error, which may be any value.
*/
#ifndef lt_error_text_h
#define lt_error_text_h

#include <lua.h>

/*
** Pushes a string: the value as tostring has it, or the fields of a table that has no __tostring,
** as far as one line goes. A __tostring that fails is told with its error. Raises without memory,
** and what ends a thread, such as an interrupt that comes meanwhile.
*/
void lt_error_text_push(lua_State *L, int index);

#endif
