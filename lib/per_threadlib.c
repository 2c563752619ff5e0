/*
** per_thread, as Lua sees it: an object that crosses by reference, and gives each state a value of
** its own, made by a copy of one function.
**
** What a state has with the object is a box, with the value in it. The box is made before the value,
** so that nothing can fail once that is made, and gets its finalizer after it. Lua calls finalizers
** in the opposite order of that: so a value is closed before what it consists of is finalized, as
** garbage or when the state is closed, and the value that was made last is closed first.
**
** Shared state: none; an object is not changed once it is made.
*/
#include "lib/libs.h"

#include <stdlib.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/cycles.h"
#include "src/object/own_value.h"
#include "src/object/traceback.h"
#include "src/thread/excepthook.h"

typedef struct PerThread {
  lt_Traced traced;
  lt_Life *life;
  lt_Message *maker; /* the function */
  bool closes;
} PerThread;

static void per_thread_destroy(lt_Object *object) {
  PerThread *per_thread = (PerThread *)object;
  lt_traced_finish(&per_thread->traced);
  lt_message_free(per_thread->maker);
  lt_life_end(per_thread->life);
  free(per_thread);
}

static uint64_t per_thread_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                    void *context) {
  lt_message_traverse(((const PerThread *)object)->maker, position, visit, context);
  return 0;
}

static void per_thread_clear(lt_Object *object) {
  lt_message_drop_references(((const PerThread *)object)->maker);
}

static const lt_Tracing per_thread_tracing = {per_thread_traverse, per_thread_clear};

static void describe_maker(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "function");
}

/*
** per_thread(f [, {close = false}]) -> object
** Calling the object returns what f returns, which is called once in each thread: when that first
** calls the object. f is copied now, with its upvalues and globals; it gets no arguments. With close
** the value's method of that name is called when its thread ends, or no thread can reach the object
** any more. Raises TypeError for what is no function or can't be transferred.
*/
static int new_per_thread(lua_State *L) {
  static const char *const names[] = {"close", NULL};
  enum { MAKER = 1, CLOSE };
  lt_check_callable(L, MAKER);
  lt_check_most(L, 0, 2);
  lt_spread_keywords(L, CLOSE, names);
  bool closes = lt_opt_flag(L, CLOSE, false);
  lt_cycles_collect_if_due();
  lua_settop(L, MAKER);
  lt_Message *maker = lt_pack(L, 1, LT_COPY_STRINGS, describe_maker);
  PerThread *per_thread = malloc(sizeof(*per_thread));
  lt_Life *life = lt_life_new();
  if (per_thread == NULL || life == NULL) {
    lt_message_free(maker);
    free(per_thread);
    if (life != NULL)
      lt_life_end(life);
    return lt_raise_memory(L);
  }
  per_thread->life = life;
  per_thread->maker = maker;
  per_thread->closes = closes;
  lt_traced_init(&per_thread->traced, &lt_per_thread_type);
  lt_object_push_own(L, &per_thread->traced.object);
  return 1;
}

LT_CLASS(lt_PerThreadType, "_thread.per_thread", NULL, new_per_thread);

/*
** Boxes
*/

typedef enum BoxContent { IN_MAKING, MADE, CLOSED } BoxContent;

typedef struct Box {
  const void *mark; /* only these begin with the address of box_mark */
  BoxContent content;
  lt_Object *object;
  lt_Life *life;       /* that of the object, held, if the value is to be closed; else NULL */
  bool has_lost_proxy; /* then nobody knows whether the object is still there */
} Box;

static const char box_mark; /* in the registry: the metatable */
static const char close_traceback_key;

/* NULL: a script has put something else there, with the library debug. */
static Box *box_at(lua_State *L, int index) {
  Box *box = lua_touserdata(L, index);
  bool is_box = box != NULL && lua_rawlen(L, index) == sizeof(*box) && box->mark == &box_mark;
  return is_box ? box : NULL;
}

static int trace_close(lua_State *L) {
  lt_traceback_push_whole(L, lua_istable(L, 1) && lt_class_of(L, 1) != NULL ? 1 : 0, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &close_traceback_key);
  return 0;
}

/* A message handler; the traceback is kept aside. */
static int keep_close_traceback(lua_State *L) {
  lua_pushcfunction(L, trace_close);
  lua_pushvalue(L, 1);
  lua_pcall(L, 1, 0, 0);
  lua_settop(L, 1);
  return 1;
}

/* The error is on the top. */
static void report_close(lua_State *L, lt_Thread *thread) {
  if (thread == NULL || atomic_load(&thread->must_end) ||
      lt_is_subclass(lt_class_of(L, -1), &lt_SystemExit))
    return;
  int error = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &close_traceback_key);
  lt_excepthook_call(L, thread, error, error + 1);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &close_traceback_key);
  lua_settop(L, error);
}

/* The box follows. */
static int close_protected(lua_State *L) {
  lt_Thread *thread = lua_touserdata(L, 1);
  lua_pushcfunction(L, keep_close_traceback);
  lua_getiuservalue(L, 2, 1);
  lua_getfield(L, -1, "close");
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 3) != LUA_OK)
    report_close(L, thread);
  return 0;
}

/*
** Whether the object goes on in other threads, and may come back: then its proxy, whose finalizer
** comes next, strands the box. While the proxy is in use, the state is being closed. A box that is
** garbage after its proxy belongs to an object that is no more; its life tells so where a script has
** taken the box from its proxy. Both may be garbage that waits for its finalizers when the state is
** closed, and Lua finalizes nothing twice then.
*/
static bool may_come_back(lua_State *L, const Box *box) {
  if (lt_context_base(L)->closing || box->has_lost_proxy || lt_life_is_over(box->life))
    return false;
  bool in_use = lt_object_push_known(L, box->object);
  lua_settop(L, in_use ? -2 : -1);
  return !in_use && !lt_own_value_is_last(box->object);
}

/* The finalizer of a box; only of one, whatever a script calls it with. */
static int close_box(lua_State *L) {
  lua_settop(L, 1);
  Box *box = box_at(L, 1);
  if (box == NULL || box->content != MADE || box->life == NULL || lt_context_base(L)->ended)
    return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &box_mark);
  if (may_come_back(L, box)) {
    lua_settop(L, 2);
    lua_setmetatable(L, 1); /* it is to be finalized again */
    return 0;
  }
  box->content = CLOSED;
  lua_settop(L, 1);
  lt_own_value_let_life_go(L, box->life);
  if (lt_protected_call(L, close_protected, lt_thread_of(L), 1, 0) != LUA_OK)
    lua_pop(L, 1);
  return 0;
}

static void push_box_metatable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &box_mark) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, close_box);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "_thread.per_thread value");
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &box_mark);
}

/*
** Making a value
*/

static int call_maker(lua_State *L) {
  const PerThread *per_thread = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lt_unpack(L, per_thread->maker, LT_TAKE_GLOBALS);
  lua_call(L, 0, 1);
  if (per_thread->closes && !lua_isnil(L, 1)) {
    bool has_fields = lua_istable(L, 1) || lua_isuserdata(L, 1);
    if (!has_fields || lua_getfield(L, 1, "close") == LUA_TNIL)
      lt_raise(L, &lt_TypeError, "a value to be closed has a method 'close', got a %s",
               luaL_typename(L, 1));
    lua_settop(L, 1);
  }
  return 1;
}

/* Of the box on the top. */
static int push_made(lua_State *L) {
  Box *box = box_at(L, -1);
  if (box == NULL)
    lt_raise(L, &lt_RuntimeError, "this thread's value has been replaced");
  box->has_lost_proxy = false;
  if (box->content == IN_MAKING)
    lt_raise(L, &lt_RuntimeError, "the function that makes this thread's value has asked for it");
  if (box->content == CLOSED)
    lt_raise(L, &lt_RuntimeError, "this thread's value has been closed");
  lua_getiuservalue(L, -1, 1);
  return 1;
}

static int make_value(lua_State *L, PerThread *per_thread) {
  enum { OBJECT = 1, BOX, METATABLE };
  lua_settop(L, OBJECT);
  Box *box = lua_newuserdatauv(L, sizeof(*box), 1);
  *box = (Box){.mark = &box_mark, .object = &per_thread->traced.object};
  push_box_metatable(L);
  if (per_thread->closes)
    lt_own_value_hold_life(L, per_thread->life);
  lua_pushvalue(L, BOX);
  if (!lt_own_value_set(L, OBJECT, per_thread->life)) {
    if (per_thread->closes)
      lt_own_value_let_life_go(L, per_thread->life);
    return push_made(L);
  }
  if (lt_protected_call(L, call_maker, per_thread, 0, 1) != LUA_OK) {
    if (per_thread->closes)
      lt_own_value_let_life_go(L, per_thread->life);
    lt_own_value_drop(L, OBJECT, per_thread->life);
    lt_throw_again(L);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, BOX, 1);
  box->content = MADE;
  if (per_thread->closes && !lua_isnil(L, -1)) {
    box->life = per_thread->life;
    lua_pushvalue(L, METATABLE);
    lua_setmetatable(L, BOX);
  } else if (per_thread->closes) {
    lt_own_value_let_life_go(L, per_thread->life);
  }
  return 1;
}

static int per_thread_call(lua_State *L) {
  PerThread *per_thread = (PerThread *)lt_check_object(L, 1, &lt_per_thread_type);
  lt_check_most(L, 1, 0);
  lt_check_stack(L, 12);
  if (!lt_own_value_push(L, 1, LUA_TUSERDATA, per_thread->life))
    return make_value(L, per_thread);
  return push_made(L);
}

static int per_thread_gc(lua_State *L) {
  const PerThread *per_thread = (const PerThread *)lt_object_of_type(L, 1, &lt_per_thread_type);
  if (per_thread != NULL && lt_proxy_is_garbage(L, 1)) {
    lua_getiuservalue(L, 1, 1);
    Box *box = box_at(L, -1);
    if (box != NULL)
      box->has_lost_proxy = true;
    lt_own_value_strand(L, per_thread->life);
  }
  return lt_object_collect(L);
}

static int per_thread_tostring(lua_State *L) {
  lua_pushfstring(L, "<_thread.per_thread object at %p>",
                  (void *)lt_check_object(L, 1, &lt_per_thread_type));
  return 1;
}

static const luaL_Reg per_thread_metamethods[] = {{"__call", per_thread_call},
                                                  {"__gc", per_thread_gc},
                                                  {"__tostring", per_thread_tostring},
                                                  {NULL, NULL}};

static const lt_Face per_thread_face = {&lt_PerThreadType, NULL, per_thread_metamethods, NULL,
                                        NULL};

const lt_Type lt_per_thread_type = {"_thread.per_thread", &per_thread_face, per_thread_destroy,
                                    &per_thread_tracing};
