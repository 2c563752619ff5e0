/*
** Shared state: 'references' is atomic; 'type' is written before an object is shared. 'next_dead'
** is of the thread that has given the last reference back.
*/
#include "src/object.h"

const char lt_proxy_mark;

/* Addresses in the registry. */
static const char proxies_key;
static const char context_key;
static const char types_key; /* a list of the types that the state has */

void lt_object_init(lt_Object *object, const lt_Type *type) {
  atomic_init(&object->references, 1);
  object->type = type;
  object->next_dead = NULL;
}

void lt_object_retain(lt_Object *object) {
  /* Relaxed: who retains already has a reference to go by. */
  atomic_fetch_add_explicit(&object->references, LT_ONE_RETAIN, memory_order_relaxed);
}

/*
** An object that dies gives its own references back, and others may die of that. They wait in a
** list until the first is destroyed, so that the C stack does not grow with the length of a
** chain.
*/
static void destroy(lt_Object *object) {
  static _Thread_local lt_Object *dead;
  static _Thread_local bool destroying;
  object->next_dead = dead;
  dead = object;
  if (destroying)
    return;
  destroying = true;
  while (dead != NULL) {
    lt_Object *next = dead;
    dead = next->next_dead;
    next->type->destroy(next);
  }
  destroying = false;
}

void lt_object_release(lt_Object *object) {
  /* Acquire and release: the last one sees all that the others did before it destroys. */
  uint64_t before = atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel);
  if (LT_REFERENCE_COUNT(before) == 1)
    destroy(object);
}

/*
** Context
*/

void lt_context_set(lua_State *L) {
  lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

void lt_context_push(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
}

void lt_set_functions(lua_State *L, const luaL_Reg *functions) {
  lt_context_push(L);
  luaL_setfuncs(L, functions, 1);
}

/*
** Proxies
*/

int lt_object_collect(lua_State *L) {
  lt_Proxy *proxy = lua_touserdata(L, 1);
  if (proxy != NULL && proxy->mark == &lt_proxy_mark) {
    proxy->mark = NULL;
    lt_object_release(proxy->object);
  }
  return 0;
}

void lt_push_registered(lua_State *L, const void *key, const char *mode) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* Remembers that the state has this type, so that its methods are found. */
static void register_type(lua_State *L, const lt_Type *type) {
  lt_push_registered(L, &types_key, NULL);
  lua_pushlightuserdata(L, (void *)type);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

static void push_metatable(lua_State *L, const lt_Type *type) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, type) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 12);
  lua_createtable(L, 0, 16);
  if (type->methods != NULL)
    lt_set_functions(L, type->methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, lt_object_collect);
  lua_setfield(L, -2, "__gc");
  if (type->metamethods != NULL)
    lt_set_functions(L, type->metamethods);
  lua_pushstring(L, type->name);
  lua_setfield(L, -2, "__name");
  register_type(L, type);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, type);
}

void lt_object_push(lua_State *L, lt_Object *object) {
  luaL_checkstack(L, 6, "too many values");
  lt_push_registered(L, &proxies_key, "v");
  if (lua_rawgetp(L, -1, object) == LUA_TUSERDATA) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  push_metatable(L, object->type);
  lt_Proxy *proxy = lua_newuserdatauv(L, sizeof(*proxy), 1);
  proxy->mark = NULL;
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, object);
  lt_context_push(L);
  proxy->context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  lt_object_retain(object);
  proxy->object = object;
  proxy->mark = &lt_proxy_mark;
  lua_remove(L, -2);
}

bool lt_object_push_known(lua_State *L, const lt_Object *object) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &proxies_key) == LUA_TTABLE) {
    if (lua_rawgetp(L, -1, object) == LUA_TUSERDATA) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

static int push_protected(lua_State *L) {
  lt_object_push(L, lua_touserdata(L, 1));
  return 1;
}

void lt_object_push_own(lua_State *L, lt_Object *object) {
  lua_pushcfunction(L, push_protected);
  lua_pushlightuserdata(L, object);
  int status = lua_pcall(L, 1, 1, 0);
  lt_object_release(object);
  if (status != LUA_OK)
    lua_error(L);
}

/*
** Methods
*/

static void push_methods(lua_State *L, const lt_Type *type) {
  push_metatable(L, type);
  lua_getfield(L, -1, "methods");
  lua_remove(L, -2);
}

/* The function is on the top. */
static const char *find_name(lua_State *L, const lt_Type *type) {
  const char *name = NULL;
  push_methods(L, type);
  for (const luaL_Reg *known = type->methods; known != NULL && known->name != NULL; known++) {
    lua_pushstring(L, known->name);
    lua_rawget(L, -2);
    if (lua_rawequal(L, -1, -3))
      name = known->name;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return name;
}

bool lt_method_find(lua_State *L, int index, lt_Method *method) {
  luaL_checkstack(L, 10, "too many values");
  lua_pushvalue(L, index);
  lt_push_registered(L, &types_key, NULL);
  lua_insert(L, -2);
  method->name = NULL;
  lua_Integer count = (lua_Integer)lua_rawlen(L, -2);
  for (lua_Integer i = 1; i <= count && method->name == NULL; i++) {
    lua_rawgeti(L, -2, i);
    method->type = lua_touserdata(L, -1);
    lua_pop(L, 1);
    method->name = find_name(L, method->type);
  }
  lua_pop(L, 2);
  return method->name != NULL;
}

void lt_method_push(lua_State *L, const lt_Method *method) {
  luaL_checkstack(L, 8, "too many values");
  push_methods(L, method->type);
  lua_pushstring(L, method->name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}
