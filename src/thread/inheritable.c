#include "src/thread/inheritable.h"

#include <string.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/transfer/message.h"

static int try_pack(lua_State *L) {
  lt_message_free(lt_pack(L, 1, LT_COPY_STRINGS, NULL));
  return 0;
}

bool lt_inheritable(lua_State *L) {
  lt_check_stack(L, 4);
  lua_pushcfunction(L, try_pack);
  lua_pushvalue(L, -2);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return true;
  if (lt_ends_thread(L, -1) || lt_is_want_of_memory(L, -1))
    lt_throw(L);
  lua_pop(L, 1);
  return false;
}
