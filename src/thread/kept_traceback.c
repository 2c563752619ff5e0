#include "src/thread/kept_traceback.h"

#include "src/object/exception.h"
#include "src/object/traceback.h"

static const char traceback_key;

/* With the error, below lt_keep_traceback. SystemExit ends a thread silently, and has none. */
static int make_traceback(lua_State *L) {
  const lt_Class *class_object = lua_istable(L, 1) ? lt_class_of(L, 1) : NULL;
  if (lt_is_subclass(class_object, &lt_SystemExit)) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
    return 0;
  }
  lt_traceback_push_whole(L, class_object != NULL ? 1 : 0, 2);
  if (class_object != NULL) {
    lua_pushliteral(L, "traceback");
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &traceback_key);
  return 0;
}

/* Without room or memory there is none: that is no reason to lose the error. */
int lt_keep_traceback(lua_State *L) {
  if (lua_checkstack(L, LUA_MINSTACK)) {
    lua_pushcfunction(L, make_traceback);
    lua_pushvalue(L, 1);
    lua_pcall(L, 1, 0, 0);
  }
  lua_settop(L, 1);
  return 1;
}

void lt_push_kept_traceback(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &traceback_key);
}
