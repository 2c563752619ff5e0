/*
** Functions of the module that look into a running program: for what its threads wait.
*/
#include "lib/libs.h"

#include <string.h>

#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
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

/*
** Traces
*/

/*
** trace_start(path)
** From now on writes to a file what happens to the threads of the process: each has a row, with what
** it waits for, who wakes whom, what it starts, messages, interrupts, collections of the shared data
** space, tasks of executors, and the spans of span. The file is in the trace event format of Chrome,
** which Perfetto opens. It ends with trace_stop, or with the main state. LTHREAD_TRACE=path in the
** environment does so from the start. Raises RuntimeError if a trace is being written already, the
** file can't be made, or no thread for it.
*/
static int trace_start(lua_State *L) {
  int error;
  const char *path = lt_check_string(L, 1, NULL);
  lt_Runtime *runtime = lt_self(L)->runtime;
  switch (lt_probing_start_trace(runtime, lt_trace_process(runtime), path, &error)) {
  case LT_TRACE_RUNS_ALREADY:
    return lt_raise(L, &lt_RuntimeError, "a trace is being written already: trace_stop() ends it");
  case LT_TRACE_NO_FILE:
    return raise_file_error(L, path, error);
  case LT_TRACE_FAILED:
    return raise_system_error(L, "can't write a trace", error);
  case LT_TRACE_STARTED:
    break;
  }
  return 0;
}

/*
** trace_stop()
** Ends the trace, and returns when all of it is written. Raises RuntimeError if none is being
** written, or not all could be.
*/
static int trace_stop(lua_State *L) {
  int error;
  if (!lt_probing_stop_trace(lt_self(L)->parker, NULL, &error))
    return lt_raise(L, &lt_RuntimeError, "no trace is being written: trace_start(path) begins one");
  if (error != 0)
    return raise_system_error(L, "the trace was not written", error);
  return 0;
}

/*
** However the call of a span ends, Lua closes the value at SPAN. The span of a coroutine, which may
** yield, is not nested in what its thread does: it has a number.
*/
typedef struct Span {
  uint64_t slice; /* what lt_trace_open has returned; 0: it has a number */
  uint64_t number;
  bool has_ended;
  char name[LT_PLACE_BYTES];
} Span;

enum { SPAN = 1 };

static const char span_key;

static lt_TraceEvent event_of_span(const Span *span, lt_TraceKind kind) {
  lt_TraceEvent event = {.begin = plat_now(),
                         .number = span->number,
                         .what = "span",
                         .kind = kind,
                         .category = LT_TRACE_SPAN};
  memcpy(event.text, span->name, sizeof(span->name));
  return event;
}

/* A script that calls it ends it early. */
static int end_span(lua_State *L) {
  Span *span = lua_touserdata(L, 1);
  lt_Thread *self = lt_calling_thread(L);
  if (span == NULL || span->has_ended || self == NULL)
    return 0;
  span->has_ended = true;
  if (span->number != 0) {
    const lt_TraceEvent event = event_of_span(span, LT_TRACE_SPAN_ENDS);
    lt_trace_note(self, &event);
  } else {
    lt_trace_close(self, span->slice, lua_isnoneornil(L, 2) ? NULL : "error");
  }
  return 0;
}

static void push_span(lua_State *L, const char *name, size_t length) {
  static const luaL_Reg metamethods[] = {{"__close", end_span}, {NULL, NULL}};
  Span *span = lua_newuserdatauv(L, sizeof(Span), 0);
  memset(span, 0, sizeof(*span));
  memcpy(span->name, name, lt_string_buffer_fit(name, length, sizeof(span->name) - 1));
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &span_key) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lt_set_functions(L, metamethods);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &span_key);
  }
  lua_setmetatable(L, -2);
}

static void begin_span(lua_State *L, lt_Thread *self, Span *span) {
  bool is_main = lua_pushthread(L);
  lua_pop(L, 1);
  if (!is_main)
    span->number = lt_trace_new_number();
  const lt_TraceEvent event = event_of_span(span, is_main ? LT_TRACE_SLICE : LT_TRACE_SPAN_BEGINS);
  if (is_main)
    span->slice = lt_trace_open(self, &event);
  else
    lt_trace_note(self, &event);
}

static int finish_span(lua_State *L, int status, lua_KContext first) {
  (void)status;
  return lua_gettop(L) - (int)first;
}

/* What lies above the place of the name, or the span. */
static int call_in_span(lua_State *L) {
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, SPAN, finish_span);
  return finish_span(L, LUA_OK, SPAN);
}

/*
** span(name, f, ...) -> what f returns
** Calls f(...). In a trace that is being written that is a slice with this name in the thread's row,
** or, in a coroutine, a row of its own below. Of long names the first 71 bytes are shown. f may
** yield. Raises TypeError for a name that is no string, or what can't be called.
*/
static int span(lua_State *L) {
  enum { NAME = 1, F };
  size_t length;
  const char *name = lt_check_string(L, NAME, &length);
  lt_check_callable(L, F);
  lt_Thread *self = lt_calling_thread(L);
  if (!lt_trace_runs() || self == NULL)
    return call_in_span(L);
  lt_check_stack(L, LUA_MINSTACK);
  push_span(L, name, length);
  lua_replace(L, SPAN);
  begin_span(L, self, lua_touserdata(L, SPAN));
  lua_toclose(L, SPAN);
  return call_in_span(L);
}

const luaL_Reg lt_seeing_functions[] = {{"contention_start", contention_start},
                                        {"contention_stop", contention_stop},
                                        {"contention", contention},
                                        {"profile_start", profile_start},
                                        {"profile_stop", profile_stop},
                                        {"trace_start", trace_start},
                                        {"trace_stop", trace_stop},
                                        {"span", span},
                                        {NULL, NULL}};
