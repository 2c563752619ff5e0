/*
** A function that has something of all that the search for names knows is dumped, and its names are
** looked for: they must be found, each where it is, and no others.
**
** Shared state: 'outcome', atomic. Whoever finds it out writes the same.
*/
#include "src/transfer/bytecode_trial.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/protected_call.h"
#include "src/transfer/global_names.h"

static const char probe[] =
    "local none, yes, no = nil, true, false\n"
    "local integer, float, text = 123456789012, 1.5, 'no_global_1'\n"
    "g_read = g_called(integer, float)\n"
    "g_with_a_name_of_more_bytes_than_a_short_string_of_Lua_has = g_long\n"
    "local fields = {1, 2, 3, no_global_2 = yes, [text] = g_in_table or no}\n"
    "fields.no_global_3 = fields.no_global_4\n"
    "for i = 1, 3 do g_in_loop(i) if fields[i] then break end end\n"
    "for k, v in g_iterate(fields) do fields[k] = v .. text end\n"
    "local env = _ENV\n"
    "while fields do fields = env.g_field end\n"
    "env.g_set = -integer + float * 2 // 3\n"
    "if not none then env:g_method(text) else env['g_constant'] = none end\n"
    "_G.g_of_field = 1\n"
    "local function inner(...)\n"
    "  local list <close> = ...\n"
    "  g_inner(list, ...)\n"
    "  integer = function() return env.g_innermost, g_by_return end\n"
    "  return inner(...)\n"
    "end\n"
    "env = fields\n"
    "env.no_global_5 = #fields\n"
    "goto done\n"
    "::done::\n"
    "return inner\n";

/* 1: the upvalue that has the globals. */
enum { CERTAIN = 1, OF_FIELD = CERTAIN | LT_GLOBALS_FIELD };

typedef struct ProbeName {
  const char *name;
  lt_Globals globals;
} ProbeName;

static const ProbeName expected[] = {
    {"g_read", CERTAIN},
    {"g_called", CERTAIN},
    {"g_long", CERTAIN},
    {"g_with_a_name_of_more_bytes_than_a_short_string_of_Lua_has", CERTAIN},
    {"g_in_table", CERTAIN},
    {"g_in_loop", CERTAIN},
    {"g_iterate", CERTAIN},
    {"g_field", CERTAIN},
    {"g_set", CERTAIN},
    {"g_method", CERTAIN},
    {"g_constant", CERTAIN},
    {"_G", CERTAIN},
    {"g_of_field", OF_FIELD},
    {"g_inner", CERTAIN},
    {"g_innermost", CERTAIN},
    {"g_by_return", CERTAIN}};

enum { EXPECTED = sizeof(expected) / sizeof(expected[0]), LONGEST_DUMP = 4096 };

typedef struct Probe {
  unsigned char bytes[LONGEST_DUMP];
  size_t size;
  bool is_known;
} Probe;

static int write_probe(lua_State *L, const void *bytes, size_t size, void *context) {
  Probe *dump = context;
  (void)L;
  if (size > LONGEST_DUMP - dump->size)
    return 1;
  if (size > 0)
    memcpy(dump->bytes + dump->size, bytes, size);
  dump->size += size;
  return 0;
}

static bool is_probe_name(const Probe *dump, const lt_GlobalName *found, const ProbeName *name) {
  return found->globals == name->globals && found->length == strlen(name->name) &&
         memcmp(dump->bytes + found->offset, name->name, found->length) == 0;
}

/* A name may be found several times. */
static bool are_expected(const Probe *dump, const lt_GlobalNames *names) {
  bool met[EXPECTED] = {false};
  for (size_t i = 0; i < names->count; i++) {
    size_t place = 0;
    while (place < EXPECTED && !is_probe_name(dump, &names->list[i], &expected[place]))
      place++;
    if (place == EXPECTED)
      return false;
    met[place] = true;
  }
  for (size_t i = 0; i < EXPECTED; i++)
    if (!met[i])
      return false;
  return true;
}

static int try_probe(lua_State *L) {
  Probe *dump = lua_touserdata(L, 1);
  lt_UpvalueSet globals = {{0}};
  lt_GlobalNames names;
  lt_upvalue_set_add(&globals, 1);
  if (luaL_loadbuffer(L, probe, sizeof(probe) - 1, "=probe") != LUA_OK)
    return lua_error(L);
  if (lua_dump(L, write_probe, dump, 0) != 0)
    return 0;
  if (!lt_global_names_find(dump->bytes, dump->size, &globals, &names))
    return luaL_error(L, "not enough memory");
  dump->is_known = names.are_known && are_expected(dump, &names);
  free(names.list);
  return 0;
}

static lt_BytecodeTrial try_bytecode(void) {
  Probe dump = {.size = 0, .is_known = false};
  lua_State *L = luaL_newstate();
  if (L == NULL)
    return LT_BYTECODE_UNTRIED;
  int status = lt_protected_call(L, try_probe, &dump, 0, 0);
  lua_close(L);
  if (status != LUA_OK)
    return LT_BYTECODE_UNTRIED;
  return dump.is_known ? LT_BYTECODE_KNOWN : LT_BYTECODE_UNKNOWN;
}

static atomic_int outcome;

/* Relaxed: nothing else is read because of it. */
lt_BytecodeTrial lt_bytecode_trial(void) {
  int found = atomic_load_explicit(&outcome, memory_order_relaxed);
  if (found == LT_BYTECODE_UNTRIED) {
    found = (int)try_bytecode();
    atomic_store_explicit(&outcome, found, memory_order_relaxed);
  }
  return (lt_BytecodeTrial)found;
}
