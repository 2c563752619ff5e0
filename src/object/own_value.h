/*
** Own values: what each state has for itself with an object that all of them can see.
**
** A state keeps its value with its proxy of the object, so that a value that leads back to the proxy
** is garbage with it. When that proxy goes while somebody else still has the object, the value is
** stranded: the object may come back, so it stays in the state until it does, or is found dead. That
** is told by the object's life, a second object, which is there as long as a state has a stranded
** value.
*/
#ifndef lt_own_value_h
#define lt_own_value_h

#include "src/object/object.h"

typedef struct lt_Life lt_Life;

/* The object's reference to a new one; NULL without memory. */
lt_Life *lt_life_new(void);

/* In the object's 'destroy': no state has the object any more. Gives the reference back. */
void lt_life_end(lt_Life *life);

/*
** For a value that asks in its finalizer whether its object is still there. The state holds the life
** until the value lets it go, or to the state's end. Holding may raise.
*/
void lt_own_value_hold_life(lua_State *L, lt_Life *life);
void lt_own_value_let_life_go(lua_State *L, lt_Life *life);

/* Not before it is so, but perhaps later. */
bool lt_life_is_over(const lt_Life *life);

/*
** Pushes the value of this state, a table or a userdata as 'type' says, and returns true; or pushes
** nothing. The proxy of the object is at 'index'. May raise.
*/
bool lt_own_value_push(lua_State *L, int index, int type, lt_Life *life);

/*
** Makes the value on the top, which it pops, that of this state, which had none, and returns true.
** False: a finalizer that ran meanwhile has made one, which takes its place on the top. May raise.
*/
bool lt_own_value_set(lua_State *L, int index, lt_Life *life);

/* Takes that of this state away. Needs no memory. */
void lt_own_value_drop(lua_State *L, int index, lt_Life *life);

/* Whether the reference of the caller, or of the proxy that he finds garbage, is the only one. */
bool lt_own_value_is_last(lt_Object *object);

/* In the __gc of the proxy, at index 1, before lt_object_collect. */
void lt_own_value_strand(lua_State *L, lt_Life *life);

#endif
