/*
** The functions behind the inline ones of lthread.h. A module may have been compiled with an older
** header, whose lthread_Section and lthread_Functions are the beginnings of these, or with a newer
** one, which looks at the size.
*/
#include "lib/module_functions.h"

#include "src/thread/section.h"

static int blocking_begin(lua_State *L, const char *name, void (*wake)(void *context),
                          void *context) {
  return lt_section_begin(L, name, wake, context);
}

static int blocking_end(lua_State *L, int index) {
  return lt_section_end(L, index);
}

const lthread_Functions lt_module_functions = {sizeof(lthread_Functions), blocking_begin,
                                               blocking_end};
