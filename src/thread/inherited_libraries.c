/*
** What is different is written down as a plan: which fields a thread loses, which it gets instead,
** and its searchers. A state keeps the plan that it made last, with digests of the tables for which
** it holds. A plan with values of the script holds for one start only: they may change meanwhile
** although the fields do not.
*/
#include "src/thread/inherited_libraries.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/stack_room.h"
#include "src/base/table_digest.h"
#include "src/object/error_text.h"
#include "src/object/exception.h"
#include "src/state/hidden_functions.h"
#include "src/thread/inherited_searchers.h"
#include "src/thread/library_comparison.h"
#include "src/thread/stock_libraries.h"
#include "src/transfer/message.h"

/* What a plan's message holds: lists, of which that of the searchers may be nil, and booleans. */
enum {
  PLAN_REMOVED,
  PLAN_REPLACED,
  PLAN_SEARCHERS,
  PLAN_HAS_PACKAGE,
  PLAN_HAS_STRINGS, /* with a metatable */
  PLAN_PARTS
};

/* A value by itself. 'message' is NULL if it is that of a field before, too. */
typedef struct SingleValue {
  lt_Message *message;
  lua_Integer first; /* the field */
  bool is_function;
} SingleValue;

typedef struct Plan {
  lt_Object object;
  lt_Message *message;
  lt_Message *values;  /* of the fields that are replaced, in their order */
  SingleValue *single; /* the same, for a thread that can't make all of them */
  lua_Integer single_count;
} Plan;

static void plan_destroy(lt_Object *object) {
  Plan *plan = (Plan *)object;
  lt_message_free(plan->message);
  lt_message_free(plan->values);
  for (lua_Integer i = 0; i < plan->single_count; i++)
    lt_message_free(plan->single[i].message);
  free(plan->single);
  free(plan);
}

static const lt_Type plan_type = {"libraries", NULL, plan_destroy, NULL};

static lt_Object *plan_at_top(lua_State *L) {
  return lt_object_of_type(L, -1, &plan_type);
}

/*
** Whether the libraries are still what they were
*/

static const char known_key; /* in the registry: a userdata, with these user values */

enum { KNOWN_TABLES = 1, KNOWN_PLAN, KNOWN_CONTENTS, KNOWN_VALUES = KNOWN_CONTENTS };

typedef struct Known {
  const void *mark;                    /* the address of known_key */
  bool holds;                          /* for more than one start */
  const void *tables[LT_STOCK_PLACES]; /* NULL: none, or that of the registry */
  uint64_t digests[LT_STOCK_PLACES];
  uint64_t names[LT_STOCK_PLACES]; /* where there are others, too */
  uint64_t searchers;
  const void *strings;
} Known;

/* Scripts set globals, and load modules, all the time: there only some names count. */
static bool has_other_names(int place) {
  return place == LT_STOCK_GLOBALS || place == LT_STOCK_LOADED;
}

/* Of the table on the top. */
static uint64_t digest_names(lua_State *L, const lt_StockTable *table) {
  uint64_t digest = 1;
  for (size_t i = 0; i < table->count; i++) {
    int type = lt_stock_push_field(L, -1, table->fields[i].name);
    digest = (digest ^ (uint64_t)(uintptr_t)lua_topointer(L, -1) ^ (uint64_t)type) *
             UINT64_C(0x9E3779B97F4A7C15);
    lua_pop(L, 1);
  }
  return digest;
}

static const void *strings_address(lua_State *L) {
  lt_stock_push(L, LT_STOCK_STRINGS);
  const void *address = lua_topointer(L, -1);
  lua_pop(L, 1);
  return address;
}

static bool has_same_names(lua_State *L, const lt_Stock *stock, const Known *known, int place) {
  lt_stock_push(L, place);
  bool same = digest_names(L, &stock->tables[place]) == known->names[place];
  lua_pop(L, 1);
  return same;
}

/* Of the table on the top, which is that of this place. */
static bool is_place_unchanged(lua_State *L, const lt_Stock *stock, Known *known, int place) {
  uint64_t digest = lt_table_digest(L, -1);
  if (digest != known->digests[place] &&
      !(has_other_names(place) && has_same_names(L, stock, known, place)))
    return false;
  known->digests[place] = digest;
  return place != LT_STOCK_LIBRARIES ||
         lt_inherited_searchers_digest(L, lua_gettop(L)) == known->searchers;
}

/* The list of the tables is at the index 'tables'; a script may have changed it with debug. */
static bool is_unchanged(lua_State *L, int tables, const lt_Stock *stock, Known *known) {
  bool same = known->strings == strings_address(L) && lua_istable(L, tables);
  for (int place = 0; place < LT_STOCK_PLACES && same; place++) {
    if (known->tables[place] == NULL)
      continue;
    same = lua_rawgeti(L, tables, place + 1) == LUA_TTABLE &&
           lua_topointer(L, -1) == known->tables[place] &&
           is_place_unchanged(L, stock, known, place);
    lua_pop(L, 1);
  }
  return same;
}

static Known *known_at_top(lua_State *L) {
  Known *known = lua_touserdata(L, -1);
  bool is_known = known != NULL && lua_rawlen(L, -1) == sizeof(*known) && known->mark == &known_key;
  return is_known ? known : NULL;
}

/* Pushes what is known, and its plan, or nil for one in which there is nothing. */
static bool push_known(lua_State *L, const lt_Stock *stock, uint64_t *modules) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
  Known *known = known_at_top(L);
  if (known == NULL)
    return false;
  lua_getiuservalue(L, -1, KNOWN_TABLES);
  bool same = known->holds && is_unchanged(L, lua_gettop(L), stock, known);
  lua_pop(L, 1);
  *modules = known->digests[LT_STOCK_LOADED];
  return same && (lua_getiuservalue(L, -1, KNOWN_PLAN) == LUA_TNIL || plan_at_top(L) != NULL);
}

/* Pushes what is known of the tables at 'tables', before any code runs that may change them. */
static Known *push_new_known(lua_State *L, const lt_Stock *stock, int tables) {
  Known *known = lua_newuserdatauv(L, sizeof(*known), KNOWN_VALUES);
  memset(known, 0, sizeof(*known));
  known->mark = &known_key;
  known->strings = strings_address(L);
  lua_createtable(L, LT_STOCK_PLACES, 0);
  for (int place = 0; place < LT_STOCK_PLACES; place++) {
    lua_pushvalue(L, tables + place);
    if (lua_istable(L, -1) && place != LT_STOCK_REGISTRY) {
      known->digests[place] = lt_table_digest(L, -1);
      known->tables[place] = lua_topointer(L, -1);
    }
    if (has_other_names(place))
      known->names[place] = digest_names(L, &stock->tables[place]);
    if (place == LT_STOCK_LIBRARIES && lua_istable(L, -1))
      known->searchers = lt_inherited_searchers_digest(L, lua_gettop(L));
    lua_rawseti(L, -2, place + 1);
  }
  lua_setiuservalue(L, -2, KNOWN_TABLES);
  return known;
}

/*
** Making a plan
*/

/* Pushes its parts. */
static void push_parts(lua_State *L, const lt_LibraryComparison *comparison, bool *has_searchers) {
  int package = comparison->tables + LT_STOCK_LIBRARIES;
  lua_pushvalue(L, comparison->removed);
  lua_pushvalue(L, comparison->replaced);
  if (lua_istable(L, package))
    *has_searchers = lt_inherited_searchers_push(L, package, comparison->stock);
  else
    lua_pushnil(L);
  lua_pushboolean(L, lua_istable(L, package));
  lua_pushboolean(L, lua_istable(L, comparison->tables + LT_STOCK_STRINGS));
}

static bool is_empty_plan(lua_State *L, const lt_LibraryComparison *comparison) {
  return comparison->removed_count == 0 && comparison->replaced_count == 0 &&
         lua_isnil(L, -PLAN_PARTS + PLAN_SEARCHERS) &&
         lua_toboolean(L, -PLAN_PARTS + PLAN_HAS_PACKAGE) &&
         lua_toboolean(L, -PLAN_PARTS + PLAN_HAS_STRINGS);
}

/* Pushes for each value which one of the list it is, the first if it is there twice. */
static void push_first_places(lua_State *L, int values, int count) {
  lua_createtable(L, 0, count);
  for (int i = count; i >= 1; i--) {
    lua_rawgeti(L, values, i);
    lua_pushinteger(L, i);
    lua_rawset(L, -3);
  }
}

static void pack_single_values(lua_State *L, Plan *plan, int values, int count) {
  plan->single = calloc((size_t)count, sizeof(*plan->single));
  if (plan->single == NULL)
    lt_raise_memory(L);
  plan->single_count = count;
  push_first_places(L, values, count);
  int places = lua_gettop(L);
  for (int i = 1; i <= count; i++) {
    SingleValue *single = &plan->single[i - 1];
    lua_rawgeti(L, values, i);
    lua_pushvalue(L, -1);
    lua_rawget(L, places);
    single->first = lua_tointeger(L, -1);
    single->is_function = lua_isfunction(L, -2);
    lua_pop(L, 1);
    if (single->first == i)
      single->message = lt_pack(L, 1, LT_COPY_STRINGS, NULL);
    lua_settop(L, places);
  }
  lua_pop(L, 1);
}

/* Pops the parts, and pushes the proxy of a plan, or nil for one in which there is nothing. */
static void make_plan(lua_State *L, const lt_LibraryComparison *comparison) {
  if (is_empty_plan(L, comparison)) {
    lua_pop(L, PLAN_PARTS);
    lua_pushnil(L);
    return;
  }
  Plan *plan = calloc(1, sizeof(*plan));
  if (plan == NULL)
    lt_raise_memory(L);
  lt_object_init(&plan->object, &plan_type);
  lt_object_push_own(L, &plan->object);
  lua_insert(L, -PLAN_PARTS - 1);
  plan->message = lt_pack(L, PLAN_PARTS, LT_COPY_STRINGS, NULL);
  int count = (int)comparison->value_count;
  lt_check_stack(L, count + 10);
  for (int i = 1; i <= count; i++)
    lua_rawgeti(L, comparison->values, i);
  plan->values = lt_pack(L, count, LT_COPY_STRINGS, NULL);
  if (count > 0)
    pack_single_values(L, plan, comparison->values, count);
}

/* Pops a key and a value, and enters them in the list below. */
static void keep_field(lua_State *L, int list, lua_Integer *count) {
  lua_rawseti(L, list, ++*count);
  lua_rawseti(L, list, ++*count);
}

static void keep_names(lua_State *L, int list, lua_Integer *count, int table,
                       const lt_StockTable *names) {
  for (size_t i = 0; i < names->count; i++) {
    lua_pushstring(L, names->fields[i].name);
    lt_stock_push_field(L, table, names->fields[i].name);
    keep_field(L, list, count);
  }
}

/* Of the table on the top, which it pops. */
static void keep_all(lua_State *L, int list, lua_Integer *count) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    keep_field(L, list, count);
  }
  lua_pop(L, 1);
}

/*
** Keeps alive all that the digests are of: the address of what is no more may soon be that of
** something else.
*/
static void keep_contents(lua_State *L, const lt_Stock *stock, int tables, int known) {
  lua_newtable(L);
  int list = lua_gettop(L);
  lua_Integer count = 0;
  for (int place = 0; place < LT_STOCK_PLACES; place++) {
    if (!lua_istable(L, tables + place) || place == LT_STOCK_REGISTRY)
      continue;
    if (has_other_names(place)) {
      keep_names(L, list, &count, tables + place, &stock->tables[place]);
    } else {
      lua_pushvalue(L, tables + place);
      keep_all(L, list, &count);
    }
    if (place == LT_STOCK_LIBRARIES &&
        lt_stock_push_field(L, tables + place, "searchers") == LUA_TTABLE)
      keep_all(L, list, &count);
  }
  lua_settop(L, list);
  lua_setiuservalue(L, known, KNOWN_CONTENTS);
}

/* Pushes the plan, or nil for one in which there is nothing. */
static void compare_all(lua_State *L, const lt_Stock *stock, uint64_t *modules) {
  lt_LibraryComparison comparison = {.stock = stock};
  lt_check_stack(L, LT_STOCK_PLACES + 20);
  comparison.tables = lua_gettop(L) + 1;
  for (int place = 0; place < LT_STOCK_PLACES; place++)
    lt_stock_push(L, place);
  Known *known = push_new_known(L, stock, comparison.tables);
  int place_of_known = lua_gettop(L);
  lua_newtable(L);
  lua_newtable(L);
  lua_newtable(L);
  comparison.removed = lua_gettop(L) - 2;
  comparison.replaced = lua_gettop(L) - 1;
  comparison.values = lua_gettop(L);
  lt_library_comparison_make(L, &comparison);
  bool has_searchers = false;
  push_parts(L, &comparison, &has_searchers);
  make_plan(L, &comparison);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, place_of_known, KNOWN_PLAN);
  if (comparison.value_count == 0 && !has_searchers) {
    keep_contents(L, stock, comparison.tables, place_of_known);
    known->holds = true;
  }
  lua_pushvalue(L, place_of_known);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &known_key);
  *modules = known->digests[LT_STOCK_LOADED];
}

/* What is compared stays on the stack meanwhile, and with it the plan. */
lt_Object *lt_inherited_libraries_get(lua_State *L, bool *unchanged, uint64_t *modules) {
  lt_check_stack(L, 10);
  int top = lua_gettop(L);
  const lt_Stock *stock = lt_stock_get(L);
  *unchanged = push_known(L, stock, modules);
  if (!*unchanged)
    compare_all(L, stock, modules);
  lt_Object *plan = plan_at_top(L);
  if (plan != NULL)
    lt_object_retain(plan);
  lua_settop(L, top);
  return plan;
}

/*
** Inheriting
*/

/* The places' tables lie from 'tables' on; those of the fields are named in the list at 'list'. */
static void set_field_of(lua_State *L, int tables, int list, lua_Integer i) {
  lua_rawgeti(L, list, 2 * i - 1);
  int table = tables + (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_rawgeti(L, list, 2 * i);
  lua_insert(L, -2);
  bool has_table = lua_istable(L, table);
  if (has_table && lua_rawlen(L, -2) > 0) {
    lua_rawset(L, table);
    return;
  }
  if (has_table && (lua_istable(L, -1) || lua_isnil(L, -1)))
    lua_setmetatable(L, table);
  else
    lua_pop(L, 1);
  lua_pop(L, 1);
}

static void remove_library_fields(lua_State *L, int tables, int list) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, list) / 2;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_pushnil(L);
    set_field_of(L, tables, list, i);
  }
}

/*
** What can't be made here
*/

static int raise_not_made(lua_State *L) {
  return lt_raise(L, &lt_RuntimeError, "%s", lua_tostring(L, lua_upvalueindex(1)));
}

/* The error, on the top, becomes what raises it, for whoever calls what is missing, or looks into it. */
static void make_missing(lua_State *L, int list, lua_Integer i, bool is_function) {
  lua_rawgeti(L, list, 2 * i);
  lt_error_text_push(L, -2);
  lua_pushfstring(L, "the thread's '%s' could not be made from that of its starter: %s",
                  lua_tostring(L, -2), lua_tostring(L, -1));
  lua_pushcclosure(L, raise_not_made, 1);
  if (!is_function) {
    lua_createtable(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__call");
    lua_setmetatable(L, -2);
    lua_replace(L, -2);
  }
  lua_replace(L, -4);
  lua_pop(L, 2);
}

/* Whether the error on the top is of the thread, and not of what is made. */
static bool is_of_thread(lua_State *L) {
  return lt_ends_thread(L, -1) || lua_type(L, -1) == LUA_TSTRING;
}

/* Pushes the value, or what stands for it. */
static void push_single(lua_State *L, int list, const SingleValue *single) {
  if (lt_try_unpack(L, single->message, LT_KEEP_GLOBALS) == LUA_OK)
    return;
  if (is_of_thread(L))
    lt_throw(L);
  make_missing(L, list, single->first, single->is_function);
}

/* None is set before all are made: a module that is loaded meanwhile finds none of them. */
static void replace_one_by_one(lua_State *L, int tables, int list, const Plan *plan) {
  lua_createtable(L, (int)plan->single_count, 0);
  int made = lua_gettop(L);
  for (lua_Integer i = 1; i <= plan->single_count; i++) {
    const SingleValue *single = &plan->single[i - 1];
    if (single->first == i)
      push_single(L, list, single);
    else
      lua_rawgeti(L, made, single->first);
    lua_rawseti(L, made, i);
  }
  for (lua_Integer i = 1; i <= plan->single_count; i++) {
    lua_rawgeti(L, made, i);
    set_field_of(L, tables, list, i);
  }
  lua_settop(L, made - 1);
}

/* What can't be made here, for want of a module, is told by what stands in its place. */
static void replace_fields(lua_State *L, int tables, int list, const Plan *plan) {
  remove_library_fields(L, tables, list);
  int top = lua_gettop(L);
  if (lt_try_unpack(L, plan->values, LT_KEEP_GLOBALS) != LUA_OK) {
    if (is_of_thread(L))
      lt_throw(L);
    lua_settop(L, top);
    replace_one_by_one(L, tables, list, plan);
    return;
  }
  int count = lua_gettop(L) - top;
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, top + i);
    set_field_of(L, tables, list, i);
  }
  lua_settop(L, top);
}

/* They lose their metatable. */
static void remove_strings(lua_State *L) {
  lua_pushliteral(L, "");
  lua_pushnil(L);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

void lt_inherited_libraries_apply(lua_State *L, lt_Object *libraries) {
  if (libraries == NULL)
    return;
  const Plan *plan = (const Plan *)libraries;
  lt_check_stack(L, LT_STOCK_PLACES + PLAN_PARTS + 20);
  int top = lua_gettop(L);
  int parts = top + 1;
  int tables = parts + PLAN_PARTS;
  lt_unpack(L, plan->message, LT_KEEP_GLOBALS);
  for (int place = 0; place < LT_STOCK_PLACES; place++)
    lt_stock_push(L, place);
  if (lua_toboolean(L, parts + PLAN_HAS_PACKAGE))
    lt_hidden_functions_keep(L);
  remove_library_fields(L, tables, parts + PLAN_REMOVED);
  if (lua_istable(L, parts + PLAN_SEARCHERS) && lua_istable(L, tables + LT_STOCK_LIBRARIES))
    lt_inherited_searchers_set(L, tables + LT_STOCK_LIBRARIES, parts + PLAN_SEARCHERS);
  if (!lua_toboolean(L, parts + PLAN_HAS_STRINGS))
    remove_strings(L);
  replace_fields(L, tables, parts + PLAN_REPLACED, plan);
  lua_settop(L, top);
}
