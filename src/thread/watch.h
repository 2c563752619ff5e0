/*
** Waiting for one of several things, of which none is taken: objects, by what they show of
** themselves (see look.h), and descriptors.
*/
#ifndef lt_watch_h
#define lt_watch_h

#include "src/sync/look.h"
#include "src/thread/thread.h"

typedef struct lt_Watch {
  lt_Looking looking;
  plat_Polled *polled;   /* the first one is the parker's */
  unsigned polled_count; /* with that */
  size_t *looker_places;
  size_t *polled_places;
  bool waits; /* false: it only looks */
  size_t found;
} lt_Watch;

/*
** Pushes a userdata, with room for so many. What is added must live as long as it is used, and comes
** in the order of its places.
*/
lt_Watch *lt_watch_push(lua_State *L, size_t objects, size_t descriptors);
void lt_watch_add(lt_Watch *watch, const lt_Sight *sight, size_t place);
void lt_watch_add_descriptor(lt_Watch *watch, int descriptor, size_t place);
void lt_watch_clear(lt_Watch *watch);

/*
** Waits until one of them is ready; 'found' is then the place of the first one. False: the time is up.
** Raises as lt_wait does. Where there are descriptors, polling is enabled.
*/
bool lt_watch_wait(lua_State *L, lt_Watch *watch, plat_Time deadline, const char *what);

#endif
