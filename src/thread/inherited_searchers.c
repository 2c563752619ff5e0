/*
** A searcher of a script may lead to a whole compiler, or to a module that the thread would have to
** load. So it crosses as an object, and is made in the thread when 'require' first asks it.
*/
#include "src/thread/inherited_searchers.h"

#include <stdlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/thread/inheritable.h"
#include "src/transfer/message.h"

typedef struct Searcher {
  lt_Object object;
  lt_Message *message;
} Searcher;

static void searcher_destroy(lt_Object *object) {
  lt_message_free(((Searcher *)object)->message);
  free(object);
}

static const lt_Type searcher_type = {"searcher", NULL, searcher_destroy, NULL};

/* The upvalues of what stands for a searcher: the object; the searcher, once it is made. */
enum { SEARCHER_OBJECT = 1, SEARCHER_MADE };

/*
** As what it stands for. What it needs to be made may ask for it again, which then knows nothing.
*/
static int search_inherited(lua_State *L) {
  if (lua_isnil(L, lua_upvalueindex(SEARCHER_MADE))) {
    const Searcher *searcher =
        (const Searcher *)lt_object_of_type(L, lua_upvalueindex(SEARCHER_OBJECT), &searcher_type);
    if (searcher == NULL)
      return 0;
    lua_pushboolean(L, 0);
    lua_replace(L, lua_upvalueindex(SEARCHER_MADE));
    int status = lt_try_unpack(L, searcher->message, LT_KEEP_GLOBALS);
    if (status != LUA_OK) {
      lua_pushnil(L);
      lua_replace(L, lua_upvalueindex(SEARCHER_MADE));
      lt_throw(L);
    }
    lua_replace(L, lua_upvalueindex(SEARCHER_MADE));
  }
  if (!lua_toboolean(L, lua_upvalueindex(SEARCHER_MADE)))
    return 0;
  lua_pushvalue(L, lua_upvalueindex(SEARCHER_MADE));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/*
** Giving
*/

uint64_t lt_inherited_searchers_digest(lua_State *L, int package) {
  uint64_t digest = 0;
  lt_check_stack(L, 4);
  if (lt_stock_push_field(L, package, "searchers") == LUA_TTABLE) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    digest = (uint64_t)(uintptr_t)lua_topointer(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      digest = digest * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)(uintptr_t)lua_topointer(L, -1);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  return digest;
}

/* Of Lua's own, counted from 1; 0: it is another one. */
static lua_Integer number_of_stock(lua_State *L, const lt_Stock *stock) {
  lua_CFunction function = lua_tocfunction(L, -1);
  for (int i = 0; function != NULL && i < LT_STOCK_SEARCHERS; i++)
    if (stock->searchers[i] == function)
      return i + 1;
  return 0;
}

/* Replaces the searcher on the top by an object that stands for it. */
static void make_searcher(lua_State *L) {
  Searcher *searcher = malloc(sizeof(*searcher));
  if (searcher == NULL)
    lt_raise_memory(L);
  searcher->message = NULL;
  lt_object_init(&searcher->object, &searcher_type);
  lt_object_push_own(L, &searcher->object);
  lua_insert(L, -2);
  searcher->message = lt_pack(L, 1, LT_COPY_STRINGS, NULL);
}

/* Replaces the searcher on the top by what crosses in its place; false: nothing does. */
static bool replace_searcher(lua_State *L, const lt_Stock *stock) {
  lua_Integer number = number_of_stock(L, stock);
  if (number > 0)
    lua_pushinteger(L, number);
  else if (lua_tocfunction(L, -1) == search_inherited)
    lua_getupvalue(L, -1, SEARCHER_OBJECT);
  else if (!lt_inheritable(L))
    return false;
  else
    lua_pushvalue(L, -1);
  lua_remove(L, -2);
  if (number == 0 && lt_object_of_type(L, -1, &searcher_type) == NULL)
    make_searcher(L);
  return true;
}

bool lt_inherited_searchers_push(lua_State *L, int package, const lt_Stock *stock) {
  lt_check_stack(L, 10);
  bool has_others = false;
  bool is_stock = false;
  lua_Integer count = 0;
  lua_newtable(L);
  if (lt_stock_push_field(L, package, "searchers") == LUA_TTABLE) {
    lua_Integer length = (lua_Integer)lua_rawlen(L, -1);
    is_stock = length == LT_STOCK_SEARCHERS;
    for (lua_Integer i = 1; i <= length; i++) {
      lua_rawgeti(L, -1, i);
      lua_Integer number = number_of_stock(L, stock);
      is_stock = is_stock && number == i;
      has_others = has_others || number == 0;
      if (replace_searcher(L, stock))
        lua_rawseti(L, -3, ++count);
      else
        lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  if (is_stock) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return has_others;
}

/*
** Inheriting
*/

/* Replaces what stands on the top for a searcher; that of a number is in the table at 'own'. */
static void make_inherited(lua_State *L, int own) {
  if (lua_isinteger(L, -1)) {
    lua_rawgeti(L, own, lua_tointeger(L, -1));
  } else {
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_pushcclosure(L, search_inherited, 2);
  }
  lua_remove(L, -2);
}

void lt_inherited_searchers_set(lua_State *L, int package, int list) {
  lt_check_stack(L, 10);
  if (lt_stock_push_field(L, package, "searchers") != LUA_TTABLE) {
    lua_pop(L, 1);
    return;
  }
  int own = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  lua_pushliteral(L, "searchers");
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, list, i);
    make_inherited(L, own);
    lua_rawseti(L, -2, i);
  }
  lua_rawset(L, package);
  lua_pop(L, 1);
}
