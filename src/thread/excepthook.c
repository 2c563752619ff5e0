/*
** Shared state: the runtime's 'excepthook', under its guard. A hook is a message: each thread makes
** a function of its own out of it.
*/
#include "src/thread/excepthook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/stack_room.h"
#include "src/object/error_text.h"
#include "src/object/exception.h"

typedef struct ExceptHook {
  lt_Object object;
  lt_Message *message;
} ExceptHook;

static void destroy_hook(lt_Object *object) {
  ExceptHook *hook = (ExceptHook *)object;
  lt_message_free(hook->message);
  free(hook);
}

static const lt_Type hook_type = {"excepthook", NULL, destroy_hook, NULL};

static const char *const fields[] = {"exc_type", "exc_value", "exc_traceback", "thread"};
#define FIELD_COUNT ((int)(sizeof(fields) / sizeof(fields[0])))

void lt_excepthook_args(lua_State *L) {
  lua_createtable(L, FIELD_COUNT, FIELD_COUNT);
  for (int i = 0; i < FIELD_COUNT; i++) {
    lua_geti(L, -2, i + 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, i + 1);
    lua_setfield(L, -2, fields[i]);
  }
  lua_remove(L, -2);
}

static void describe_hook(lua_State *L, int value) {
  (void)value;
  lua_pushliteral(L, "excepthook");
}

void lt_excepthook_set(lua_State *L, lt_Runtime *runtime) {
  ExceptHook *hook = NULL;
  if (!lua_isnil(L, -1)) {
    lt_Message *message = lt_pack(L, 1, LT_COPY_STRINGS, describe_hook);
    hook = malloc(sizeof(*hook));
    if (hook == NULL) {
      lt_message_free(message);
      lt_raise_memory(L);
    }
    lt_object_init(&hook->object, &hook_type);
    hook->message = message;
  } else {
    lua_pop(L, 1);
  }
  plat_mutex_lock(&runtime->guard);
  lt_Object *previous = runtime->excepthook;
  runtime->excepthook = hook == NULL ? NULL : &hook->object;
  plat_mutex_unlock(&runtime->guard);
  if (previous != NULL)
    lt_object_release(previous);
}

/*
** The default
*/

static void write_report(lua_State *L, const char *header) {
  luaL_Buffer report;
  lua_settop(L, 1);
  lt_check_stack(L, 10);
  lua_getfield(L, 1, "exc_value");
  lua_getfield(L, 1, "exc_traceback");
  luaL_buffinit(L, &report);
  luaL_addstring(&report, header);
  lt_error_text_push(L, 2);
  luaL_addvalue(&report);
  luaL_addchar(&report, '\n');
  if (lua_isstring(L, 3)) {
    lua_pushvalue(L, 3);
    luaL_addvalue(&report);
    luaL_addchar(&report, '\n');
  }
  luaL_pushresult(&report);
  size_t length;
  const char *bytes = lua_tolstring(L, -1, &length);
  plat_write_error(bytes, length);
}

static void format_header(char *header, size_t size, lt_Thread *thread) {
  char name[LT_NAME_BYTES];
  lt_thread_name(thread, name);
  snprintf(header, size, "Exception in thread %s (ident %llu):\n", name,
           (unsigned long long)atomic_load(&thread->ident));
}

int lt_excepthook_default(lua_State *L) {
  char header[LT_NAME_BYTES + 64] = "Exception in a thread:\n";
  lua_getfield(L, 1, "thread");
  lt_Object *thread = lt_object_of_type(L, -1, &lt_thread_type);
  if (thread != NULL)
    format_header(header, sizeof(header), (lt_Thread *)thread);
  write_report(L, header);
  return 0;
}

/* Without anything of Lua. */
static void write_plain(lt_Thread *thread, const char *reason) {
  char text[LT_NAME_BYTES + 160];
  format_header(text, sizeof(text), thread);
  size_t header = strlen(text);
  snprintf(text + header, sizeof(text) - header, "%s\n", reason);
  plat_write_error(text, strlen(text));
}

void lt_excepthook_no_memory(lt_Thread *thread) {
  write_plain(thread, "not enough memory");
}

/*
** Calling
*/

/*
** Arguments: the thread, the hook or NULL, both light; the error; the traceback, or true if the
** error is one of the hook itself.
*/
static int call_protected(lua_State *L) {
  lt_Thread *thread = lua_touserdata(L, 1);
  const ExceptHook *hook = lua_touserdata(L, 2);
  if (lua_isboolean(L, 4)) {
    lua_pushliteral(L, "(this was raised by the excepthook for the exception that follows)");
    lua_replace(L, 4);
  }
  if (hook == NULL)
    lua_pushcfunction(L, lt_excepthook_default);
  else
    lt_unpack(L, hook->message, LT_KEEP_GLOBALS);
  lua_createtable(L, FIELD_COUNT, 0);
  lt_Class *class_object = lt_class_of(L, 3);
  if (class_object != NULL) {
    lt_object_push(L, &class_object->object);
    lua_rawseti(L, -2, 1);
  }
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, 2);
  lua_pushvalue(L, 4);
  lua_rawseti(L, -2, 3);
  lt_object_push(L, &thread->object);
  lua_rawseti(L, -2, 4);
  lt_excepthook_args(L);
  lua_call(L, 1, 0);
  return 0;
}

static int call_hook(lua_State *L, lt_Thread *thread, lt_Object *hook, int error, int traceback) {
  lua_pushcfunction(L, call_protected);
  lua_pushlightuserdata(L, thread);
  lua_pushlightuserdata(L, hook);
  lua_pushvalue(L, error);
  lua_pushvalue(L, traceback);
  return lua_pcall(L, 4, 0, 0);
}

/* By the default. What it can't be told with is told in one line. */
static void report(lua_State *L, lt_Thread *thread, int error, int traceback) {
  int status = call_hook(L, thread, NULL, error, traceback);
  if (status == LUA_OK)
    return;
  const lt_Class *class_object = lt_class_of(L, -1);
  write_plain(thread, status == LUA_ERRMEM             ? "not enough memory"
                      : lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                      : class_object != NULL           ? class_object->name
                                                       : luaL_typename(L, -1));
  lua_pop(L, 1);
}

void lt_excepthook_call(lua_State *L, lt_Thread *thread, int error, int traceback) {
  if (!lua_checkstack(L, 12)) {
    lt_excepthook_no_memory(thread);
    return;
  }
  plat_mutex_lock(&thread->runtime->guard);
  lt_Object *hook = thread->runtime->excepthook;
  if (hook != NULL)
    lt_object_retain(hook);
  plat_mutex_unlock(&thread->runtime->guard);
  if (hook == NULL) {
    report(L, thread, error, traceback);
    return;
  }
  int status = call_hook(L, thread, hook, error, traceback);
  lt_object_release(hook);
  if (status != LUA_OK) {
    lua_pushboolean(L, 1);
    if (!lt_is_subclass(lt_class_of(L, -2), &lt_SystemExit)) /* it is how the runtime ends a hook */
      report(L, thread, lua_gettop(L) - 1, lua_gettop(L));
    lua_pop(L, 2);
    report(L, thread, error, traceback);
  }
}
