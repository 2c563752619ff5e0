/*
** Functions of the module that tell on which processors threads run.
*/
#include "lib/libs.h"

#include "src/thread/affinity.h"

static _Noreturn void refuse_affinity(lua_State *L, int arg, int error) {
  char reason[128];
  if (error == PLAT_NOT_SUPPORTED)
    lt_raise(L, &lt_NotSupportedError, "this system does not let threads choose their processors");
  plat_describe_error(error, reason, sizeof(reason));
  lt_arg_error(L, &lt_ValueError, arg, "none of these processors can be used: %s", reason);
}

/* The processor at the top, which it pops: one that the system would take alone. */
static void add_processor(lua_State *L, int arg, plat_Processors *processors) {
  int is_integer;
  lua_Integer number = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer)
    lt_arg_error(L, &lt_TypeError, arg, "a list of processors' numbers expected, with a %s in it",
                 luaL_typename(L, -1));
  plat_Processors alone = {{0}};
  bool is_possible = number >= 0 && number < PLAT_PROCESSORS;
  if (is_possible)
    alone.words[number / 64] = (uint64_t)1 << number % 64;
  int error = lt_affinity_try(&alone);
  if (error == PLAT_NOT_SUPPORTED)
    refuse_affinity(L, arg, error);
  if (!is_possible || error != 0)
    lt_arg_error(L, &lt_ValueError, arg, "there is no processor %I that can be used", number);
  processors->words[number / 64] |= alone.words[number / 64];
  lua_pop(L, 1);
}

bool lt_opt_processors(lua_State *L, int arg, plat_Processors *processors) {
  if (lua_isnoneornil(L, arg))
    return false;
  lua_Integer count = lt_check_list(L, arg);
  if (count == 0)
    lt_arg_error(L, &lt_ValueError, arg, "the list of processors is empty");
  *processors = (plat_Processors){{0}};
  lt_check_stack(L, LUA_MINSTACK);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, arg, i);
    add_processor(L, arg, processors);
  }
  return true;
}

/*
** set_affinity(processors)
** The calling thread runs only on these processors from now on: a list of the system's numbers,
** counted from 0. Threads that it starts may run on all. Raises ValueError for a number that can't be
** used and an empty list, TypeError for what is no list of integers, NotSupportedError where the
** system does not let threads choose. Follows os.sched_setaffinity.
*/
static int set_affinity(lua_State *L) {
  plat_Processors processors;
  lt_check_type(L, 1, LUA_TTABLE);
  lt_opt_processors(L, 1, &processors);
  int error = lt_affinity_set(&processors);
  if (error != 0)
    refuse_affinity(L, 1, error);
  return 0;
}

/*
** get_affinity() -> list
** The processors that the calling thread may run on, in order. Raises NotSupportedError. Follows
** os.sched_getaffinity.
*/
static int get_affinity(lua_State *L) {
  plat_Processors processors;
  int error = plat_get_affinity(&processors);
  if (error != 0)
    refuse_affinity(L, 1, error);
  lua_newtable(L);
  lua_Integer count = 0;
  for (unsigned i = 0; i < PLAT_PROCESSORS; i++) {
    if (processors.words[i / 64] >> i % 64 & 1) {
      lua_pushinteger(L, i);
      lua_rawseti(L, -2, ++count);
    }
  }
  return 1;
}

const luaL_Reg lt_affinity_functions[] = {
    {"set_affinity", set_affinity}, {"get_affinity", get_affinity}, {NULL, NULL}};
