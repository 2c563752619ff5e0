/*
** Shared state: 'references' is atomic, 'type' is written before an object is shared, 'next_dead'
** belongs to the thread that has given the last reference back.
**
** How a proxy ends: a collection that finds it dead takes it out of the table of proxies, which is
** weak, before Lua finalizes it. When a state is closed, Lua also finalizes proxies that are still
** in use, and never finalizes what is made from then on. So a proxy that its finalizer still finds
** in the table lives on. The context gives all of them back: it is older than they are, and so
** finalized after them.
*/
#include "src/object/object.h"

#include <stddef.h>
#include <stdlib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"

const char lt_proxy_mark;
static const char ended_mark; /* instead of that */

/* Addresses in the registry. */
static const char proxies_key;
static const char context_key;
static const char types_key; /* a list of the types that the state has */

void lt_object_init(lt_Object *object, const lt_Type *type) {
  atomic_init(&object->references, 1);
  object->type = type;
  object->next_dead = NULL;
}

/*
** The halves of 'references' when they are full are kept far from wrapping, by whoever finds them
** so: between finding and correcting there are never as many threads as it would take.
*/
#define COUNT_IS_FULL ((uint64_t)1 << 31)
#define COUNT_MAY_DIFFER ((uint32_t)1 << 28)
#define TAKINGS_ARE_MANY ((uint64_t)1 << 63)
#define TAKINGS_TO_DROP ((uint64_t)1 << 62)

static uint64_t bounded(uint64_t references) {
  uint32_t distance = LT_REFERENCE_COUNT(references) - (uint32_t)LT_STAYS_FOR_EVER;
  if ((references & COUNT_IS_FULL) != 0 && distance + COUNT_MAY_DIFFER > 2 * COUNT_MAY_DIFFER)
    references = (references >> 32 << 32) | LT_STAYS_FOR_EVER;
  if ((references & TAKINGS_ARE_MANY) != 0)
    references &= ~TAKINGS_TO_DROP;
  return references;
}

static void keep_in_bounds(lt_Object *object) {
  /* Relaxed: nothing is read because of it. */
  uint64_t references = atomic_load_explicit(&object->references, memory_order_relaxed);
  while (bounded(references) != references &&
         !atomic_compare_exchange_weak_explicit(&object->references, &references,
                                                bounded(references), memory_order_relaxed,
                                                memory_order_relaxed))
    ;
}

void lt_object_retain(lt_Object *object) {
  /* Relaxed: who retains already has a reference to go by. */
  uint64_t before =
      atomic_fetch_add_explicit(&object->references, LT_ONE_RETAIN, memory_order_relaxed);
  if ((before & (COUNT_IS_FULL | TAKINGS_ARE_MANY)) != 0)
    keep_in_bounds(object);
}

/*
** An object that dies gives its own references back, and others may die of that. They wait in a
** list until the first is destroyed, so that the C stack does not grow with the length of a
** chain.
*/
static void destroy_in_turn(lt_Object *object) {
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
    destroy_in_turn(object);
  else if ((before & COUNT_IS_FULL) != 0)
    keep_in_bounds(object);
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

lt_ContextBase *lt_context_base(lua_State *L) {
  lt_context_push(L);
  lt_ContextBase *context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return context;
}

void lt_set_functions(lua_State *L, const luaL_Reg *functions) {
  lt_context_push(L);
  luaL_setfuncs(L, functions, 1);
}

/*
** Proxies
*/

static bool is_alive(const lt_Proxy *proxy) {
  return proxy != NULL && proxy->mark == &lt_proxy_mark;
}

/* Pushes what the table of proxies has for the object, and returns that if it is alive. */
static lt_Proxy *object_push_known(lua_State *L, const lt_Object *object) {
  lt_Proxy *known = NULL;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &proxies_key) == LUA_TTABLE) {
    lua_rawgetp(L, -1, object);
    lua_remove(L, -2);
    known = lua_touserdata(L, -1);
  }
  return is_alive(known) ? known : NULL;
}

bool lt_object_push_known(lua_State *L, const lt_Object *object) {
  if (object_push_known(L, object) != NULL)
    return true;
  lua_pop(L, 1);
  return false;
}

bool lt_proxy_is_garbage(lua_State *L, int index) {
  const lt_Proxy *proxy = lt_proxy_at(L, index);
  if (proxy == NULL)
    return false;
  bool known = object_push_known(L, proxy->object) == proxy;
  lua_pop(L, 1);
  return !known;
}

bool lt_proxy_has_ended(lua_State *L, int index) {
  const lt_Proxy *proxy = (const lt_Proxy *)lua_touserdata(L, index);
  return proxy != NULL && lua_rawlen(L, index) == sizeof(*proxy) && proxy->mark == &ended_mark;
}

static void end_proxy(lt_Proxy *proxy) {
  proxy->mark = &ended_mark;
  lt_object_release(proxy->object);
}

int lt_object_collect(lua_State *L) {
  if (lt_proxy_is_garbage(L, 1))
    end_proxy(lua_touserdata(L, 1));
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

/* Into the metatable on the top: they have the methods as their second upvalue, for __index. */
static void set_metamethods(lua_State *L, const luaL_Reg *metamethods) {
  lt_context_push(L);
  lua_getfield(L, -2, "methods");
  luaL_setfuncs(L, metamethods, 2);
}

bool lt_object_push_method(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  return lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL;
}

void lt_object_push_metatable(lua_State *L, const lt_Type *type) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, type) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 12);
  lua_createtable(L, 0, 16);
  if (type->face != NULL && type->face->methods != NULL)
    lt_set_functions(L, type->face->methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, lt_object_collect);
  lua_setfield(L, -2, "__gc");
  if (type->face != NULL && type->face->metamethods != NULL)
    set_metamethods(L, type->face->metamethods);
  lua_pushstring(L, type->name);
  lua_setfield(L, -2, "__name");
  register_type(L, type);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, type);
}

static bool stays_for_ever(lt_Object *object) {
  /* Relaxed: it does not change. */
  uint64_t references = atomic_load_explicit(&object->references, memory_order_relaxed);
  return (references & COUNT_IS_FULL) != 0;
}

static void check_open(lua_State *L, const lt_ContextBase *context) {
  if (context != NULL && context->ended)
    lt_raise(L, &lt_RuntimeError, "the main state of this thread is being closed");
}

/*
** Pushes the object's own metatable, if it has one. What makes that may make the proxy, too: then
** it pushes the proxy.
*/
static bool push_own_metatable(lua_State *L, lt_Object *object, bool *is_proxy) {
  const lt_Face *face = object->type->face;
  if (face == NULL || face->push_metatable == NULL || !face->push_metatable(L, object))
    return false;
  *is_proxy = lt_object_push_known(L, object);
  return true;
}

/* The table of proxies is on the top; the proxy takes its place. */
static void push_new_proxy(lua_State *L, lt_Object *object) {
  lt_ContextBase *context = lt_context_base(L);
  int proxies = lua_gettop(L);
  bool is_proxy = false;
  if (!stays_for_ever(object))
    check_open(L, context);
  if (!push_own_metatable(L, object, &is_proxy))
    lt_object_push_metatable(L, object->type);
  if (is_proxy) {
    lua_replace(L, proxies);
    lua_settop(L, proxies);
    return;
  }
  lt_Proxy *proxy = lua_newuserdatauv(L, sizeof(*proxy), 1);
  proxy->mark = NULL;
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, object);
  lt_object_retain(object);
  proxy->context = context;
  proxy->object = object;
  proxy->mark = &lt_proxy_mark;
  lua_remove(L, -2);
}

void lt_object_push(lua_State *L, lt_Object *object) {
  lt_check_stack(L, 6);
  lt_push_registered(L, &proxies_key, "v");
  lua_rawgetp(L, -1, object);
  if (is_alive(lua_touserdata(L, -1))) {
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  push_new_proxy(L, object);
}

void lt_object_forget_proxies(lua_State *L, int metatable) {
  metatable = lua_absindex(L, metatable);
  lt_check_stack(L, 6);
  lt_push_registered(L, &proxies_key, "v");
  int proxies = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, proxies)) {
    if (lua_getmetatable(L, -1) && lua_rawequal(L, -1, metatable)) {
      lua_pushvalue(L, -3);
      lua_pushnil(L);
      lua_rawset(L, proxies);
    }
    lua_settop(L, proxies + 1);
  }
  lua_settop(L, proxies - 1);
}

static int object_push_protected(lua_State *L) {
  lt_object_push(L, lua_touserdata(L, 1));
  return 1;
}

void lt_object_push_own(lua_State *L, lt_Object *object) {
  int status = lt_protected_call(L, object_push_protected, object, 0, 1);
  lt_object_release(object);
  if (status != LUA_OK)
    lua_error(L);
}

/*
** The end of the context
*/

struct lt_Owned {
  lt_Owned *next;
  const void *key;
  void (*finish)(void *block);
  _Alignas(max_align_t) char block[];
};

static void object_set_field(lua_State *L, const void *key, void *value) {
  lua_pushlightuserdata(L, value);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

/* A field of the registry that is there can be set without memory. */
void *lt_context_memory(lua_State *L, const void *key, size_t size, void (*finish)(void *block)) {
  lt_check_stack(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  void *block = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (block != NULL)
    return block;
  lt_ContextBase *context = lt_context_base(L);
  check_open(L, context);
  object_set_field(L, key, NULL);
  lt_Owned *owned = calloc(1, sizeof(*owned) + size);
  if (owned == NULL)
    lt_raise_memory(L);
  owned->next = context->owned;
  owned->key = key;
  owned->finish = finish;
  context->owned = owned;
  object_set_field(L, key, owned->block);
  return owned->block;
}

static void end_proxies(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &proxies_key) == LUA_TTABLE) {
    lua_pushnil(L);
    while (lua_next(L, -2)) {
      lt_Proxy *proxy = lua_touserdata(L, -1);
      if (is_alive(proxy) && !stays_for_ever(proxy->object))
        end_proxy(proxy);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static void end_memory(lua_State *L, lt_ContextBase *context) {
  while (context->owned != NULL) {
    lt_Owned *owned = context->owned;
    context->owned = owned->next;
    object_set_field(L, owned->key, NULL);
    owned->finish(owned->block);
    free(owned);
  }
}

void lt_context_end(lua_State *L, lt_ContextBase *context) {
  context->ended = true;
  end_proxies(L);
  end_memory(L, context);
}

/*
** Methods
*/

static void push_methods(lua_State *L, const lt_Type *type) {
  lt_object_push_metatable(L, type);
  lua_getfield(L, -1, "methods");
  lua_remove(L, -2);
}

/* The function is on the top. */
static const char *find_name(lua_State *L, const lt_Type *type) {
  const char *name = NULL;
  push_methods(L, type);
  const luaL_Reg *methods = type->face == NULL ? NULL : type->face->methods;
  for (const luaL_Reg *known = methods; known != NULL && known->name != NULL; known++) {
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
  lt_check_stack(L, 10);
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
  lt_check_stack(L, 8);
  push_methods(L, method->type);
  lua_pushstring(L, method->name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}
