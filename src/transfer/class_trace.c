/*
** A trace is a list of words, in the order in which the walk comes by: the tables and functions
** that belong to the class, one after the other, beginning with the class itself. What the words
** stand for is kept by the trace: so an address stays that of its value.
*/
#include "src/transfer/class_trace.h"

#include <string.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"

/* What a word is besides a type of Lua. */
enum { WORD_END = LUA_NUMTYPES, WORD_FLOAT, WORD_UPVALUE };

typedef struct Word {
  int type;
  union {
    uint64_t bits;
    const void *address;
    lua_Integer integer;
    lua_Number number;
  } as;
} Word;

/* A userdata, and its user values. */
typedef struct Trace {
  size_t count;
  size_t capacity;
  Word *words;
} Trace;

/* User values of a trace. TRACE_MET has all that the words stand for, each as a key. */
enum { TRACE_WORDS = 1, TRACE_NODES, TRACE_MET, TRACE_USER_VALUES = LT_TRACE_VARIABLES };

enum { FIRST_WORDS = 32 };

/* A walk, and where things lie on the Lua stack while it lasts. */
typedef struct Walk {
  lt_Packer *packer;
  Trace *trace;
  bool makes_trace;
  bool differs;
  size_t position; /* of the next word */
  int base;
} Walk;

enum {
  WALK_TRACE = 1,
  WALK_NODES = TRACE_NODES,
  WALK_MET = TRACE_MET,
  WALK_OTHERS = LT_TRACE_OTHERS,
  WALK_VARIABLES = LT_TRACE_VARIABLES,
  WALK_LEAVES /* none of these: met is all that they are */
};

static Word word_at(lua_State *L, int index) {
  Word word;
  memset(&word, 0, sizeof(word));
  word.type = lua_type(L, index);
  switch (word.type) {
  case LUA_TNIL:
    break;
  case LUA_TBOOLEAN:
    word.as.bits = (uint64_t)lua_toboolean(L, index);
    break;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      word.as.integer = lua_tointeger(L, index);
    } else {
      word.type = WORD_FLOAT;
      word.as.number = lua_tonumber(L, index);
    }
    break;
  default:
    word.as.address = lua_topointer(L, index);
  }
  return word;
}

static void make_room(lua_State *L, const Walk *walk) {
  Trace *trace = walk->trace;
  size_t capacity = trace->capacity == 0 ? FIRST_WORDS : trace->capacity * 2;
  Word *words = lua_newuserdatauv(L, capacity * sizeof(Word), 0);
  if (trace->count > 0)
    memcpy(words, trace->words, trace->count * sizeof(Word));
  lua_setiuservalue(L, walk->base + WALK_TRACE, TRACE_WORDS);
  trace->words = words;
  trace->capacity = capacity;
}

static void note_word(lua_State *L, Walk *walk, Word word) {
  Trace *trace = walk->trace;
  if (walk->makes_trace) {
    if (trace->count == trace->capacity)
      make_room(L, walk);
    trace->words[trace->count++] = word;
  } else if (walk->position == trace->count || trace->words[walk->position].type != word.type ||
             trace->words[walk->position].as.bits != word.as.bits) {
    walk->differs = true;
  }
  walk->position++;
}

static void note_mark(lua_State *L, Walk *walk, int type, int number) {
  Word word;
  memset(&word, 0, sizeof(word));
  word.type = type;
  word.as.bits = (uint64_t)number;
  note_word(L, walk, word);
}

/*
** Making a trace: what is met for the first time
*/

/* Pops the value. */
static void walk_append(lua_State *L, const Walk *walk, int list) {
  list += walk->base;
  if (lua_isnil(L, list)) {
    lua_newtable(L);
    lua_replace(L, list);
  }
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

static bool is_new(lua_State *L, const Walk *walk) {
  lua_pushvalue(L, -1);
  bool new = lua_rawget(L, walk->base + WALK_MET) == LUA_TNIL;
  lua_pop(L, 1);
  if (new) {
    lua_pushvalue(L, -1);
    lua_pushboolean(L, true);
    lua_rawset(L, walk->base + WALK_MET);
  }
  return new;
}

/* What has a name in a module is no part of the class. */
static bool belongs_to_module(lua_State *L) {
  lt_ModulePath path;
  return lt_packer_find_path(L, lua_topointer(L, -1), &path);
}

typedef enum Position { IN_TABLE, IN_METATABLE, IN_UPVALUE } Position;

static bool trace_is_class(lua_State *L, Position position) {
  const lt_ClassRecord *record = lt_class_record_find(L, -1);
  return position == IN_METATABLE || (record != NULL && !record->is_variable) ||
         lt_class_is_like_one(L, -1);
}

/* Where the table on the top goes, of those lists of the trace. */
static int list_of_table(lua_State *L, Position position) {
  if (lt_class_of_metatable(L, -1) != NULL || belongs_to_module(L))
    return WALK_LEAVES;
  if (trace_is_class(L, position))
    return WALK_OTHERS;
  return position == IN_UPVALUE ? WALK_VARIABLES : WALK_NODES;
}

static int list_of(lua_State *L, Position position) {
  int type = lua_type(L, -1);
  if (type == LUA_TTABLE)
    return list_of_table(L, position);
  return type == LUA_TFUNCTION && !lua_iscfunction(L, -1) && !belongs_to_module(L) ? WALK_NODES
                                                                                   : WALK_LEAVES;
}

/* What the message has already must be looked at again: see pack_object_data.c. */
static void enter_variable(lua_State *L, const Walk *walk) {
  if (lt_class_record_find(L, -1) == NULL) {
    lt_class_record_make_variable(L, -1);
    walk->packer->starts_over = walk->packer->starts_over || walk->packer->whole_classes;
  }
  lua_pushvalue(L, -1);
  walk_append(L, walk, WALK_VARIABLES);
}

static void enter_other(lua_State *L, const Walk *walk) {
  lt_class_record_ensure(L, -1)->is_variable = false;
  lt_class_record_push(L, -1);
  walk_append(L, walk, WALK_OTHERS);
}

static void enter(lua_State *L, const Walk *walk, Position position) {
  if (!is_new(L, walk))
    return;
  int list = list_of(L, position);
  if (list == WALK_OTHERS) {
    enter_other(L, walk);
  } else if (list == WALK_VARIABLES) {
    enter_variable(L, walk);
  } else if (list == WALK_NODES) {
    lua_pushvalue(L, -1);
    walk_append(L, walk, list);
  }
}

/* Notes the value on the top. */
static void note(lua_State *L, Walk *walk, Position position) {
  Word word = word_at(L, -1);
  note_word(L, walk, word);
  if (walk->makes_trace && word.type >= LUA_TSTRING && word.type < LUA_NUMTYPES)
    enter(L, walk, position);
}

/*
** The walk
*/

static void walk_table(lua_State *L, Walk *walk) {
  if (lua_getmetatable(L, -1)) {
    note(L, walk, IN_METATABLE);
    lua_pop(L, 1);
  }
  int table = lua_gettop(L);
  lua_pushnil(L);
  while (!walk->differs && lua_next(L, table)) {
    note(L, walk, IN_TABLE);
    lua_pop(L, 1);
    note(L, walk, IN_TABLE);
  }
  note_mark(L, walk, WORD_END, 0);
  lua_settop(L, table);
}

/* The code of the function on the top, which the state keeps; NULL: packing must start over. */
static const lt_Bytecode *code_of(lua_State *L, lt_Packer *packer) {
  int function = lua_gettop(L);
  lt_UpvalueSet globals;
  lt_pack_environment_find(L, packer, function, &globals);
  if (packer->starts_over)
    return NULL;
  const lt_Bytecode *code = lt_bytecode_find(L, function, &globals);
  uint32_t reference;
  return code != NULL ? code : lt_pack_new_code(L, packer, function, &globals, &reference);
}

static void trace_function(lua_State *L, Walk *walk) {
  const lt_Bytecode *code = code_of(L, walk->packer);
  if (code == NULL)
    return;
  for (int i = 1; lua_getupvalue(L, -1, i) != NULL; i++) {
    if (!lt_upvalue_set_has(&code->globals, i) && !lt_bytecode_assigns(code, i)) {
      note_mark(L, walk, WORD_UPVALUE, i);
      note(L, walk, IN_UPVALUE);
    }
    lua_pop(L, 1);
  }
  note_mark(L, walk, WORD_END, 0);
}

static void compare_function(lua_State *L, Walk *walk) {
  const Trace *trace = walk->trace;
  while (!walk->differs && trace->words[walk->position].type == WORD_UPVALUE) {
    lua_getupvalue(L, -1, (int)trace->words[walk->position++].as.bits);
    note(L, walk, IN_UPVALUE);
    lua_pop(L, 1);
  }
  walk->position++; /* the end */
}

static void walk_class(lua_State *L, Walk *walk) {
  int nodes = walk->base + WALK_NODES;
  for (lua_Integer i = 1; !walk->differs && !walk->packer->starts_over; i++) {
    int type = lua_rawgeti(L, nodes, i);
    if (type == LUA_TTABLE)
      walk_table(L, walk);
    else if (type == LUA_TFUNCTION && walk->makes_trace)
      trace_function(L, walk);
    else if (type == LUA_TFUNCTION)
      compare_function(L, walk);
    lua_pop(L, 1);
    if (type == LUA_TNIL)
      break;
  }
}

/*
** Traces
*/

/* The record is on the top. */
static void make_trace(lua_State *L, lt_Packer *packer) {
  int record = lua_gettop(L);
  Walk walk = {.packer = packer, .makes_trace = true, .base = record};
  walk.trace = lua_newuserdatauv(L, sizeof(Trace), TRACE_USER_VALUES);
  memset(walk.trace, 0, sizeof(Trace));
  lua_createtable(L, 4, 0);
  lua_createtable(L, 0, 16);
  lua_settop(L, record + TRACE_USER_VALUES);
  lua_getiuservalue(L, record, LT_RECORD_CLASS);
  is_new(L, &walk);
  walk_append(L, &walk, WALK_NODES);
  walk_class(L, &walk);
  if (!packer->starts_over) {
    for (int i = TRACE_NODES; i <= TRACE_USER_VALUES; i++) {
      lua_pushvalue(L, record + i);
      lua_setiuservalue(L, record + WALK_TRACE, i);
    }
    lua_pushvalue(L, record + WALK_TRACE);
    lua_setiuservalue(L, record, LT_RECORD_TRACE);
  }
  lua_settop(L, record);
}

/* The record is on the top. */
static bool class_has_changed(lua_State *L, lt_Packer *packer) {
  int record = lua_gettop(L);
  Walk walk = {.packer = packer, .base = record};
  lua_getiuservalue(L, record, LT_RECORD_TRACE);
  walk.trace = lua_touserdata(L, -1);
  lua_getiuservalue(L, -1, TRACE_NODES);
  walk_class(L, &walk);
  lua_settop(L, record);
  return walk.differs;
}

/* The record is on the top. */
static void verify(lua_State *L, lt_Packer *packer, lt_ClassRecord *record) {
  bool is_made = lua_getiuservalue(L, -1, LT_RECORD_TRACE) != LUA_TNIL;
  lua_pop(L, 1);
  if (is_made) {
    if (!class_has_changed(L, packer))
      return;
    lua_pushnil(L);
    lua_setiuservalue(L, -2, LT_RECORD_TRACE);
    if (record->is_home)
      record->version++;
  }
  record->changed_at = lt_class_next_number();
  make_trace(L, packer);
}

lt_ClassRecord *lt_class_trace_verify(lua_State *L, lt_Packer *packer) {
  lt_ClassRecord *record = lua_touserdata(L, -1);
  if (record->verified_in != packer->number) {
    lt_check_stack(L, 24);
    verify(L, packer, record);
    if (!packer->starts_over)
      record->verified_in = packer->number;
  }
  return record;
}

void lt_class_trace_push(lua_State *L, int index, lt_TraceList list) {
  lua_getiuservalue(L, index, LT_RECORD_TRACE);
  lua_getiuservalue(L, -1, (int)list);
  lua_remove(L, -2);
}
