/*
** The module lthread.transfer.socket: sockets of LuaSocket cross. A token has a descriptor of its
** own for the same open socket, and each receipt makes another; so sender and receivers may go on
** using theirs, and each is closed by the one who has it.
*/
#include "lib/libs.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/socket_class.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/transfer/message.h"

typedef struct SocketToken {
  lt_SocketState state;
  int descriptor;
} SocketToken;

/* In the registry: a weak table of the sockets that were moved, by token. */
static const char moved_key;

static void socket_receive(lua_State *L, void *token);
static void socket_discard(void *token);
static void *socket_send(lua_State *L, int index);
static const lthread_Transfer socket_rule = {socket_send, socket_receive, socket_discard};

/*
** Tokens
*/

static _Noreturn void raise_system(lua_State *L, const char *what, int error) {
  char reason[128];
  plat_describe_error(error, reason, sizeof(reason));
  lt_raise(L, &lt_RuntimeError, "cannot %s a socket: %s", what, reason);
}

/* The arguments: the token, the socket, whether to remember it. */
static int fill_token(lua_State *L) {
  SocketToken *token = lua_touserdata(L, 1);
  lt_socket_read(L, 2, &token->state);
  token->descriptor = lt_socket_descriptor(L, 2);
  if (!lua_toboolean(L, 3))
    return 0;
  lt_push_registered(L, &moved_key, "v");
  lua_pushvalue(L, 2);
  lua_rawsetp(L, -2, token);
  return 0;
}

/* Of the socket on the top. */
static SocketToken *token_new(lua_State *L, bool moves) {
  SocketToken *token = malloc(sizeof(*token));
  if (token == NULL)
    lt_raise_memory(L);
  lua_pushboolean(L, moves);
  if (lt_protected_call(L, fill_token, token, 2, 0) != LUA_OK) {
    free(token);
    lt_throw_again(L);
  }
  token->descriptor = plat_descriptor_copy(token->descriptor);
  if (token->descriptor < 0) {
    int error = errno;
    free(token);
    raise_system(L, "transfer", error);
  }
  return token;
}

static void *socket_send(lua_State *L, int index) {
  lua_pushvalue(L, index);
  return token_new(L, false);
}

static void socket_discard(void *token) {
  plat_descriptor_close(((SocketToken *)token)->descriptor);
  free(token);
}

static void socket_receive(lua_State *L, void *pointer) {
  const SocketToken *token = pointer;
  lt_socket_push(L, &token->state, &socket_rule);
  int descriptor = plat_descriptor_copy(token->descriptor);
  if (descriptor < 0)
    raise_system(L, "receive", errno);
  if (lt_socket_set_descriptor(L, -1, descriptor))
    return;
  plat_descriptor_close(descriptor);
  lt_throw(L);
}

/*
** Moves
*/

static void *moved_send(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  return token_new(L, true);
}

/* Pushes the socket that was sent as the token; false: it is not there any more. */
static bool push_moved(lua_State *L, const void *token) {
  lt_check_stack(L, LUA_MINSTACK);
  lt_push_registered(L, &moved_key, "v");
  lua_rawgetp(L, -1, token);
  return lua_isuserdata(L, -1);
}

/* The message is complete: the sender's socket is closed. */
static void moved_take(lua_State *L, void *token) {
  int top = lua_gettop(L);
  int descriptor = push_moved(L, token) ? lt_socket_descriptor(L, -1) : -1;
  if (descriptor >= 0) {
    if (!lt_socket_set_descriptor(L, -1, -1))
      lt_throw(L);
    plat_descriptor_close(descriptor);
  }
  lua_settop(L, top);
}

/* The message reaches nobody: the sender's socket is open again. */
static void moved_give_back(lua_State *L, void *token) {
  int top = lua_gettop(L);
  if (push_moved(L, token) && lt_socket_descriptor(L, -1) < 0) {
    int descriptor = plat_descriptor_copy(((SocketToken *)token)->descriptor);
    if (descriptor < 0)
      raise_system(L, "give back", errno);
    if (!lt_socket_set_descriptor(L, -1, descriptor))
      plat_descriptor_close(descriptor);
  }
  lua_settop(L, top);
}

const lt_Move lt_socket_move = {
    {moved_send, socket_receive, socket_discard}, moved_take, moved_give_back};

/*
** transfer.move(socket) -> value
** What arrives as the socket where it is sent; the sender's socket is closed when the message is
** complete, and open again if the message then reaches nobody, because a queue is full. Raises
** TypeError for what is no socket of LuaSocket.
*/
static int socket_move(lua_State *L) {
  static const char key;
  lt_check_most(L, 0, 1);
  if (lt_socket_class_of(L, 1) == NULL)
    lt_arg_type_error(L, 1, "socket");
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "moved socket");
    lua_setfield(L, -2, "__name");
    lua_pushlightuserdata(L, (void *)&lt_socket_move.rule);
    lua_setfield(L, -2, LTHREAD_TRANSFER);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  }
  lua_setmetatable(L, -2);
  return 1;
}

void lt_push_socket_module(lua_State *L) {
  lt_socket_classes_open(L, &socket_rule);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, socket_move);
  lua_setfield(L, -2, "move");
}
