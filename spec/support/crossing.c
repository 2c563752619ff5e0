/*
** The module 'support.crossing': types of userdata with rules of transfer in C. A box holds a number,
** and its type knows nothing of lthread; a pair holds two objects that threads share.
*/
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "lthread.h"

LTHREAD_API int luaopen_support_crossing(lua_State *L);

static atomic_int tokens; /* that have not been discarded */

/*
** Boxes
*/

#define BOX "support.crossing.box"

typedef struct BoxToken {
  lua_Integer number;
} BoxToken;

static void push_box(lua_State *L, lua_Integer number) {
  lua_Integer *box = (lua_Integer *)lua_newuserdatauv(L, sizeof(*box), 0);
  *box = number;
  luaL_newmetatable(L, BOX);
  lua_setmetatable(L, -2);
}

static void *send_box(lua_State *L, int index) {
  BoxToken *token = malloc(sizeof(*token));
  if (token == NULL)
    luaL_error(L, "not enough memory");
  else
    token->number = *(lua_Integer *)lua_touserdata(L, index);
  atomic_fetch_add(&tokens, 1);
  return token;
}

static void receive_box(lua_State *L, void *token) {
  push_box(L, ((BoxToken *)token)->number);
}

static void receive_nothing(lua_State *L, void *token) {
  (void)L;
  (void)token;
}

/* Of a type that luaL_newmetatable has not made. */
static void receive_other_box(lua_State *L, void *token) {
  lua_Integer *box = (lua_Integer *)lua_newuserdatauv(L, sizeof(*box), 0);
  *box = ((BoxToken *)token)->number;
  lua_getfield(L, LUA_REGISTRYINDEX, "support.crossing.other");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "support.crossing.other");
  }
  lua_setmetatable(L, -2);
}

static void discard_token(void *token) {
  free(token);
  atomic_fetch_sub(&tokens, 1);
}

#define BOX_RULE(receive)                                                                          \
  { sizeof(lthread_Transfer2), BOX, {send_box, receive, discard_token}, NULL }

static const lthread_Transfer2 box_rule = BOX_RULE(receive_box);
static const lthread_Transfer2 other_rule = BOX_RULE(receive_other_box);
static const lthread_Transfer2 silent_rule = BOX_RULE(receive_nothing);
static const lthread_Transfer2 lacking_rule = BOX_RULE(NULL);
static const lthread_Transfer2 short_rule = {3, BOX, {send_box, receive_box, discard_token}, NULL};

static const lthread_Transfer2 *check_rule(lua_State *L, int arg) {
  static const char *const names[] = {"box", "other", "silent", "lacking", "short", "none", NULL};
  static const lthread_Transfer2 *const rules[] = {&box_rule,     &other_rule, &silent_rule,
                                                   &lacking_rule, &short_rule, NULL};
  return rules[luaL_checkoption(L, arg, NULL, names)];
}

/* box(number) */
static int new_box(lua_State *L) {
  push_box(L, luaL_checkinteger(L, 1));
  return 1;
}

/* other_box(number): one whose metatable has no name */
static int new_other_box(lua_State *L) {
  BoxToken token = {luaL_checkinteger(L, 1)};
  receive_other_box(L, &token);
  return 1;
}

/* unbox(box) -> number */
static int unbox(lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  lua_pushinteger(L, *(lua_Integer *)lua_touserdata(L, 1));
  return 1;
}

/* set_transfer(rule) -> whether lthread is there */
static int set_transfer(lua_State *L) {
  lua_pushboolean(L, lthread_set_transfer(L, BOX, check_rule(L, 1)));
  return 1;
}

/* set_transfer_at(metatable, rule) */
static int set_transfer_at(lua_State *L) {
  lua_pushboolean(L, lthread_set_transfer_at(L, 1, check_rule(L, 2)));
  return 1;
}

/* set_field(metatable, rule) */
static int set_field(lua_State *L) {
  lua_settop(L, 2);
  lua_pushlightuserdata(L, (void *)check_rule(L, 2));
  lua_setfield(L, 1, LTHREAD_TRANSFER2);
  return 0;
}

/*
** Pairs
*/

#define PAIR "support.crossing.pair"

typedef struct Pair {
  const lthread_Functions *functions;
  lthread_Object *objects[2];
} Pair;

static void copy_pair(Pair *copy, const Pair *pair) {
  *copy = *pair;
  for (int i = 0; i < 2; i++)
    copy->functions->object_retain(copy->objects[i]);
}

static void release_pair(Pair *pair) {
  for (int i = 0; i < 2; i++)
    if (pair->objects[i] != NULL)
      pair->functions->object_release(pair->objects[i]);
}

static void *send_pair(lua_State *L, int index) {
  Pair *token = malloc(sizeof(*token));
  if (token == NULL)
    luaL_error(L, "not enough memory");
  else
    copy_pair(token, (const Pair *)lua_touserdata(L, index));
  atomic_fetch_add(&tokens, 1);
  return token;
}

static void discard_pair(void *token) {
  release_pair((Pair *)token);
  discard_token(token);
}

static void traverse_pair(void *token, lthread_Visit visit, void *visitor) {
  const Pair *pair = (const Pair *)token;
  for (int i = 0; i < 2; i++)
    visit(visitor, pair->objects[i]);
}

static int collect_pair(lua_State *L) {
  release_pair((Pair *)lua_touserdata(L, 1));
  return 0;
}

static Pair *push_pair(lua_State *L, const lthread_Transfer2 *rule, const char *type);
static void receive_pair(lua_State *L, void *token);
static void receive_opaque(lua_State *L, void *token);

static const lthread_Transfer2 pair_rule = {
    sizeof(pair_rule), "pair", {send_pair, receive_pair, discard_pair}, traverse_pair};

/* What a header had that knew nothing of 'traverse'. */
static const lthread_Transfer2 opaque_rule = {offsetof(lthread_Transfer2, traverse),
                                              "opaque pair",
                                              {send_pair, receive_opaque, discard_pair},
                                              traverse_pair};

static Pair *push_pair(lua_State *L, const lthread_Transfer2 *rule, const char *type) {
  Pair *pair = (Pair *)lua_newuserdatauv(L, sizeof(*pair), 0);
  memset(pair, 0, sizeof(*pair));
  if (luaL_newmetatable(L, type)) {
    lua_pushcfunction(L, collect_pair);
    lua_setfield(L, -2, "__gc");
    lua_pushlightuserdata(L, (void *)rule);
    lua_setfield(L, -2, LTHREAD_TRANSFER2);
  }
  lua_setmetatable(L, -2);
  return pair;
}

static void receive_pair(lua_State *L, void *token) {
  copy_pair(push_pair(L, &pair_rule, PAIR), (const Pair *)token);
}

static void receive_opaque(lua_State *L, void *token) {
  copy_pair(push_pair(L, &opaque_rule, "opaque " PAIR), (const Pair *)token);
}

/* pair(object, object [, opaque]) */
static int new_pair(lua_State *L) {
  bool is_opaque = lua_toboolean(L, 3);
  Pair *pair =
      push_pair(L, is_opaque ? &opaque_rule : &pair_rule, is_opaque ? "opaque " PAIR : PAIR);
  pair->functions = lthread_functions(L);
  for (int i = 0; i < 2; i++) {
    pair->objects[i] = lthread_object_at(L, i + 1);
    luaL_argcheck(L, pair->objects[i] != NULL, i + 1, "no shared object");
  }
  return 1;
}

/* objects(pair) -> both */
static int push_objects(lua_State *L) {
  const Pair *pair = (const Pair *)lua_touserdata(L, 1);
  lthread_object_push(L, pair->objects[0]);
  lthread_object_push(L, pair->objects[1]);
  return 2;
}

/* tokens() -> how many there are */
static int count_tokens(lua_State *L) {
  lua_pushinteger(L, atomic_load(&tokens));
  return 1;
}

int luaopen_support_crossing(lua_State *L) {
  static const luaL_Reg functions[] = {{"box", new_box},
                                       {"other_box", new_other_box},
                                       {"unbox", unbox},
                                       {"set_transfer", set_transfer},
                                       {"set_transfer_at", set_transfer_at},
                                       {"set_field", set_field},
                                       {"pair", new_pair},
                                       {"objects", push_objects},
                                       {"tokens", count_tokens},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
