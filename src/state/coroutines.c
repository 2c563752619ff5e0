/*
** Shared state: 'layout', atomic. All else belongs to the state's own thread. But a signal handler
** on that thread may read the table, and set 'armed' and 'saved', between any two instructions. So
** an entry is complete before it is in the table, a table before it replaces another, and a
** coroutine leaves the table before its memory goes.
*/
#include "src/state/coroutines.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"
#include "src/base/address_map.h"
#include "src/base/protected_call.h"

typedef struct Saved {
  lua_Hook hook;
  int mask;
  int count;
} Saved;

typedef struct CoroutineEntry {
  lua_State *L; /* NULL: never used; REMOVED: used no more */
  bool armed;
  Saved saved;
} CoroutineEntry;

typedef struct Table {
  size_t mask;
  size_t used; /* entries that are not NULL */
  size_t live;
  CoroutineEntry entries[];
} Table;

struct lt_Coroutines {
  lua_Alloc allocate;
  void *allocator;
  size_t size;      /* of a coroutine's block; 0: not known yet */
  ptrdiff_t offset; /* of the lua_State in its block */
  const void *last_block;
  size_t last_size;
  lt_AllocationNotes notes;
  Table *table;
  volatile bool closed;
  bool ends_with_state;
  volatile bool changing; /* hooks are being set: a handler leaves them alone */
  CoroutineEntry first;   /* the main coroutine of the state, kept apart */
};

/*
** How long a coroutine's block is and where in it the lua_State lies, the same in all states. Any
** thread writes it, always the same, the offset first.
*/
static struct {
  atomic_size_t size; /* 0: not known yet */
  atomic_ptrdiff_t offset;
} layout;

#define LEAST_CAPACITY 4 /* most threads make no coroutines */

static const char removed_mark;
#define REMOVED ((lua_State *)(uintptr_t)&removed_mark)

/* The compiler may not move what the handler sees across this. */
#define HANDLER_FENCE() atomic_signal_fence(memory_order_seq_cst)

/*
** Not an lt_AddressMap: entries leave this table, and a handler may see it between two
** instructions.
*/
static size_t coroutines_place(const Table *table, const void *address) {
  return lt_address_hash(address) & table->mask;
}

static Table *new_table(size_t capacity) {
  Table *table = calloc(1, sizeof(Table) + capacity * sizeof(CoroutineEntry));
  if (table != NULL)
    table->mask = capacity - 1;
  return table;
}

static void coroutines_insert(Table *table, const CoroutineEntry *entry) {
  size_t place = coroutines_place(table, entry->L);
  while (table->entries[place].L != NULL)
    place = (place + 1) & table->mask;
  table->used++;
  table->live++;
  table->entries[place].armed = entry->armed;
  table->entries[place].saved = entry->saved;
  HANDLER_FENCE();
  table->entries[place].L = entry->L;
}

static CoroutineEntry *coroutines_find(Table *table, const lua_State *L) {
  size_t place = coroutines_place(table, L);
  while (table->entries[place].L != NULL && table->entries[place].L != L)
    place = (place + 1) & table->mask;
  return table->entries[place].L == NULL ? NULL : &table->entries[place];
}

static bool coroutines_make_room(lt_Coroutines *coroutines) {
  Table *old = coroutines->table;
  if ((old->used + 1) * 2 <= old->mask + 1)
    return true;
  size_t capacity = LEAST_CAPACITY;
  while (capacity < (old->live + 1) * 4)
    capacity *= 2;
  Table *table = new_table(capacity);
  if (table == NULL)
    return false;
  for (size_t i = 0; i <= old->mask; i++)
    if (old->entries[i].L != NULL && old->entries[i].L != REMOVED)
      coroutines_insert(table, &old->entries[i]);
  HANDLER_FENCE();
  coroutines->table = table;
  HANDLER_FENCE();
  free(old);
  return true;
}

static void coroutines_enter(lt_Coroutines *coroutines, lua_State *L) {
  CoroutineEntry entry = {L, false, {NULL, 0, 0}};
  coroutines_insert(coroutines->table, &entry);
}

static void coroutines_leave(lt_Coroutines *coroutines, const lua_State *L) {
  CoroutineEntry *entry = coroutines_find(coroutines->table, L);
  if (entry != NULL) {
    entry->L = REMOVED;
    coroutines->table->live--;
    HANDLER_FENCE();
  }
}

/*
** The allocator
*/

static lua_State *coroutine_in(const lt_Coroutines *coroutines, void *block) {
  return (lua_State *)(void *)((char *)block + coroutines->offset);
}

/*
** A new coroutine's block is cleared, so that what a handler may find in it before Lua has
** filled it is a coroutine that does nothing.
*/
static void *make_coroutine(lt_Coroutines *coroutines, size_t size) {
  if (!coroutines_make_room(coroutines))
    return NULL;
  void *block = coroutines->allocate(coroutines->allocator, NULL, LUA_TTHREAD, size);
  if (block != NULL) {
    memset(block, 0, size);
    HANDLER_FENCE();
    coroutines_enter(coroutines, coroutine_in(coroutines, block));
  }
  return block;
}

/* The main coroutine lies in the block that a state frees last. */
static bool is_last_block(const lt_Coroutines *coroutines, const void *block, size_t size) {
  uintptr_t main = (uintptr_t)coroutines->first.L;
  return main >= (uintptr_t)block && main < (uintptr_t)block + size;
}

static void *free_last_block(lt_Coroutines *coroutines, void *block, size_t size) {
  lua_Alloc allocate = coroutines->allocate;
  void *allocator = coroutines->allocator;
  lt_coroutines_free(coroutines);
  return allocate(allocator, block, size, 0);
}

static void *allocate_and_follow(void *context, void *block, size_t old_size, size_t new_size) {
  lt_Coroutines *coroutines = context;
  if (block == NULL && old_size == LUA_TTHREAD) {
    if (new_size == coroutines->size)
      return make_coroutine(coroutines, new_size);
    if (coroutines->size == 0) {
      void *made = coroutines->allocate(coroutines->allocator, NULL, old_size, new_size);
      coroutines->last_block = made;
      coroutines->last_size = new_size;
      return made;
    }
  } else if (new_size == 0) {
    if (block != NULL && old_size == coroutines->size)
      coroutines_leave(coroutines, coroutine_in(coroutines, block));
    else if (block != NULL && coroutines->ends_with_state &&
             is_last_block(coroutines, block, old_size))
      return free_last_block(coroutines, block, old_size);
    return coroutines->allocate(coroutines->allocator, block, old_size, new_size);
  }
  void *result = coroutines->allocate(coroutines->allocator, block, old_size, new_size);
  if (result == NULL)
    coroutines->notes.failures++;
  return result;
}

lt_AllocationNotes *lt_coroutines_notes(lua_State *L) {
  void *context;
  bool follows = lua_getallocf(L, &context) == allocate_and_follow;
  return follows ? &((lt_Coroutines *)context)->notes : NULL;
}

/* Makes one coroutine to learn the layout. */
static int learn_layout(lua_State *L) {
  lt_Coroutines *coroutines = lua_touserdata(L, 1);
  lua_State *probe = lua_newthread(L);
  const char *block = coroutines->last_block;
  if (block != NULL && (const char *)probe >= block &&
      (const char *)probe < block + coroutines->last_size) {
    coroutines->offset = (const char *)probe - block;
    coroutines->size = coroutines->last_size;
    /* Relaxed and release: who sees the size sees the offset. */
    atomic_store_explicit(&layout.offset, coroutines->offset, memory_order_relaxed);
    atomic_store_explicit(&layout.size, coroutines->size, memory_order_release);
  }
  return 0;
}

/* Without memory returns false, and nothing is on the stack. */
static bool find_layout(lt_Coroutines *coroutines, lua_State *L) {
  /* Acquire and relaxed: see learn_layout. */
  coroutines->size = atomic_load_explicit(&layout.size, memory_order_acquire);
  coroutines->offset = atomic_load_explicit(&layout.offset, memory_order_relaxed);
  if (coroutines->size != 0)
    return true;
  if (lt_protected_call(L, learn_layout, coroutines, 0, 0) == LUA_OK)
    return true;
  lua_pop(L, 1);
  return false;
}

lt_Coroutines *lt_coroutines_follow(lua_State *L) {
  lt_Coroutines *coroutines = calloc(1, sizeof(*coroutines));
  if (coroutines == NULL)
    return NULL;
  coroutines->table = new_table(LEAST_CAPACITY);
  coroutines->allocate = lua_getallocf(L, &coroutines->allocator);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  coroutines->first.L = lua_tothread(L, -1);
  lua_pop(L, 1);
  if (coroutines->table == NULL) {
    lt_coroutines_free(coroutines);
    return NULL;
  }
  lua_setallocf(L, allocate_and_follow, coroutines);
  if (!find_layout(coroutines, L)) {
    lua_setallocf(L, coroutines->allocate, coroutines->allocator);
    lt_coroutines_free(coroutines);
    return NULL;
  }
  if (coroutines->size != 0 && L != coroutines->first.L)
    coroutines_enter(coroutines, L);
  return coroutines;
}

void lt_coroutines_leave_to_state(lt_Coroutines *coroutines) {
  coroutines->ends_with_state = true;
}

void lt_coroutines_exchange_allocator(lt_Coroutines *coroutines, lua_Alloc *allocate,
                                      void **allocator) {
  lua_Alloc wrapped = coroutines->allocate;
  void *context = coroutines->allocator;
  coroutines->allocate = *allocate;
  coroutines->allocator = *allocator;
  *allocate = wrapped;
  *allocator = context;
}

void lt_coroutines_close(lt_Coroutines *coroutines) {
  coroutines->closed = true;
  HANDLER_FENCE();
}

void lt_coroutines_free(lt_Coroutines *coroutines) {
  free(coroutines->table);
  free(coroutines);
}

/*
** Hooks
*/

/* A coroutine that was made while its maker was armed has inherited the hook from it. */
PLAT_IN_HANDLER static void arm(CoroutineEntry *entry, lua_Hook hook, int interval,
                                const Saved *inherited) {
  lua_State *L = entry->L;
  if (lua_gethook(L) != hook) {
    entry->saved.hook = lua_gethook(L);
    entry->saved.mask = lua_gethookmask(L);
    entry->saved.count = lua_gethookcount(L);
  } else if (!entry->armed) {
    entry->saved.hook = inherited->hook;
    entry->saved.mask = inherited->mask;
    entry->saved.count = inherited->count;
  }
  entry->armed = true;
  if ((entry->saved.mask & LUA_MASKCOUNT) && entry->saved.count < interval)
    interval = entry->saved.count;
  lua_sethook(L, hook, LUA_MASKCOUNT | entry->saved.mask, interval);
}

PLAT_IN_HANDLER void lt_coroutines_arm(lt_Coroutines *coroutines, lua_Hook hook, int interval) {
  Table *table = coroutines->table;
  if (coroutines->closed || coroutines->changing)
    return;
  coroutines->changing = true;
  HANDLER_FENCE();
  const Saved *inherited = &coroutines->first.saved;
  arm(&coroutines->first, hook, interval, inherited);
  for (size_t i = 0; i <= table->mask; i++) {
    lua_State *L = table->entries[i].L;
    if (L != NULL && L != REMOVED)
      arm(&table->entries[i], hook, interval, inherited);
  }
  HANDLER_FENCE();
  coroutines->changing = false;
}

static void disarm(CoroutineEntry *entry, lua_Hook hook) {
  if (entry->armed) {
    entry->armed = false;
    if (lua_gethook(entry->L) == hook)
      lua_sethook(entry->L, entry->saved.hook, entry->saved.mask, entry->saved.count);
  }
}

void lt_coroutines_disarm(lt_Coroutines *coroutines, lua_State *L, lua_Hook hook) {
  Table *table = coroutines->table;
  const Saved *saved = &coroutines->first.saved;
  coroutines->changing = true;
  HANDLER_FENCE();
  disarm(&coroutines->first, hook);
  for (size_t i = 0; i <= table->mask; i++)
    if (table->entries[i].L != NULL && table->entries[i].L != REMOVED)
      disarm(&table->entries[i], hook);
  if (lua_gethook(L) == hook) /* it was made while its maker was armed, and has inherited this */
    lua_sethook(L, saved->hook, saved->mask, saved->count);
  HANDLER_FENCE();
  coroutines->changing = false;
}

void lt_coroutines_forward(lt_Coroutines *coroutines, lua_State *L, lua_Debug *event) {
  const CoroutineEntry *entry = coroutines_find(coroutines->table, L);
  Saved saved = entry != NULL && entry->armed ? entry->saved : coroutines->first.saved;
  int kind = event->event == LUA_HOOKTAILCALL ? LUA_HOOKCALL : event->event;
  if (saved.hook != NULL && (saved.mask & (1 << kind)) != 0)
    saved.hook(L, event);
}

/*
** Visiting
*/

lua_State *lt_coroutines_main(const lt_Coroutines *coroutines) {
  return coroutines->first.L;
}

/* A coroutine whose making failed may have no stack at all. */
static bool has_frames(lua_State *L) {
  lua_Debug frame;
  return lua_getstack(L, 0, &frame) && frame.i_ci != NULL;
}

bool lt_coroutines_each(lt_Coroutines *coroutines, lt_VisitCoroutine visit, void *context) {
  const Table *table = coroutines->table;
  bool go_on = !has_frames(coroutines->first.L) || visit(coroutines->first.L, context);
  for (size_t i = 0; go_on && i <= table->mask; i++) {
    lua_State *L = table->entries[i].L;
    if (L != NULL && L != REMOVED && has_frames(L))
      go_on = visit(L, context);
  }
  return go_on;
}
