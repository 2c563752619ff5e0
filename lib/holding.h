/*
** What all have that can be acquired and released: the arguments of acquire, and hold and with.
*/
#ifndef lt_holding_h
#define lt_holding_h

#include "lib/guard.h"
#include "lib/libs.h"

/*
** The arguments of acquire, from the second on: (blocking = true [, timeout = -1]). Returns
** whether to wait at all, and until when.
*/
bool lt_check_waiting(lua_State *L, plat_Time *deadline);

/* The ident of the thread to which a proxy belongs; 0 while the state is being closed. */
uint64_t lt_holder_ident(const lt_Proxy *proxy);

/* 'acquire' gets what is at index 1; that may have been collected since it was checked. */
typedef struct lt_Holding {
  void (*acquire)(lua_State *L, const lt_Proxy *proxy);
  lt_GuardRelease release;
} lt_Holding;

/* The methods hold() and with(f, ...) of what is at index 1, which has been checked. */
int lt_hold(lua_State *L, const lt_Proxy *proxy, const lt_Holding *holding);
int lt_call_holding(lua_State *L, const lt_Proxy *proxy, const lt_Holding *holding);

#endif
