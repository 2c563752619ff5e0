/*
** os.execute and io.popen for the states of threads. They are Lua's own in every argument, result
** and error; but what they start does not have all signals blocked, as our threads have, and
** io.popen waits for no file that another thread is using. The latter is for main states, too.
*/
#ifndef lt_os_commands_h
#define lt_os_commands_h

#include <lua.h>

/* Puts them into the modules os and io, where these have Lua's own. */
void lt_os_commands_replace(lua_State *L);
void lt_os_commands_replace_popen(lua_State *L);

#endif
