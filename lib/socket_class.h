/*
** The sockets of LuaSocket, by what they offer to Lua: their classes, how one is read, and how one
** is made. No header of LuaSocket is needed.
*/
#ifndef lt_socket_class_h
#define lt_socket_class_h

#include <stdbool.h>

#include <lua.h>

#include "lthread.h"

typedef struct lt_SocketClass {
  const char *name;   /* of the metatable, in the registry */
  const char *module; /* that makes it */
  const char *maker;  /* the module's field that makes a socket; NULL: the module itself */
  bool has_families;  /* there is a maker for each family of addresses: tcp4, tcp6 */
} lt_SocketClass;

/* What is not of the operating system, but of the object. */
typedef struct lt_SocketState {
  const lt_SocketClass *class_of;
  const char *family; /* "4", "6", or "" */
  lua_Number block;   /* timeouts, in seconds; negative: there is none */
  lua_Number total;
} lt_SocketState;

/*
** Gives all classes of LuaSocket's modules the rule, by which their objects cross. Raises where
** LuaSocket is not there; sockets of Unix need not be.
*/
void lt_socket_classes_open(lua_State *L, const lthread_Transfer *rule);

/* NULL: the value is no socket. */
const lt_SocketClass *lt_socket_class_of(lua_State *L, int index);

/* Raises TypeError for a socket that can't cross, because it is closed or has unread bytes. */
void lt_socket_read(lua_State *L, int index, lt_SocketState *state);

/* Pushes a socket with this state that is closed. 'rule' is for a state that has no such class. */
void lt_socket_push(lua_State *L, const lt_SocketState *state, const lthread_Transfer *rule);

/* -1: it is closed, or has none that is a number of the system. */
int lt_socket_descriptor(lua_State *L, int index);

/*
** The socket owns the descriptor from then on; the one that it had before, nobody does. Raises what
** hooks of the user raise: false, with that on the top, if it owns it not.
*/
bool lt_socket_set_descriptor(lua_State *L, int index, int descriptor);

#endif
