/*
** A thread has no more of Lua's libraries than its starter: what that lacks, be it a field such as
** io.popen or a whole library, the thread lacks as well, wherever it would be found; and what the
** starter has put there the thread has as a copy, or, if it can't cross, not at all.
**
** The state of a thread begins with all libraries, so this is done to it before anything of the
** user's runs there. While the starter's libraries are those that Lua has made, a start only finds
** out that they are.
*/
#ifndef lt_inherited_libraries_h
#define lt_inherited_libraries_h

#include <stdbool.h>

#include "src/object/object.h"

/*
** A reference to what is different in a thread that starts now; NULL: nothing. 'unchanged': no field
** of the libraries has changed since the last start; 'modules': a digest of package.loaded. May raise.
*/
lt_Object *lt_inherited_libraries_get(lua_State *L, bool *unchanged, uint64_t *modules);

/* In the thread, before any code of the user's runs; 'libraries' may be NULL. May raise. */
void lt_inherited_libraries_apply(lua_State *L, lt_Object *libraries);

#endif
