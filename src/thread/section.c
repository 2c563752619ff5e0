/*
** The record of a section is a userdata in a slot of the stack that is to be closed. So it ends with
** its C call, whether that returns or an error leaves it. What closes no slots, an error of which a
** coroutine dies, the list sees to; for that the record keeps its coroutine.
*/
#include "src/thread/section.h"

#include <string.h>

#include "src/base/stack_room.h"
#include "src/base/string_buffer.h"
#include "src/thread/interrupt.h"
#include "src/thread/observer.h"

#define FARTHEST_CALLER 5 /* how many levels a line is looked for in */

static const char record_metatable_key;

/* What is asked for comes at the next instruction. */
static void leave_record(lt_Section *section) {
  lt_Thread *thread = section->thread;
  if (!lt_section_leave(section) && lt_interrupted(thread) && atomic_load(&thread->shields) == 0)
    lt_interrupt_remind(thread);
}

/* Called as the slot is closed, and as a record is collected with a coroutine that is dead. */
static int close_record(lua_State *L) {
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1) &&
      lua_rawgetp(L, LUA_REGISTRYINDEX, &record_metatable_key) == LUA_TTABLE &&
      lua_rawequal(L, -1, -2))
    leave_record(lua_touserdata(L, 1));
  return 0;
}

static void push_record_metatable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &record_metatable_key) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, close_record);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, close_record);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &record_metatable_key);
}

/* The line is that of the nearest function in Lua. */
static void note_text(lua_State *L, lt_SectionText *text, const char *name) {
  lua_Debug caller;
  text->since = plat_now();
  memcpy(text->name, name, lt_string_buffer_fit(name, strlen(name), LT_SECTION_BYTES - 1));
  for (int level = 1; level < FARTHEST_CALLER && lua_getstack(L, level, &caller); level++) {
    lua_getinfo(L, "Sl", &caller);
    if (caller.currentline > 0) {
      text->line = caller.currentline;
      memcpy(text->source, caller.short_src, sizeof(text->source));
      return;
    }
  }
}

/* Pushes one that has not been entered. */
static lt_Section *push_new_record(lua_State *L, const char *name) {
  lua_Debug top;
  const void *frame = lua_getstack(L, 0, &top) ? top.i_ci : NULL;
  bool is_main = lua_pushthread(L);
  lt_Section *section = lua_newuserdatauv(L, sizeof(*section), !is_main);
  memset(section, 0, sizeof(*section));
  lua_insert(L, -2);
  if (is_main)
    lua_pop(L, 1);
  else
    lua_setiuservalue(L, -2, 1);
  section->L = L;
  section->in_main = is_main;
  section->frame = frame;
  atomic_init(&section->is_deaf, false);
  note_text(L, &section->text, name);
  push_record_metatable(L);
  lua_setmetatable(L, -2);
  return section;
}

/*
** Beginning and ending
*/

static bool is_held(lua_State *L, lt_Thread *thread) {
  return lt_interrupted(thread) && lt_interrupt_is_held(L, thread);
}

bool lt_section_begin(lua_State *L, const char *name, lt_Wake wake, void *context) {
  lt_check_stack(L, 5);
  lt_Thread *thread = lt_thread_of(L);
  if (thread == NULL) {
    lua_pushnil(L);
    return false;
  }
  lt_thread_come_home(thread);
  lt_sections_settle(thread);
  lt_Section *section = push_new_record(L, name);
  section->wake = wake;
  section->context = context;
  lua_toclose(L, -1);
  atomic_store(&section->is_deaf, is_held(L, thread));
  section->thread = thread;
  section->slice = lt_observer->section_begins(L, thread, section->text.name);
  lt_section_enter(section);
  if (!lt_interrupted(thread) || atomic_load(&section->is_deaf))
    return false;
  if (lt_interrupt_is_held(L, thread)) {
    atomic_store(&section->is_deaf, true);
    return false;
  }
  section->refused = true;
  leave_record(section);
  return true;
}

bool lt_section_end(lua_State *L, int index) {
  lt_Section *section = lua_touserdata(L, index);
  bool interrupted = false;
  if (section != NULL) {
    lt_Thread *thread = section->thread;
    leave_record(section);
    interrupted = section->woken || section->refused ||
                  (thread != NULL && lt_interrupted(thread) && !lt_interrupt_is_held(L, thread));
    lua_closeslot(L, index);
  }
  lua_remove(L, index);
  return interrupted;
}
