/*
** Refusals: they name the path to the value, from the values that lie on the Lua stack.
*/
#include "src/transfer/packer.h"

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/object/printable.h"

enum { SHOWN_FRAMES = 12 };

/* Of what a rule has returned: it lies first itself, then the function, then the arguments. */
static void push_ruled_step(lua_State *L, int position) {
  if (position == 1)
    lua_pushliteral(L, "'s transfer rule");
  else if (position == 2)
    lua_pushliteral(L, "'s transfer function");
  else
    lua_pushfstring(L, "'s transfer argument %d", position - 2);
}

static void push_step(lua_State *L, const lt_PackFrame *frame) {
  switch (frame->phase) {
  case LT_PACK_METATABLE:
  case LT_PACK_FIRST:
    lua_pushliteral(L, "'s metatable");
    break;
  case LT_PACK_KEY:
    lua_pushliteral(L, "'s key ");
    lt_printable_push_key(L, frame->base + 1);
    lua_concat(L, 2);
    break;
  case LT_PACK_CONTENT:
    lt_printable_push_key(L, frame->base + 1);
    break;
  case LT_PACK_UPVALUE: {
    const char *name = lua_getupvalue(L, frame->base, frame->position);
    lua_pop(L, 1);
    lua_pushliteral(L, "'s upvalue ");
    lt_printable_push(L, name, strlen(name));
    lua_concat(L, 2);
    break;
  }
  case LT_PACK_NAME: {
    size_t length;
    lua_pushliteral(L, "'s global ");
    lt_packer_push_global_name(L, frame);
    const char *name = lua_tolstring(L, -1, &length);
    lt_printable_push(L, name, length);
    lua_remove(L, -2);
    lua_concat(L, 2);
    break;
  }
  case LT_PACK_RULED:
    push_ruled_step(L, frame->position - 1);
    break;
  }
}

static void refusal_push_path(lua_State *L, lt_Packer *packer) {
  size_t first = packer->depth > SHOWN_FRAMES ? packer->depth - SHOWN_FRAMES : 0;
  if (packer->module != 0)
    lt_pack_push_field_path(L, packer);
  else if (packer->describe != NULL)
    packer->describe(L, packer->first + packer->root);
  else
    lua_pushliteral(L, "value");
  if (first > 0) {
    lua_pushliteral(L, "...");
    lua_concat(L, 2);
  }
  for (size_t i = first; i < packer->depth; i++) {
    push_step(L, &packer->frames[i]);
    lua_concat(L, 2);
  }
}

/* Whether it could be left behind, because only a global leads there. */
static bool goes_by_global(const lt_Packer *packer) {
  for (size_t i = 0; i < packer->depth && packer->may_choose; i++)
    if (packer->frames[i].phase == LT_PACK_NAME)
      return true;
  return false;
}

_Noreturn void lt_pack_refuse_advised(lua_State *L, lt_Packer *packer, lt_Class *class_object,
                                      const char *what, const char *advice) {
  lt_check_stack(L, 12);
  lt_quiet_hold(L, &packer->quiet);
  lua_pushfstring(L, "cannot transfer %s (", what);
  refusal_push_path(L, packer);
  lua_pushfstring(L, advice[0] == '\0' ? ")" : "); %s", advice);
  lua_pushstring(L, goes_by_global(packer)
                        ? "; {globals = false} takes no globals along, {globals = {\"name\"}} only "
                          "those of a list"
                        : "");
  lua_concat(L, 4);
  packer->refusal = class_object;
  lt_throw(L);
}

bool lt_pack_leave_out(lua_State *L, lt_Packer *packer) {
  const lt_PackFrame *frame = packer->depth == 0 ? NULL : &packer->frames[packer->depth - 1];
  bool is_field = frame == NULL
                      ? packer->module != 0
                      : !frame->is_function && !frame->is_ruled && frame->phase == LT_PACK_CONTENT;
  if (!packer->leaves_out || !is_field)
    return false;
  lt_packer_write_tag(L, packer, (lt_Tag)LT_SCALAR_NIL);
  lua_pop(L, 1);
  return true;
}

_Noreturn void lt_pack_refuse(lua_State *L, lt_Packer *packer, const char *what) {
  lt_pack_refuse_advised(L, packer, &lt_TypeError, what, "");
}

_Noreturn void lt_pack_refuse_depth(lua_State *L, lt_Packer *packer) {
  lt_check_stack(L, 12);
  lt_quiet_hold(L, &packer->quiet);
  lt_pack_refuse(L, packer,
                 lua_pushfstring(L, "a value that is nested more than %I levels deep",
                                 (lua_Integer)packer->depth));
}
