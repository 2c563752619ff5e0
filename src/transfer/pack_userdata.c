/*
** Userdata: by a rule in Lua, or else by one in C, of which the message gets a token.
**
** What a token refers to stands among the references of the message, behind the token that has it,
** which alone gives it back: so the collector asks no code of others.
*/
#include "src/transfer/packer.h"

#include "src/object/exception.h"
#include "src/transfer/c_rules.h"

/* LuaSocket's have names such as tcp{client}. */
static bool is_socket_kind(const char *kind) {
  return strncmp(kind, "a tcp{", 6) == 0 || strncmp(kind, "a udp{", 6) == 0 ||
         strncmp(kind, "a unix", 6) == 0;
}

static _Noreturn void refuse_userdata(lua_State *L, lt_Packer *packer, int userdata) {
  const char *kind = lt_pack_push_kind(L, userdata);
  lt_pack_refuse_advised(L, packer, &lt_TypeError, kind,
                         is_socket_kind(kind) ? "require \"lthread.transfer.socket\" makes it cross"
                                              : "_thread.register_transfer says how it crosses, "
                                                "_thread.per_thread makes one in each thread");
}

static void check_full_rule(lua_State *L, lt_Packer *packer, const lthread_Transfer2 *rule) {
  const char *complaint = lt_c_rule_complaint(rule);
  if (complaint == NULL)
    return;
  const char *kind = lt_pack_push_kind(L, lua_gettop(L));
  lt_pack_refuse_advised(
      L, packer, &lt_TypeError, kind,
      lua_pushfstring(L, complaint, lt_c_rule_size(rule), lt_c_rule_least_size()));
}

static void discard_nothing(void *target) {
  (void)target;
}

const lthread_Transfer lt_pack_of_token = {NULL, NULL, discard_nothing};

static void count_visit(void *visitor, lthread_Object *object) {
  (void)object;
  ++*(size_t *)visitor;
}

typedef struct TokenVisit {
  lt_Packer *packer;
  size_t left;
} TokenVisit;

static void note_visit(void *visitor, lthread_Object *object) {
  TokenVisit *visit = visitor;
  if (visit->left > 0 && object != NULL)
    lt_packer_add_reference(visit->packer, &lt_pack_of_token, object);
  visit->left -= visit->left > 0;
}

/* Room is made between two walks, so that nothing is raised in the midst of one. */
static void add_what_token_has(lua_State *L, lt_Packer *packer, const lthread_Transfer2 *rule,
                               void *token) {
  size_t count = 0;
  rule->traverse(token, count_visit, &count);
  lt_packer_reserve_references(L, packer, count);
  TokenVisit visit = {packer, count};
  rule->traverse(token, note_visit, &visit);
}

void lt_pack_userdata(lua_State *L, lt_Packer *packer) {
  if (lt_pack_rule_for_userdata(L, packer))
    return;
  int userdata = lua_gettop(L);
  lt_CRule rule;
  if (!lt_c_rule_find(L, userdata, &rule)) {
    if (lt_pack_leave_out(L, packer))
      return;
    refuse_userdata(L, packer, userdata);
  }
  if (rule.full != NULL)
    check_full_rule(L, packer, rule.full);
  if (packer->anchors == 0) {
    lt_packer_demand_anchors(packer);
    lua_pop(L, 1);
    return;
  }
  lt_packer_write_tag(L, packer, rule.full != NULL ? LT_TAG_FULL_USERDATA : LT_TAG_USERDATA);
  lt_packer_add_node(L, packer, lua_topointer(L, userdata), false);
  lt_packer_reserve_reference(L, packer);
  packer->moves = packer->moves || rule.functions == &lt_message_move->rule;
  void *token = rule.functions->send(L, userdata);
  uint32_t reference = lt_packer_add_reference(packer, rule.functions, token);
  if (rule.full != NULL && lt_c_rule_traverses(rule.full))
    add_what_token_has(L, packer, rule.full, token);
  lt_packer_write(L, packer, &reference, sizeof(reference));
  lua_settop(L, userdata - 1);
}
