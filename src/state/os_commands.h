/*
** os.execute and io.popen for the states of threads. They are Lua's own in every argument, result
** and error, with two differences: the commands that they start do not have all signals blocked,
** as threads of lthread have; and io.popen does not wait for a file that another thread is using.
** Main states get that io.popen, too.
*/
#ifndef lt_os_commands_h
#define lt_os_commands_h

#include <lua.h>

/* Puts them into the modules os and io, where these have Lua's own. */
void lt_os_commands_replace(lua_State *L);
void lt_os_commands_replace_popen(lua_State *L);

#endif
