/*
** Classes that come with a message: what this state has of them already takes their place.
*/
#ifndef lt_received_classes_h
#define lt_received_classes_h

#include "src/transfer/class_definition.h"

/*
** Pushes what this state has of the class; if it has nothing, or knows less of the class than the
** definition tells, that is unpacked first.
*/
void lt_received_class_push(lua_State *L, lt_ClassDefinition *definition,
                            lt_ClassIdentity *identity);

/*
** The classes whose content a message holds are noted in a list, which is made at 'list' where nil
** was. The table on the top is to become such a class. Returns its number; if the state has the
** class already, pushes that and sets 'known'.
*/
lua_Integer lt_received_class_begin(lua_State *L, int list, lt_ClassIdentity *identity,
                                    uint64_t version, bool *known);

/* Pushes what the state has instead of the class of that number. */
void lt_received_class_push_known(lua_State *L, int list, lua_Integer number);

/* Replaces a class of the state on the top by the table that has come for it. */
void lt_received_class_take_content(lua_State *L, int list);

/*
** The table on the top is to become a variable of a class, if the state does not know that. Returns
** its number.
*/
lua_Integer lt_received_variable_note(lua_State *L, int list, lt_ClassIdentity *identity);

/*
** What a variable holds for an object is noted in a list, made at 'list' where nil was: pops the
** identity, a light userdata, the object and the value. At the end the variables of this state get
** it, where they hold nothing for the object.
*/
void lt_received_object_datum_note(lua_State *L, int list);
void lt_received_object_data_settle(lua_State *L, int list);

/* How many there are in the list, and the same for one of them, again is fine: it is complete. */
lua_Integer lt_received_classes_count(lua_State *L, int list);
void lt_received_class_settle(lua_State *L, int list, lua_Integer number);

/*
** A table, a key and a value are on the top, which this pops: the table, which may be a class, gets
** a field that was left out when it came. Its class has been settled meanwhile.
*/
void lt_received_class_add_field(lua_State *L, int list);

/* All is there: the classes become the state's, or what is new in them goes into its own. */
void lt_received_classes_settle(lua_State *L, int list);

#endif
