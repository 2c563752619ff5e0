/*
** Shared objects: C structures with a count of references that any number of states can see.
**
** A state sees one through a proxy, a userdata that holds a reference. While a proxy lives, its
** state gets the same one for the same object each time, so that two of them compare equal. When
** the state is closed, all its proxies live until its context ends, so that finalizers can use
** them.
*/
#ifndef lt_object_h
#define lt_object_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "src/sync/look.h"

typedef struct lt_Object lt_Object;
typedef struct lt_Class lt_Class;
typedef struct lt_Tracing lt_Tracing;

/*
** The face of a type: what its objects are in Lua. '__name' and, where they are absent, '__gc' and
** '__index' come by themselves; the methods are also in the metatable's field 'methods'.
** 'push_metatable' is for types of which objects may have a metatable of their own: it pushes that,
** or returns false. It may run code of the state. 'sight' is for types whose objects wait_any waits
** for.
*/
typedef struct lt_Face {
  lt_Class *class_object; /* see exception.h; or NULL */
  const luaL_Reg *methods;
  const luaL_Reg *metamethods;
  bool (*push_metatable)(lua_State *L, lt_Object *object); /* or NULL */
  lt_Sight (*sight)(lt_Object *object);                    /* or NULL */
} lt_Face;

typedef struct lt_Type {
  const char *name;
  const lt_Face *face; /* NULL: none, or not yet shown, see lib/libs.h */
  void (*destroy)(lt_Object *object);
  const lt_Tracing *tracing; /* how the collector follows its references, see cycles.h; or NULL */
} lt_Type;

/*
** 'references' counts in its lower half the references that there are, and in its upper half how
** often one was taken since the collector last began to look: if the collector finds the word as
** it was, nobody has taken one in between. Neither half wraps. An object with 2^31 references
** stays for ever; a number of takings that is as large goes back only to one that is about as
** large.
*/
struct lt_Object {
  atomic_uint_least64_t references;
  const lt_Type *type;
  lt_Object *next_dead; /* among those that a thread is about to destroy */
};

#define LT_ONE_RETAIN (((uint64_t)1 << 32) | 1)
#define LT_REFERENCE_COUNT(references) ((uint32_t)(references))
#define LT_STAYS_FOR_EVER ((uint64_t)3 << 30) /* what 'references' begins with for that */

/* An object begins with one reference, that of its maker. */
void lt_object_init(lt_Object *object, const lt_Type *type);
void lt_object_retain(lt_Object *object);

/*
** Gives a reference back. What dies with the last one is destroyed before this returns, however
** long the chain of objects is that it was the last to refer to.
*/
void lt_object_release(lt_Object *object);

/* Pushes the proxy of 'object', which gets a reference of its own. */
void lt_object_push(lua_State *L, lt_Object *object);

/* The same, and gives the caller's reference away, also when it raises. */
void lt_object_push_own(lua_State *L, lt_Object *object);

/*
** Forgets the proxies that have the metatable at 'metatable': it could not be completed. The state
** makes others when it gets the objects again.
*/
void lt_object_forget_proxies(lua_State *L, int metatable);

/* Pushes the metatable that the proxies of a type have, but for those with one of their own. */
void lt_object_push_metatable(lua_State *L, const lt_Type *type);

/*
** In an __index function, with its arguments: pushes the method of that name; false, and a nil, if
** there is none.
*/
bool lt_object_push_method(lua_State *L);

/* The __gc of a proxy; a type that has its own calls this at its end. */
int lt_object_collect(lua_State *L);

/*
** For a __gc: whether a collection has found the proxy at 'index' dead. It has not if the state is
** being closed, or if a script calls the __gc.
*/
bool lt_proxy_is_garbage(lua_State *L, int index);

/*
** Pushes the proxy of 'object' if the state has one, and returns whether it has. Neither
** allocates nor raises nor collects, so a native lock may be held.
*/
bool lt_object_push_known(lua_State *L, const lt_Object *object);

/* Only proxies begin with the address of this variable, whatever metatable they are given. */
extern const char lt_proxy_mark;

/* Whether it was a proxy, until its state's context has ended. */
bool lt_proxy_has_ended(lua_State *L, int index);

typedef struct lt_Proxy {
  const void *mark;
  lt_Object *object;
  void *context; /* of its state */
} lt_Proxy;

/* The proxy at 'index', or NULL where there is none, or none of an object of this type. */
static inline const lt_Proxy *lt_proxy_at(lua_State *L, int index) {
  const lt_Proxy *proxy = (const lt_Proxy *)lua_touserdata(L, index);
  /* A light userdata has the length 0. */
  if (proxy == NULL || lua_rawlen(L, index) != sizeof(lt_Proxy) || proxy->mark != &lt_proxy_mark)
    return NULL;
  return proxy;
}

static inline const lt_Proxy *lt_proxy_of_type(lua_State *L, int index, const lt_Type *type) {
  const lt_Proxy *proxy = lt_proxy_at(L, index);
  return proxy != NULL && proxy->object->type == type ? proxy : NULL;
}

/* The object at 'index', or NULL where there is none, or none of this type. */
static inline lt_Object *lt_object_at(lua_State *L, int index) {
  const lt_Proxy *proxy = lt_proxy_at(L, index);
  return proxy != NULL ? proxy->object : NULL;
}

static inline lt_Object *lt_object_of_type(lua_State *L, int index, const lt_Type *type) {
  const lt_Proxy *proxy = lt_proxy_of_type(L, index, type);
  return proxy != NULL ? proxy->object : NULL;
}

/*
** A method of a type, by its name there: every state has one of its own. Both pointers are valid
** as long as the library.
*/
typedef struct lt_Method {
  const lt_Type *type;
  const char *name;
} lt_Method;

/* Whether the value at 'index' is such a method, and which. */
bool lt_method_find(lua_State *L, int index, lt_Method *method);

/* Pushes that of this state. */
void lt_method_push(lua_State *L, const lt_Method *method);

/*
** The context of a state: one userdata, the first upvalue of every function and method of this
** library. What it holds is the business of context.h, but for its beginning.
*/
typedef struct lt_Owned lt_Owned;

typedef struct lt_ContextBase {
  lt_Owned *owned; /* memory of the state */
  bool closing;    /* its finalizers are called for the last time; not told of a main state */
  bool ended;
  const void *raised; /* the last exception that was sent to the thread, only to be compared */
} lt_ContextBase;

void lt_context_set(lua_State *L);             /* pops the userdata */
lt_ContextBase *lt_context_base(lua_State *L); /* NULL before it is set */
void lt_context_push(lua_State *L);
void lt_set_functions(lua_State *L, const luaL_Reg *functions); /* into the table on the top */

/*
** At the end of the context: gives back what the state's proxies hold, those too that finalizers
** have made while the state is being closed and Lua finalizes no more, and ends the state's memory.
** No proxy can be made from now on but of an object that stays for ever.
*/
void lt_context_end(lua_State *L, lt_ContextBase *context);

/*
** Memory of the state under this address, all 0 at first. It goes with the context, after 'finish'
** of it, also if a finalizer asks for it while the state is being closed. Raises for want of
** memory.
*/
void *lt_context_memory(lua_State *L, const void *key, size_t size, void (*finish)(void *block));

/*
** Pushes the table that the registry has under this address, or a new one, which is weak as 'mode'
** says; NULL: it is not. Needs 4 free slots of the stack.
*/
void lt_push_registered(lua_State *L, const void *key, const char *mode);

#endif
