/*
** What a table's metatable has to say. An object that gives something back in __gc or __close owns
** it: a copy would give it back a second time.
*/
#include "src/transfer/packer.h"

/* Whether the metatable at 'metatable' has something under the name, other than false. */
static bool has_field(lua_State *L, int metatable, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, metatable);
  bool found = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return found;
}

/* It is told by the path of the table itself. */
static _Noreturn void refuse_owner(lua_State *L, lt_Packer *packer, const char *field) {
  packer->depth--;
  lt_pack_refuse_advised(
      L, packer, lua_pushfstring(L, "a table whose metatable has %s", field),
      "what it owns would be given back twice; _thread.register_transfer says how it crosses, "
      "_thread.per_thread makes one in each thread");
}

void lt_pack_rule_apply(lua_State *L, lt_Packer *packer, const lt_PackFrame *frame) {
  int metatable = lua_gettop(L);
  const void *address = lua_topointer(L, metatable);
  (void)frame;
  if (packer->copied == address && packer->anchors == 0) /* no code runs that could change it */
    return;
  if (has_field(L, metatable, "__gc"))
    refuse_owner(L, packer, "__gc");
  if (has_field(L, metatable, "__close"))
    refuse_owner(L, packer, "__close");
  packer->copied = address;
}
