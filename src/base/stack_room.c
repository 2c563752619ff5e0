#include "src/base/stack_room.h"

#include <stddef.h>
#include <stdlib.h>

#include <lauxlib.h>

typedef struct Watch {
  lua_Alloc allocate; /* the state's own allocator */
  void *allocator;
  bool memory_was_short;
} Watch;

static void *allocate_watched(void *context, void *block, size_t old_size, size_t new_size) {
  Watch *watch = context;
  void *result = watch->allocate(watch->allocator, block, old_size, new_size);
  if (result == NULL && new_size > 0)
    watch->memory_was_short = true;
  return result;
}

/* The message may need memory, too: then Lua raises what it keeps for that. */
static _Noreturn void raise_message(lua_State *L, const char *message) {
  lua_pushstring(L, message);
  lua_error(L);
  abort();
}

/*
** Enlarging the stack runs no code of the state: a collection for want of memory runs no
** finalizer.
*/
bool lt_stack_room_retry(lua_State *L, int count) {
  Watch watch = {.memory_was_short = false};
  watch.allocate = lua_getallocf(L, &watch.allocator);
  lua_setallocf(L, allocate_watched, &watch);
  bool has_room = lua_checkstack(L, count);
  lua_setallocf(L, watch.allocate, watch.allocator);
  if (!has_room && watch.memory_was_short)
    raise_message(L, "not enough memory");
  return has_room;
}

void lt_stack_overflow(lua_State *L) {
  raise_message(L, "stack overflow (too many values)");
}
