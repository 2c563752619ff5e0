/*
** Functions of the module that look into a running program: for what its threads wait.
*/
#include "lib/libs.h"

#include "src/base/protected_call.h"
#include "src/diagnose/contention.h"
#include "src/diagnose/probing.h"
#include "src/diagnose/profile.h"

static int raise_system_error(lua_State *L, const char *what, int error) {
  char reason[128];
  plat_describe_error(error, reason, sizeof(reason));
  return lt_raise(L, &lt_RuntimeError, "%s: %s", what, reason);
}

static int raise_file_error(lua_State *L, const char *path, int error) {
  char reason[128];
  plat_describe_error(error, reason, sizeof(reason));
  return lt_raise(L, &lt_RuntimeError, "can't write %s: %s", path, reason);
}

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

/*
** Profiles
*/

/*
** profile_start([hz = 100])
** From now on takes a sample of the stacks of all threads of this runtime, hz times a second, and
** counts them. Raises ValueError for a hz that is not between 1 and 1000, RuntimeError if a profile
** is being made already, or no thread can be made for it.
*/
static int profile_start(lua_State *L) {
  enum { MOST_HZ = 1000, DEFAULT_HZ = 100 };
  int error;
  lua_Integer hz = lua_isnoneornil(L, 1) ? DEFAULT_HZ : lt_check_integer(L, 1);
  if (hz < 1 || hz > MOST_HZ)
    return lt_arg_error(L, &lt_ValueError, 1, "hz is %I, it must be between 1 and %d", hz, MOST_HZ);
  switch (lt_profile_start(lt_self(L)->runtime, (unsigned)hz, &error)) {
  case LT_PROFILE_RUNS_ALREADY:
    return lt_raise(L, &lt_RuntimeError,
                    "a profile is being made already: profile_stop(path) ends it");
  case LT_PROFILE_FAILED:
    return raise_system_error(L, "can't make a profile", error);
  case LT_PROFILE_STARTED:
    break;
  }
  return 0;
}

/*
** profile_stop(path) -> samples
** Ends the profile and writes it to a file: a line for each stack, in the folded form that programs
** for flame graphs read, with how often it was met. The last frame of one that waits is what it
** waits for. Returns how many samples were taken. Raises RuntimeError if none is being made, or the
** file can't be written.
*/
static int profile_stop(lua_State *L) {
  uint64_t samples;
  const char *path = lt_check_string(L, 1, NULL);
  lt_Profile *profile = lt_profile_stop();
  if (profile == NULL)
    return lt_raise(L, &lt_RuntimeError, "no profile is being made: profile_start() begins one");
  int error = lt_profile_write(profile, path, &samples);
  if (error != 0)
    return raise_file_error(L, path, error);
  lua_pushinteger(L, (lua_Integer)samples);
  return 1;
}

const luaL_Reg lt_seeing_functions[] = {{"contention_start", contention_start},
                                        {"contention_stop", contention_stop},
                                        {"contention", contention},
                                        {"profile_start", profile_start},
                                        {"profile_stop", profile_stop},
                                        {NULL, NULL}};
