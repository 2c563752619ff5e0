/*
** Fields of a value table whose keys are integers in a row.
*/
#ifndef lt_value_range_h
#define lt_value_range_h

#include "src/shared/value_table.h"

/* Calls 'visit' for each field from 'first' to 'last', in no certain order; values stay there. */
typedef void (*lt_VisitField)(void *context, lua_Integer key, const lt_SharedValue *value);

void lt_value_range_visit(const lt_ValueTable *table, lua_Integer first, lua_Integer last,
                          lt_VisitField visit, void *context);

/* At most so many fields there are from 'first' to 'last'. */
size_t lt_value_range_bound(const lt_ValueTable *table, lua_Integer first, lua_Integer last);

/*
** Sets so many fields from 'first' on, whose keys must be integers. The table takes over the
** references of the values, and moves the old values to 'old'. False: there was no memory, and
** nothing has changed.
*/
bool lt_value_range_set(lt_ValueTable *table, lua_Integer first, const lt_SharedValue *values,
                        size_t count, lt_SharedValue *old);

#endif
