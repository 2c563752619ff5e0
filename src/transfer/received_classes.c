/*
** A field of a class in which there is news is set where the state has not set it itself: it still
** holds what came the last time.
*/
#include "src/transfer/received_classes.h"

#include "src/base/stack_room.h"

/* What the list has for each class, one after the other; besides, by the known class, its content. */
enum { CONTENT = 1, KNOWN, CLASS_IDENTITY, VERSION, FIELDS_OF_CLASS = VERSION };

/* Instead of the version of a class. */
enum { IS_VARIABLE = 0 };

static bool tells_more(const lt_ClassRecord *record, const lt_ClassDefinition *definition) {
  return !record->is_home && definition->is_from_home && definition->made_at > record->heeded;
}

void lt_received_class_push(lua_State *L, lt_ClassDefinition *definition,
                            lt_ClassIdentity *identity) {
  lt_check_stack(L, LUA_MINSTACK);
  if (!lt_class_push_known(L, identity)) {
    lt_unpack(L, definition->message, LT_TAKE_GLOBALS);
  } else {
    const lt_ClassRecord *record = lt_class_record_find(L, -1);
    if (record == NULL || record->identity != identity || !tells_more(record, definition))
      return;
    lt_unpack(L, definition->message, LT_TAKE_GLOBALS);
    lua_pop(L, 1);
  }
  lt_ClassRecord *record = lt_class_record_find(L, -1);
  if (record != NULL && definition->is_from_home && definition->made_at > record->heeded)
    record->heeded = definition->made_at;
}

static void set_field(lua_State *L, int list, lua_Integer number, int field) {
  lua_rawseti(L, list, number * FIELDS_OF_CLASS + field);
}

static void push_field(lua_State *L, int list, lua_Integer number, int field) {
  lua_rawgeti(L, list, number * FIELDS_OF_CLASS + field);
}

/* Makes the list where there is none. Returns the number of the next class. */
static lua_Integer next_number(lua_State *L, int list) {
  lt_check_stack(L, LUA_MINSTACK);
  if (lua_isnil(L, list)) {
    lua_createtable(L, FIELDS_OF_CLASS, 1);
    lua_replace(L, list);
  }
  return (lua_Integer)lua_rawlen(L, list) / FIELDS_OF_CLASS;
}

/* Pops what is known. */
static void note_received(lua_State *L, int list, lua_Integer number, lt_ClassIdentity *identity,
                          uint64_t version) {
  lua_pushvalue(L, -2);
  set_field(L, list, number, CONTENT);
  set_field(L, list, number, KNOWN);
  lua_pushlightuserdata(L, identity);
  set_field(L, list, number, CLASS_IDENTITY);
  lua_pushinteger(L, (lua_Integer)version);
  set_field(L, list, number, VERSION);
}

lua_Integer lt_received_variable_note(lua_State *L, int list, lt_ClassIdentity *identity) {
  lua_Integer number = next_number(L, list);
  lua_pushboolean(L, false);
  note_received(L, list, number, identity, IS_VARIABLE);
  return number;
}

lua_Integer lt_received_class_begin(lua_State *L, int list, lt_ClassIdentity *identity,
                                    uint64_t version, bool *known) {
  lua_Integer number = next_number(L, list);
  int content = lua_gettop(L);
  *known = lt_class_push_known(L, identity);
  if (*known) {
    lua_pushvalue(L, -1);
    lua_pushvalue(L, content);
    lua_rawset(L, list);
  } else {
    lua_pushboolean(L, false);
  }
  note_received(L, list, number, identity, version);
  if (*known)
    push_field(L, list, number, KNOWN);
  return number;
}

void lt_received_class_push_known(lua_State *L, int list, lua_Integer number) {
  push_field(L, list, number, KNOWN);
}

void lt_received_class_take_content(lua_State *L, int list) {
  if (!lua_istable(L, list))
    return;
  lua_pushvalue(L, -1);
  lua_rawget(L, list);
  if (lua_istable(L, -1))
    lua_replace(L, -2);
  else
    lua_pop(L, 1);
}

/*
** News
*/

enum { NEWS_CONTENT = 1, NEWS_KNOWN, NEWS_RECEIVED };

/* Whether the state still has what came in the field whose key is on the top. */
static bool is_as_received(lua_State *L, int base) {
  lua_pushvalue(L, -1);
  lua_rawget(L, base + NEWS_KNOWN);
  lua_pushvalue(L, -2);
  lua_rawget(L, base + NEWS_RECEIVED);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* The key and the value on the top; they stay. */
static void set_both(lua_State *L, int base) {
  for (int i = NEWS_KNOWN; i <= NEWS_RECEIVED; i++) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, base + i);
  }
}

static void take_new_fields(lua_State *L, int base) {
  lua_pushnil(L);
  while (lua_next(L, base + NEWS_CONTENT)) {
    lua_pushvalue(L, -2);
    bool takes = is_as_received(L, base);
    lua_pop(L, 1);
    if (takes)
      set_both(L, base);
    lua_pop(L, 1);
  }
}

static void drop_old_fields(lua_State *L, int base) {
  lua_pushnil(L);
  while (lua_next(L, base + NEWS_RECEIVED)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    bool stays = lua_rawget(L, base + NEWS_CONTENT) != LUA_TNIL;
    lua_pop(L, 1);
    if (!stays && is_as_received(L, base)) {
      lua_pushnil(L);
      set_both(L, base);
      lua_pop(L, 1);
    }
  }
}

/* The metatable of a table, or nil. */
static void push_metatable(lua_State *L, int index) {
  if (!lua_getmetatable(L, index))
    lua_pushnil(L);
}

/* The record is on the top. */
static void take_new_metatable(lua_State *L, int base) {
  lua_getiuservalue(L, -1, LT_RECORD_RECEIVED_METATABLE);
  push_metatable(L, base + NEWS_KNOWN);
  bool takes = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!takes)
    return;
  push_metatable(L, base + NEWS_CONTENT);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, -3, LT_RECORD_RECEIVED_METATABLE);
  lua_setmetatable(L, base + NEWS_KNOWN);
}

/* The list of what came, on the top, is replaced by a table of its keys and values. */
static void make_received_table(lua_State *L) {
  int list = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  lua_createtable(L, 0, (int)(count / 2));
  for (lua_Integer i = 2; i <= count; i += 2) {
    lua_rawgeti(L, list, i - 1);
    lua_rawgeti(L, list, i);
    lua_rawset(L, -3);
  }
  lua_replace(L, list);
}

/* The content and what the state has are on the top; pops both. */
static void take_news(lua_State *L, const lt_ClassIdentity *identity, uint64_t version) {
  int base = lua_gettop(L) - NEWS_KNOWN;
  lt_ClassRecord *record = lt_class_record_find(L, -1);
  bool takes = record != NULL && !record->is_home && record->identity == identity &&
               version > record->version;
  lt_class_record_push(L, -1);
  if (!takes || lua_getiuservalue(L, -1, LT_RECORD_RECEIVED) != LUA_TTABLE) {
    lua_settop(L, base);
    return;
  }
  make_received_table(L);
  lua_insert(L, -2);
  take_new_fields(L, base);
  drop_old_fields(L, base);
  take_new_metatable(L, base);
  lt_class_record_set_received(L, base + NEWS_RECEIVED);
  record->version = version;
  lua_settop(L, base);
}

/*
** Whether what came, on the top, is not yet what this state has of the identity. A finalizer may have
** received the same class meanwhile: then the state has it twice, and keeps to what came now.
*/
static bool needs_record(lua_State *L, lt_ClassIdentity *identity, uint64_t version) {
  if (!lt_class_push_known(L, identity))
    return true;
  bool is_other = !lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return is_other && version != IS_VARIABLE;
}

void lt_received_class_settle(lua_State *L, int list, lua_Integer number) {
  lt_check_stack(L, LUA_MINSTACK);
  push_field(L, list, number, CLASS_IDENTITY);
  lt_ClassIdentity *identity = lua_touserdata(L, -1);
  push_field(L, list, number, VERSION);
  uint64_t version = (uint64_t)lua_tointeger(L, -1);
  lua_pop(L, 2);
  push_field(L, list, number, CONTENT);
  push_field(L, list, number, KNOWN);
  if (lua_istable(L, -1)) {
    take_news(L, identity, version);
    return;
  }
  lua_pop(L, 1);
  if (needs_record(L, identity, version)) {
    if (version == IS_VARIABLE)
      lt_class_record_receive_variable(L, -1, identity);
    else
      lt_class_record_receive(L, -1, identity, version);
  }
  lua_pop(L, 1);
}

/* Whether the news in the content, which is at 'content', are in the class at 'known'. */
static bool has_taken(lua_State *L, int list, int known, int content) {
  const lt_ClassRecord *record = lt_class_record_find(L, known);
  if (record == NULL || record->is_home)
    return false;
  lua_Integer count = lt_received_classes_count(L, list);
  for (lua_Integer i = 0; i < count; i++) {
    push_field(L, list, i, CONTENT);
    push_field(L, list, i, CLASS_IDENTITY);
    push_field(L, list, i, VERSION);
    bool taken = lua_rawequal(L, -3, content) && lua_touserdata(L, -2) == record->identity &&
                 (uint64_t)lua_tointeger(L, -1) == record->version;
    lua_pop(L, 3);
    if (taken)
      return true;
  }
  return false;
}

/* Whether the list of what came, on the top, has the key at 'key'. */
static bool came_before(lua_State *L, int key) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  bool came = false;
  for (lua_Integer i = 1; i < count && !came; i += 2) {
    lua_rawgeti(L, -1, i);
    came = lua_rawequal(L, -1, key);
    lua_pop(L, 1);
  }
  return came;
}

/* The field at 'key' and behind it has come with the class at 'known'. */
static void add_received(lua_State *L, int known, int key) {
  lt_class_record_push(L, known);
  if (lua_getiuservalue(L, -1, LT_RECORD_RECEIVED) == LUA_TTABLE && !came_before(L, key)) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    lua_pushvalue(L, key);
    lua_rawseti(L, -2, count + 1);
    lua_pushvalue(L, key + 1);
    lua_rawseti(L, -2, count + 2);
    lua_pushvalue(L, key);
    if (lua_rawget(L, known) == LUA_TNIL) {
      lua_pushvalue(L, key);
      lua_pushvalue(L, key + 1);
      lua_rawset(L, known);
    }
  }
  lua_settop(L, key + 1);
}

void lt_received_class_add_field(lua_State *L, int list) {
  int key = lua_gettop(L) - 1, known = key - 1;
  lt_check_stack(L, LUA_MINSTACK);
  lua_pushvalue(L, known);
  lt_received_class_take_content(L, list);
  int content = key + 2;
  lua_pushvalue(L, key);
  lua_pushvalue(L, key + 1);
  lua_rawset(L, content);
  if (lua_istable(L, list) && has_taken(L, list, known, content)) {
    lua_settop(L, key + 1);
    add_received(L, known, key);
  }
  lua_settop(L, known - 1);
}

lua_Integer lt_received_classes_count(lua_State *L, int list) {
  return lua_istable(L, list) ? (lua_Integer)lua_rawlen(L, list) / FIELDS_OF_CLASS : 0;
}

void lt_received_classes_settle(lua_State *L, int list) {
  lua_Integer count = lt_received_classes_count(L, list);
  for (lua_Integer i = 0; i < count; i++)
    lt_received_class_settle(L, list, i);
}

/*
** What variables hold for objects
*/

enum { DATUM_IDENTITY = 1, DATUM_OBJECT, DATUM_VALUE, FIELDS_OF_DATUM = DATUM_VALUE };

void lt_received_object_datum_note(lua_State *L, int list) {
  if (lua_isnil(L, list)) {
    lua_newtable(L);
    lua_replace(L, list);
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (int field = FIELDS_OF_DATUM; field > 0; field--)
    lua_rawseti(L, list, count + field);
}

/* The variable, the object and the value are on the top. */
static void set_datum(lua_State *L) {
  lua_pushvalue(L, -2);
  bool is_new = lua_rawget(L, -4) == LUA_TNIL;
  lua_pop(L, 1);
  if (is_new)
    lua_rawset(L, -3);
}

void lt_received_object_data_settle(lua_State *L, int list) {
  if (!lua_istable(L, list))
    return;
  lt_check_stack(L, LUA_MINSTACK);
  int top = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  for (lua_Integer i = 0; i < count; i += FIELDS_OF_DATUM) {
    lua_rawgeti(L, list, i + DATUM_IDENTITY);
    if (lt_class_push_known(L, lua_touserdata(L, -1))) {
      lua_rawgeti(L, list, i + DATUM_OBJECT);
      lua_rawgeti(L, list, i + DATUM_VALUE);
      set_datum(L);
    }
    lua_settop(L, top);
  }
}
