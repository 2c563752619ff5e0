/*
** Shared state: 'state' of a string is one of these.
**
**   OWN        its bytes are in 'own'. Its owner, who sends or receives it, frees it.
**   LENT       its bytes are in the lender's state. Its owner pins it or says that it is over.
**   PINNED     (and numbers above) its owner is copy the bytes. Nobody else changes the state.
**   OVER       it has no owner any more. The lender frees it.
**
** The owner makes LENT PINNED, PINNED LENT, and LENT OVER. The lender, when it closes, writes 'own'
** and then makes LENT OWN. Each change releases, and who reads the state acquires: what was read
** before a change is done with then, and what was written before it is seen. All else in a string
** is written before it is shared.
**
** The lender, its list, and the table of anchors that keeps what was lent are for the state's own
** thread only. A finalizer that runs within a call of Lua may change the list.
*/
#include "src/state/lent_string.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/object/object.h"
#include "src/state/quiet_call.h"

enum { OWN, LENT, OVER, PINNED };

/* A shorter one is copied twice in no more time than it takes to lend it. */
#define LEAST_LENT ((size_t)32 * 1024)

static const char anchors_key;

/*
** A pin counts only in the process where it was made: in the child of a fork its thread is not
** there. Written in the child, where there is no other thread.
*/
static unsigned forks;

void lt_lent_strings_after_fork(void) {
  forks++;
}

static unsigned pinned(void) {
  return PINNED + forks;
}

/*
** What is lent
*/

static lt_LentString *take_oldest(lt_Lender *lender) {
  lt_LentString *oldest = lender->newest->next;
  if (oldest == lender->newest)
    lender->newest = NULL;
  else
    lender->newest->next = oldest->next;
  lender->count--;
  return oldest;
}

static void append(lt_Lender *lender, lt_LentString *string) {
  if (lender->newest == NULL) {
    string->next = string;
  } else {
    string->next = lender->newest->next;
    lender->newest->next = string;
  }
  lender->newest = string;
  lender->count++;
}

/* Looks at the oldest ones, so many: those that are over go, the others are the newest then. */
static void look_at_oldest(lua_State *L, lt_Lender *lender, size_t count) {
  lt_push_registered(L, &anchors_key, NULL);
  for (; count > 0 && lender->newest != NULL; count--) {
    lt_LentString *oldest = lender->newest->next;
    if (atomic_load_explicit(&oldest->state, memory_order_acquire) == OVER) {
      luaL_unref(L, -1, oldest->anchor);
      free(take_oldest(lender));
    } else {
      lender->newest = oldest;
    }
  }
  lua_pop(L, 1);
}

static lt_Lender *lender_of(lua_State *L) {
  lt_context_push(L);
  lt_Lender *lender = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return lender != NULL && !lender->closed ? lender : NULL;
}

static void watch(lua_State *L, lt_Lender *lender);

/* After each collection, so that what is over does not stay in a state that lends no more. */
static int look_at_all(lua_State *L) {
  lt_Lender *lender = lender_of(L);
  if (lender == NULL)
    return 0;
  lender->watched = false;
  look_at_oldest(L, lender, lender->count);
  if (lender->newest != NULL)
    watch(L, lender);
  return 0;
}

/*
** Makes a userdata that nobody refers to: each collection finds it and calls its __gc. Its successor
** is a new one: the collector soon takes an old one for what it need not look at.
*/
static void watch(lua_State *L, lt_Lender *lender) {
  lt_check_stack(L, 4);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, look_at_all);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  lender->watched = true;
}

/*
** Making
*/

static lt_LentString *lend(lua_State *L, int index, lt_Lender *lender) {
  index = lua_absindex(L, index);
  lt_check_stack(L, 8);
  look_at_oldest(L, lender, 2); /* one that comes, at most two that go: they don't pile up */
  if (!lender->watched)
    watch(L, lender);
  lt_push_registered(L, &anchors_key, NULL);
  lua_pushvalue(L, index);
  int anchor = luaL_ref(L, -2);
  lt_LentString *string = malloc(sizeof(*string));
  if (string == NULL) {
    luaL_unref(L, -1, anchor);
    lt_raise_memory(L);
  }
  lua_pop(L, 1);
  string->own = NULL;
  string->lent = lua_tolstring(L, index, &string->length);
  string->anchor = anchor;
  atomic_init(&string->state, LENT);
  append(lender, string);
  return string;
}

lt_LentString *lt_lent_string_new(lua_State *L, int index, lt_StringsRule strings) {
  size_t length;
  const char *bytes = lua_tolstring(L, index, &length);
  lt_Lender *lender = strings == LT_LEND_STRINGS && length >= LEAST_LENT ? lender_of(L) : NULL;
  if (lender != NULL)
    return lend(L, index, lender);
  lt_LentString *string = malloc(sizeof(*string) + length);
  if (string == NULL)
    lt_raise_memory(L);
  string->length = length;
  string->own = string->bytes;
  atomic_init(&string->state, OWN);
  memcpy(string->bytes, bytes, length);
  return string;
}

/*
** Receiving
*/

/* False: it has its own bytes. */
static bool pin(lt_LentString *string) {
  unsigned state = LENT;
  /* Acquire: if it has its own bytes, they are seen. */
  return atomic_compare_exchange_strong_explicit(&string->state, &state, pinned(),
                                                 memory_order_acquire, memory_order_acquire);
}

static void unpin(lt_LentString *string) {
  /* Release: the bytes have been read. */
  atomic_store_explicit(&string->state, LENT, memory_order_release);
  lt_unpark_all(&string->state);
}

static void push_own_copy(lua_State *L, const lt_LentString *string) {
  if (string->own == NULL)
    lt_raise_memory(L);
  lua_pushlstring(L, string->own, string->length);
}

typedef struct PinnedCopy {
  lt_LentString *string;
  lt_QuietCall quiet;
} PinnedCopy;

/*
** A hook that is called with this function comes before the pin, or after it; a finalizer does not
** come at all.
*/
static int lent_push_protected(lua_State *L) {
  PinnedCopy *copy = lua_touserdata(L, 1);
  lt_LentString *string = copy->string;
  lt_quiet_hold(L, &copy->quiet);
  if (pin(string)) {
    lua_pushlstring(L, string->lent, string->length);
    unpin(string);
  } else {
    push_own_copy(L, string);
  }
  return 1;
}

void lt_lent_string_push(lua_State *L, lt_LentString *string) {
  PinnedCopy copy = {.string = string};
  if (atomic_load_explicit(&string->state, memory_order_acquire) == OWN) {
    push_own_copy(L, string);
    return;
  }
  lt_check_stack(L, 2);
  if (lt_quiet_call(L, &copy.quiet, lent_push_protected, &copy, 0, 1) == LUA_OK)
    return;
  if (atomic_load_explicit(&string->state, memory_order_relaxed) == pinned())
    unpin(string); /* there was no memory */
  lua_error(L);
}

void lt_lent_string_free(void *target) {
  lt_LentString *string = target;
  /* Both: it is not used any more here, and what the lender has written is seen. */
  if (atomic_exchange_explicit(&string->state, OVER, memory_order_acq_rel) != OWN)
    return;
  if (string->own != string->bytes)
    free(string->own);
  free(string);
}

/*
** Calling back
*/

static bool is_pinned(void *context) {
  const lt_LentString *string = context;
  return atomic_load_explicit(&string->state, memory_order_acquire) == pinned();
}

/* Whoever copies is soon done, and no Lua runs there meanwhile. */
static void await_unpinned(lt_LentString *string, lt_Parker *parker) {
  lt_Wait wait = {.address = &string->state,
                  .context = string,
                  .validate = is_pinned,
                  .deadline = PLAT_FOREVER,
                  .deaf = LT_BRIEF};
  lt_await(parker, &wait);
}

static void call_back(lt_LentString *string, lt_Parker *parker) {
  unsigned state = atomic_load_explicit(&string->state, memory_order_acquire);
  if (state != OVER) {
    string->own = malloc(string->length);
    if (string->own != NULL)
      memcpy(string->own, string->lent, string->length);
  }
  while (state != OVER) {
    if (state == pinned()) {
      await_unpinned(string, parker);
      state = atomic_load_explicit(&string->state, memory_order_acquire);
    } else if (atomic_compare_exchange_strong_explicit(
                   &string->state, &state, OWN, memory_order_acq_rel, memory_order_acquire)) {
      return;
    }
  }
  free(string->own);
  free(string);
}

void lt_lender_close(lt_Lender *lender, lt_Parker *parker) {
  lender->closed = true;
  while (lender->newest != NULL)
    call_back(take_oldest(lender), parker);
}
