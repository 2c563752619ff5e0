#include "lib/socket_class.h"

#include <limits.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"

/* The last three are those of LuaSocket before 3.0. */
static const lt_SocketClass socket_classes[] = {
    {"tcp{master}", "socket.core", "tcp", true},
    {"tcp{client}", "socket.core", "tcp", true},
    {"tcp{server}", "socket.core", "tcp", true},
    {"udp{unconnected}", "socket.core", "udp", true},
    {"udp{connected}", "socket.core", "udp", true},
    {"unixstream{master}", "socket.unix", "stream", false},
    {"unixstream{client}", "socket.unix", "stream", false},
    {"unixstream{server}", "socket.unix", "stream", false},
    {"unixdgram{unconnected}", "socket.unix", "dgram", false},
    {"unixdgram{connected}", "socket.unix", "dgram", false},
    {"unix{master}", "socket.unix", NULL, false},
    {"unix{client}", "socket.unix", NULL, false},
    {"unix{server}", "socket.unix", NULL, false}};

enum { SOCKET_CLASSES = sizeof(socket_classes) / sizeof(socket_classes[0]) };

/*
** Methods
*/

/* Pushes the method and the socket; false, and nothing, where it has no such method. */
static bool push_method(lua_State *L, int socket, const char *name) {
  socket = lua_absindex(L, socket);
  if (lua_getfield(L, socket, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, socket);
  return true;
}

int lt_socket_descriptor(lua_State *L, int index) {
  int is_integer;
  lt_check_stack(L, LUA_MINSTACK);
  if (!push_method(L, index, "getfd"))
    return -1;
  lua_call(L, 1, 1);
  lua_Integer descriptor = lua_tointegerx(L, -1, &is_integer);
  lua_pop(L, 1);
  return is_integer && descriptor >= 0 && descriptor <= INT_MAX ? (int)descriptor : -1;
}

/* The arguments: the socket, the descriptor. */
static int set_descriptor(lua_State *L) {
  lua_getfield(L, 1, "setfd");
  lua_insert(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

static int get_descriptor(lua_State *L) {
  lua_pushinteger(L, lt_socket_descriptor(L, 1));
  return 1;
}

/* After an error, which is on the top: a hook may have raised it before or after the call. */
static bool has_descriptor(lua_State *L, int socket, int descriptor) {
  lua_pushcfunction(L, get_descriptor);
  lua_pushvalue(L, socket);
  bool has = lua_pcall(L, 1, 1, 0) != LUA_OK || lua_tointeger(L, -1) == descriptor;
  lua_pop(L, 1);
  return has;
}

bool lt_socket_set_descriptor(lua_State *L, int index, int descriptor) {
  index = lua_absindex(L, index);
  lua_pushcfunction(L, set_descriptor);
  lua_pushvalue(L, index);
  lua_pushinteger(L, descriptor);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return true;
  if (!has_descriptor(L, index, descriptor))
    return false;
  lt_throw(L);
}

/*
** Timeouts, where a class has no method that tells them (sockets of Unix in LuaSocket 3.1): then
** its settimeout is replaced by one that also keeps them, in the user value of the socket.
*/

static lua_Number timeout_of(lua_State *L, int list, int number) {
  lua_rawgeti(L, list, number);
  lua_Number timeout = lua_isnil(L, -1) ? -1 : lua_tonumber(L, -1);
  lua_pop(L, 1);
  return timeout;
}

/* socket:gettimeout() -> block, total, as of the sockets that have it */
static int get_kept_timeout(lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  lua_settop(L, 1);
  lua_Number block = -1;
  lua_Number total = -1;
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    block = timeout_of(L, 2, 1);
    total = timeout_of(L, 2, 2);
  }
  lua_pushnumber(L, block);
  lua_pushnumber(L, total);
  return 2;
}

/* socket:settimeout(seconds [, mode]), with LuaSocket's own as the upvalue */
static int set_kept_timeout(lua_State *L) {
  lua_settop(L, 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  for (int i = 1; i <= 3; i++)
    lua_pushvalue(L, i);
  lua_call(L, 3, 1);
  const char *mode = luaL_optstring(L, 3, "b");
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
    lua_replace(L, -2);
  }
  lua_pushnumber(L, luaL_optnumber(L, 2, -1));
  lua_rawseti(L, -2, *mode == 'b' ? 1 : 2);
  lua_pop(L, 1);
  return 1;
}

/* Of the class whose metatable is on the top. */
static void keep_timeouts(lua_State *L) {
  int methods = lua_gettop(L) + 1;
  if (lua_getfield(L, -1, "__index") == LUA_TTABLE &&
      lua_getfield(L, methods, "gettimeout") == LUA_TNIL &&
      lua_getfield(L, methods, "settimeout") == LUA_TFUNCTION) {
    lua_pushcclosure(L, set_kept_timeout, 1);
    lua_setfield(L, methods, "settimeout");
    lua_pushcfunction(L, get_kept_timeout);
    lua_setfield(L, methods, "gettimeout");
  }
  lua_settop(L, methods - 1);
}

/*
** Classes
*/

/* The metatable, pushed, or nothing. */
static bool socket_push_metatable(lua_State *L, const lt_SocketClass *class_of) {
  if (luaL_getmetatable(L, class_of->name) == LUA_TTABLE)
    return true;
  lua_pop(L, 1);
  return false;
}

/* Whether the error on the top says that there is no such module. */
static bool is_missing(lua_State *L, const char *module) {
  lua_pushfstring(L, "module '%s' not found", module);
  bool missing = lua_type(L, -2) == LUA_TSTRING && strstr(lua_tostring(L, -2), lua_tostring(L, -1));
  lua_pop(L, 1);
  return missing;
}

/* Pushes what the module is, requiring it where it is not loaded; nothing where it is missing. */
static bool push_module_if_there(lua_State *L, const char *module) {
  lt_check_stack(L, LUA_MINSTACK);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool loaded = lua_getfield(L, -1, module) != LUA_TNIL;
  lua_remove(L, -2);
  if (loaded)
    return true;
  lua_pop(L, 1);
  if (lua_getglobal(L, "require") != LUA_TFUNCTION)
    lt_raise(L, &lt_RuntimeError, "module '%s' is not loaded, and there is no 'require'", module);
  lua_pushstring(L, module);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    return true;
  if (!is_missing(L, module))
    lt_throw(L);
  return false;
}

static void socket_push_module(lua_State *L, const char *module) {
  if (!push_module_if_there(L, module))
    lt_throw(L);
}

/* All that there are. */
static void set_rules(lua_State *L, const lthread_Transfer *rule) {
  for (int i = 0; i < SOCKET_CLASSES; i++) {
    if (!socket_push_metatable(L, &socket_classes[i]))
      continue;
    lua_pushlightuserdata(L, (void *)rule);
    lua_setfield(L, -2, LTHREAD_TRANSFER);
    keep_timeouts(L);
    lua_pop(L, 1);
  }
}

void lt_socket_classes_open(lua_State *L, const lthread_Transfer *rule) {
  socket_push_module(L, "socket.core");
  if (!push_module_if_there(L, "socket.unix"))
    lua_pop(L, 1); /* the reason why */
  set_rules(L, rule);
}

/* In a state that a socket comes to, its class may not be there yet. */
static void need_metatable(lua_State *L, const lt_SocketClass *class_of,
                           const lthread_Transfer *rule) {
  socket_push_module(L, class_of->module);
  lua_pop(L, 1);
  if (!socket_push_metatable(L, class_of))
    lt_raise(L, &lt_RuntimeError, "module '%s' has no class %s", class_of->module, class_of->name);
  if (lua_getfield(L, -1, LTHREAD_TRANSFER) == LUA_TNIL)
    set_rules(L, rule);
  lua_pop(L, 1);
}

const lt_SocketClass *lt_socket_class_of(lua_State *L, int index) {
  const lt_SocketClass *found = NULL;
  lt_check_stack(L, 4);
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
    return NULL;
  for (int i = 0; found == NULL && i < SOCKET_CLASSES; i++) {
    if (!socket_push_metatable(L, &socket_classes[i]))
      continue;
    if (lua_rawequal(L, -1, -2))
      found = &socket_classes[i];
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

/*
** Objects
*/

static _Noreturn void refuse_socket(lua_State *L, const lt_SocketClass *class_of,
                                    const char *reason) {
  lt_raise(L, &lt_TypeError, "cannot transfer a %s %s", class_of->name, reason);
}

static void read_timeouts(lua_State *L, int socket, lt_SocketState *state) {
  state->block = -1;
  state->total = -1;
  if (!push_method(L, socket, "gettimeout"))
    return;
  lua_call(L, 1, 2);
  state->block = lua_tonumber(L, -2);
  state->total = lua_tonumber(L, -1);
  lua_pop(L, 2);
}

static const char *read_family(lua_State *L, int socket) {
  if (!push_method(L, socket, "getfamily"))
    return "";
  lua_call(L, 1, 1);
  const char *family = lua_tostring(L, -1);
  bool is_6 = family != NULL && strcmp(family, "inet6") == 0;
  lua_pop(L, 1);
  return is_6 ? "6" : "4";
}

static bool socket_is_dirty(lua_State *L, int socket) {
  if (!push_method(L, socket, "dirty"))
    return false;
  lua_call(L, 1, 1);
  bool dirty = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return dirty;
}

void lt_socket_read(lua_State *L, int index, lt_SocketState *state) {
  lt_check_stack(L, LUA_MINSTACK);
  state->class_of = lt_socket_class_of(L, index);
  if (state->class_of == NULL)
    lt_raise(L, &lt_TypeError, "cannot transfer a socket that is none of LuaSocket's");
  if (lt_socket_descriptor(L, index) < 0)
    refuse_socket(L, state->class_of, "that is closed, or not open yet");
  if (socket_is_dirty(L, index))
    refuse_socket(L, state->class_of,
                  "that has unread bytes in its buffer (dirty() is true); receive them first");
  read_timeouts(L, index, state);
  state->family = state->class_of->has_families ? read_family(L, index) : "";
}

/* Puts a new socket in the place of the module on the top. */
static void make_socket(lua_State *L, const lt_SocketState *state) {
  const char *maker = state->class_of->maker;
  if (maker != NULL) {
    lua_pushfstring(L, "%s%s", maker, state->family);
    lua_gettable(L, -2);
    lua_remove(L, -2);
  }
  lua_call(L, 0, 2);
  if (!lua_isuserdata(L, -2))
    lt_raise(L, &lt_RuntimeError, "cannot receive a %s: %s", state->class_of->name,
             luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
}

static void set_timeout(lua_State *L, int socket, lua_Number timeout, const char *mode) {
  if (!push_method(L, socket, "settimeout"))
    return;
  lua_pushnumber(L, timeout);
  lua_pushstring(L, mode);
  lua_call(L, 3, 0);
}

/* LuaSocket makes it with a descriptor of its own, which is closed, as a socket of the family. */
void lt_socket_push(lua_State *L, const lt_SocketState *state, const lthread_Transfer *rule) {
  lt_check_stack(L, LUA_MINSTACK);
  need_metatable(L, state->class_of, rule);
  socket_push_module(L, state->class_of->module);
  make_socket(L, state);
  int socket = lua_gettop(L);
  if (push_method(L, socket, "close"))
    lua_call(L, 1, 0);
  lua_pushvalue(L, socket - 1);
  lua_setmetatable(L, socket);
  set_timeout(L, socket, state->block, "b");
  set_timeout(L, socket, state->total, "t");
  lua_remove(L, socket - 1);
}
