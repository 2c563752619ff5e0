/*
** Classes keep their identity: a table that is one crosses as a copy, but a state makes only one of
** it, and what comes home is the original.
**
** A class is a table that is met as a metatable, one that has a field __index, one whose metatable
** has __call and that has a field of its own, named with __, which leads to such a table (as the
** classes of middleclass and MoonScript have), and one that was registered. Classes of modules
** cross by name, exceptions by their lt_Class: they are no business of this.
**
** Tables that methods have as upvalues are variables of the class. They have an identity, too, by
** which what they hold for an object (with the object as key) finds its way into those that the
** receiver has; besides they are tables as others.
**
** Each has an identity, a shared object, and in each state that knows it a record, which lives as
** long as the class there: a weak table leads from the class to the record, the user value of the
** identity's proxy to the class.
*/
#ifndef lt_class_record_h
#define lt_class_record_h

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/object/object.h"

typedef struct lt_ClassIdentity {
  lt_Object object;
  _Atomic(char *) name; /* under which it is registered; set once */
} lt_ClassIdentity;

/* A userdata. Counts of changes are numbers that the process gives out in order. */
typedef struct lt_ClassRecord {
  lt_ClassIdentity *identity;
  bool is_home; /* the class was made here */
  bool is_variable;
  bool was_sent;        /* by this state */
  bool is_registered;   /* by a call of register_class here */
  uint64_t version;     /* how often it had changed at home, as far as known here */
  uint64_t changed_at;  /* when it was found changed here */
  uint64_t verified_in; /* the packing in which it was last looked at */
  uint64_t heeded;      /* the last definition from home whose news are in the class */
} lt_ClassRecord;

/* User values of a record. */
enum {
  LT_RECORD_CLASS = 1,
  LT_RECORD_IDENTITY,  /* its proxy */
  LT_RECORD_TRACE,     /* see class_trace.h */
  LT_RECORD_VARIABLES, /* of these classes, a list */
  LT_RECORD_CLUSTER,   /* the records of the classes that its definition has */
  LT_RECORD_DEFINITION,
  LT_RECORD_RECEIVED,           /* what came: a list of keys and values in turn */
  LT_RECORD_RECEIVED_METATABLE, /* the metatable that came */
  LT_RECORD_ALIASES,            /* proxies of other identities that lead to the class */
  LT_RECORD_USER_VALUES = LT_RECORD_ALIASES
};

/* A number that is larger than all that were given out before. */
uint64_t lt_class_next_number(void);

/*
** Which tables may have a record: a table for which this is false has none. It says true also for
** others, but seldom.
*/
enum { LT_CLASS_FILTER_WORDS = 128 };
extern atomic_uint_least64_t lt_class_filter[LT_CLASS_FILTER_WORDS];

static inline bool lt_class_may_be(const void *address) {
  uint64_t hash = (uint64_t)(uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15);
  /* Relaxed: the state that has made the record asks. */
  uint64_t word = atomic_load_explicit(&lt_class_filter[hash >> 57], memory_order_relaxed);
  return (word >> (hash >> 51 & 63) & 1) != 0;
}

/* Whether there are variables of classes in the process, or have been. */
extern atomic_bool lt_class_has_variables;

/*
** The record of the table at 'index', or NULL. Valid as long as the table, and its identity as long
** as no code of the state runs: a finalizer may bring back a class that was garbage, whose identity
** is gone or about to go. What it brings back is a new class.
*/
lt_ClassRecord *lt_class_record_find(lua_State *L, int index);

/* Whether the record on the top has lost its identity that way. */
bool lt_class_record_has_ended(lua_State *L);

/* The same; makes one with an identity of its own where there is none. */
lt_ClassRecord *lt_class_record_ensure(lua_State *L, int index);

/* The table at 'index' becomes what this state has of the identity; 'version' is what came. */
void lt_class_record_receive(lua_State *L, int index, lt_ClassIdentity *identity, uint64_t version);

/* What came now is what the table at 'fields' has; the record is on the top. */
void lt_class_record_set_received(lua_State *L, int fields);

/* The table at 'index' becomes a variable of a class, or what this state has of one. */
void lt_class_record_make_variable(lua_State *L, int index);
void lt_class_record_receive_variable(lua_State *L, int index, lt_ClassIdentity *identity);

/* Whether the table at 'index' is a class by what it has: it need not have a record. */
bool lt_class_is_like_one(lua_State *L, int index);

/* Whether a field of the table that is named with __ leads to a table with an __index. */
bool lt_class_leads_to_instances(lua_State *L, int index);

/* Pushes the record of a class. */
void lt_class_record_push(lua_State *L, int index);

/* Pushes what this state has of the identity, if it has, and returns whether. */
bool lt_class_push_known(lua_State *L, lt_ClassIdentity *identity);

/*
** Registers the table at 'index' under a name. Raises ValueError if this state has registered
** another class under it, or the class has another name.
*/
void lt_class_register(lua_State *L, int index, const char *name);

#endif
