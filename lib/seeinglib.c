/*
** Functions of the module that look into a running program: for what its threads wait.
*/
#include "lib/libs.h"

#include "src/base/protected_call.h"
#include "src/diagnose/contention.h"
#include "src/diagnose/probing.h"

/*
** Contention
*/

/*
** contention_start()
** Counts from now on, in the whole process, for what threads wait, and forgets what was counted
** before. It is on from the start with LTHREAD_CONTENTION=1 in the environment, which prints what
** was counted at the end. Raises MemoryError.
*/
static int contention_start(lua_State *L) {
  if (!lt_probing_start_contention())
    return lt_raise_memory(L);
  return 0;
}

/*
** contention_stop()
** Counts no more. What was counted stays.
*/
static int contention_stop(lua_State *L) {
  (void)L;
  lt_probing_stop_contention();
  return 0;
}

static void set_span_field(lua_State *L, const char *name, plat_Time span) {
  lua_pushnumber(L, (lua_Number)span / (lua_Number)PLAT_SECOND);
  lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *text) {
  if (*text == '\0')
    return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void push_places(lua_State *L, const lt_Contended *thing) {
  enum { TOLD = 2 };
  lua_createtable(L, TOLD, 0);
  for (int i = 0; i < TOLD && thing->places[i].waits > 0; i++) {
    const lt_ContendedPlace *place = &thing->places[i];
    lua_createtable(L, 0, 3);
    set_text(L, "place", place->place);
    set_count(L, "waits", place->waits);
    set_span_field(L, "seconds", place->total);
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_thing(lua_State *L, const lt_Contended *thing) {
  lua_createtable(L, 0, 7);
  set_text(L, "what", thing->what);
  lua_pushfstring(L, "%p", thing->shown);
  lua_setfield(L, -2, "address");
  set_count(L, "waits", thing->waits);
  set_span_field(L, "seconds", thing->total);
  set_span_field(L, "longest", thing->longest);
  set_text(L, "held_by", thing->holder);
  push_places(L, thing);
  lua_setfield(L, -2, "places");
}

/* The text is made at once: what it tells does not change with the list. */
static int contention_text(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  return 1;
}

typedef struct Told {
  lt_Contention contention;
  lt_StringBuffer text;
} Told;

static int push_told(lua_State *L) {
  const Told *told = lua_touserdata(L, 1);
  lua_createtable(L, 0, 0);
  for (size_t i = 0; i < told->contention.count; i++) {
    push_thing(L, &told->contention.things[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_createtable(L, 0, 1);
  lua_pushlstring(L, told->text.bytes == NULL ? "" : told->text.bytes, told->text.length);
  lua_pushcclosure(L, contention_text, 1);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  return 1;
}

/*
** contention() -> list
** For what threads have waited since contention_start, the one that cost the most time first. Each
** entry has what, as in a dump ("lock", "queue get", "shared table"), address, how often (waits), how
** many seconds in all and in the longest wait (seconds, longest), held_by, the name of the thread
** that had it then, if that is known, and places, the two that cost the most time: {place=, waits=,
** seconds=}. print shows it as a table. Raises MemoryError.
*/
static int contention(lua_State *L) {
  Told told = {.text = {NULL, 0, 0}};
  if (!lt_contention_get(&told.contention))
    return lt_raise_memory(L);
  lt_contention_write(&told.contention, &told.text);
  int status = lt_protected_call(L, push_told, &told, 0, 1);
  lt_string_buffer_free(&told.text);
  lt_contention_free(&told.contention);
  if (status != LUA_OK)
    lt_throw(L);
  return 1;
}

const luaL_Reg lt_seeing_functions[] = {{"contention_start", contention_start},
                                        {"contention_stop", contention_stop},
                                        {"contention", contention},
                                        {NULL, NULL}};
