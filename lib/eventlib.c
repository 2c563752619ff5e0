/*
** Events, as Lua sees them.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "src/sync/event.h"
#include "src/thread/wait.h"

static const lt_Type event_type;

typedef struct EventObject {
  lt_Object object;
  lt_Event event;
} EventObject;

static void event_destroy(lt_Object *object) {
  free(object);
}

/*
** Event() -> event
** A flag, not set yet, that threads wait for. Follows threading.Event.
*/
static int new_event(lua_State *L) {
  lt_check_most(L, 0, 0);
  EventObject *event = malloc(sizeof(*event));
  if (event == NULL)
    return lt_raise_memory(L);
  lt_object_init(&event->object, &event_type);
  lt_event_init(&event->event);
  lt_object_push_own(L, &event->object);
  return 1;
}

LT_CLASS(lt_EventType, "_thread.Event", NULL, new_event);

static lt_Event *check_event(lua_State *L) {
  return &((EventObject *)lt_check_object(L, 1, &event_type))->event;
}

/* event:set(). Sets the flag and wakes all who wait for it. Follows Event.set. */
static int event_set(lua_State *L) {
  lt_event_set(check_event(L));
  return 0;
}

/* event:clear(). Takes the flag back: who waits from now on, waits. Follows Event.clear. */
static int event_clear(lua_State *L) {
  lt_event_clear(check_event(L));
  return 0;
}

/* event:is_set() -> boolean. Whether the flag is set at this moment. Follows Event.is_set. */
static int event_is_set(lua_State *L) {
  lua_pushboolean(L, lt_event_is_set(check_event(L)));
  return 1;
}

/*
** event:wait([timeout]) -> boolean
** Waits until the flag is set; with a timeout at most so many seconds, a negative one is over at
** once. Returns whether it was set, also if it has been cleared since. By name:
** event:wait{timeout = 0.5}. Raises ValueError and OverflowError as lock:acquire does. Follows
** Event.wait.
*/
static int event_wait(lua_State *L) {
  static const char *const names[] = {"timeout", NULL};
  lt_Event *event = check_event(L);
  lt_spread_keywords(L, 2, names);
  plat_Time deadline = lt_opt_time_limit(L, 2);
  lt_EventWaiter waiter = lt_event_waiter(event);
  lt_Wait wait = lt_event_wait(&waiter, deadline);
  lua_pushboolean(L, lt_event_is_set(event) || lt_wait(L, lt_self(L), &wait));
  return 1;
}

static int event_tostring(lua_State *L) {
  const lt_Event *event = check_event(L);
  lua_pushfstring(L, "<_thread.Event object at %p: %s>", (const void *)event,
                  lt_event_is_set(event) ? "set" : "unset");
  return 1;
}

static lt_Sight event_sight(lt_Object *object) {
  return lt_event_sight(&((EventObject *)object)->event);
}

static const luaL_Reg event_methods[] = {{"set", event_set},
                                         {"clear", event_clear},
                                         {"is_set", event_is_set},
                                         {"wait", event_wait},
                                         {NULL, NULL}};

static const luaL_Reg event_metamethods[] = {{"__tostring", event_tostring}, {NULL, NULL}};

static const lt_Face event_face = {&lt_EventType, event_methods, event_metamethods, NULL,
                                   event_sight};

static const lt_Type event_type = {"_thread.Event", &event_face, event_destroy, NULL};
