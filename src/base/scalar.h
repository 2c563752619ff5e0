/*
** Scalars: values of Lua that are whole by themselves. Wherever a value lies outside of Lua (in a
** message, a message item, a shared table), its kind is one of these or a number above them.
*/
#ifndef lt_scalar_h
#define lt_scalar_h

#include <stdbool.h>

#include <lua.h>

enum {
  LT_SCALAR_NIL,
  LT_SCALAR_FALSE,
  LT_SCALAR_TRUE,
  LT_SCALAR_INTEGER, /* the kinds from here on have a content */
  LT_SCALAR_FLOAT,
  LT_SCALAR_POINTER, /* a light userdata */
  LT_SCALAR_KINDS
};

typedef union lt_Scalar {
  lua_Integer integer;
  lua_Number number;
  void *pointer;
} lt_Scalar;

/* Reads the value at 'index', which is of this type of Lua; false: it is no scalar. */
static inline bool lt_scalar_at(lua_State *L, int index, int type, unsigned char *kind,
                                lt_Scalar *scalar) {
  switch (type) {
  case LUA_TNIL:
    *kind = LT_SCALAR_NIL;
    return true;
  case LUA_TBOOLEAN:
    *kind = lua_toboolean(L, index) ? LT_SCALAR_TRUE : LT_SCALAR_FALSE;
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      *kind = LT_SCALAR_INTEGER;
      scalar->integer = lua_tointeger(L, index);
    } else {
      *kind = LT_SCALAR_FLOAT;
      scalar->number = lua_tonumber(L, index);
    }
    return true;
  case LUA_TLIGHTUSERDATA:
    *kind = LT_SCALAR_POINTER;
    scalar->pointer = lua_touserdata(L, index);
    return true;
  default:
    return false;
  }
}

static inline void lt_scalar_push(lua_State *L, unsigned char kind, const lt_Scalar *scalar) {
  switch (kind) {
  case LT_SCALAR_INTEGER:
    lua_pushinteger(L, scalar->integer);
    break;
  case LT_SCALAR_FLOAT:
    lua_pushnumber(L, scalar->number);
    break;
  case LT_SCALAR_POINTER:
    lua_pushlightuserdata(L, scalar->pointer);
    break;
  case LT_SCALAR_NIL:
    lua_pushnil(L);
    break;
  default:
    lua_pushboolean(L, kind == LT_SCALAR_TRUE);
  }
}

#endif
