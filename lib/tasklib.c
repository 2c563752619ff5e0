/*
** Tasks: a function that is packed once, for many calls in many threads. Each state makes one
** function of its own out of it, whose variables last until the state is closed.
*/
#include "lib/libs.h"

#include <stdlib.h>

static const lt_Type task_type;
static const char task_functions_key;

typedef struct Task {
  lt_Traced traced;
  lt_Message *message; /* never changes */
} Task;

static void task_destroy(lt_Object *object) {
  Task *task = (Task *)object;
  lt_traced_finish(&task->traced);
  lt_message_free(task->message);
  free(task);
}

static uint64_t task_traverse(lt_Object *object, size_t *position, lt_Visit visit, void *context) {
  lt_message_traverse(((const Task *)object)->message, position, visit, context);
  return 0;
}

static void task_clear(lt_Object *object) {
  lt_message_drop_references(((Task *)object)->message);
}

static const lt_Tracing task_tracing = {task_traverse, task_clear};

static void describe_task(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "function");
}

/*
** task(f) -> task
** Packs f now. The task can be called, and submitted to an executor, as f, and crosses by reference:
** each thread makes its function once, with upvalues and globals as they are now, and keeps it to its
** end. Raises TypeError for what can't be called or transferred.
*/
static int new_task(lua_State *L) {
  lt_check_callable(L, 1);
  lua_settop(L, 1);
  lt_cycles_collect_if_due();
  lt_Message *message = lt_pack(L, 1, LT_COPY_STRINGS, describe_task);
  Task *task = malloc(sizeof(*task));
  if (task == NULL) {
    lt_message_free(message);
    return lt_raise_memory(L);
  }
  task->message = message;
  lt_traced_init(&task->traced, &task_type);
  lt_object_push_own(L, &task->traced.object);
  return 1;
}

LT_CLASS(lt_TaskType, "concurrent.futures.task", NULL, new_task);

/* Pushes the function that this state has of it. The table keeps both. */
static void push_own_function(lua_State *L, const Task *task) {
  lt_push_registered(L, &task_functions_key, NULL);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    lt_unpack(L, task->message, LT_TAKE_GLOBALS);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

static int finish_task_call(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

static int task_call(lua_State *L) {
  const Task *task = (const Task *)lt_check_object(L, 1, &task_type);
  lt_check_stack(L, LUA_MINSTACK);
  push_own_function(L, task);
  lua_replace(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, finish_task_call);
  return finish_task_call(L, LUA_OK, 0);
}

static const luaL_Reg task_methods[] = {{NULL, NULL}};
static const luaL_Reg task_metamethods[] = {{"__call", task_call}, {NULL, NULL}};

static const lt_Face task_face = {&lt_TaskType, task_methods, task_metamethods, NULL, NULL};
static const lt_Type task_type = {"concurrent.futures.task", &task_face, task_destroy,
                                  &task_tracing};
