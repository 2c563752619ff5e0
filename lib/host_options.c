/*
** The structure of a host may be that of an older header, which is shorter, or of a newer one: its
** size tells. What the host's header does not know is as if it were zero; what this library does not
** know has to be zero.
*/
#include "lib/host_options.h"

#include <string.h>

#include "src/object/arguments.h"
#include "src/object/exception.h"

#define MOST_BYTES ((size_t)4096) /* more is no size, but was never set */

static void check_size(lua_State *L, const lthread_Options *given) {
  if (given->size < sizeof(given->size) || given->size > MOST_BYTES)
    lt_raise(L, &lt_ValueError,
             "options.size is %I, it must be sizeof(lthread_Options): set it before the others",
             (lua_Integer)given->size);
  const char *bytes = (const char *)given;
  for (size_t i = sizeof(*given); i < given->size; i++)
    if (bytes[i] != 0)
      lt_raise(L, &lt_ValueError,
               "an option is set that lthread " LTHREAD_VERSION
               " does not know: lthread.h is of a later version");
}

static plat_Time check_grace(lua_State *L, double seconds) {
  if (seconds == 0)
    return LT_DEFAULT_GRACE;
  if (seconds < 0)
    return 0;
  if (!(seconds <= LT_TIMEOUT_MAX))
    lt_raise(L, &lt_ValueError, "options.grace_period is %f seconds, it must be at most %f",
             (lua_Number)seconds, (lua_Number)LT_TIMEOUT_MAX);
  return (plat_Time)(seconds * (double)PLAT_SECOND);
}

lt_RuntimeOptions lt_check_host_options(lua_State *L, const lthread_Options *given) {
  lthread_Options known = {0};
  if (given != NULL) {
    check_size(L, given);
    memcpy(&known, given, given->size < sizeof(known) ? given->size : sizeof(known));
  }
  return (lt_RuntimeOptions){.on_thread_start = known.on_thread_start,
                             .on_thread_end = known.on_thread_end,
                             .context = known.context,
                             .grace = check_grace(L, known.grace_period),
                             .memory = known.memory_limit,
                             .total_memory = known.total_memory_limit};
}
