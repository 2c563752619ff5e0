/*
** Traces of classes: what a class held when it was last sent, so that a change is found without
** packing it again. Looking costs some 20 ns for each field and each variable of a method.
**
** A trace goes through the fields of the class, through tables in them as deep as they are, through
** its methods and their upvalues, and stops at what belongs to a module and at other classes, which
** have traces of their own. Of an upvalue it does not look at
**
**   what a table holds    that is no class: the variables of methods are each thread's own
**   one that is assigned  by the method itself, such as a counter
**
** nor does it look at globals.
*/
#ifndef lt_class_trace_h
#define lt_class_trace_h

#include "src/transfer/class_record.h"
#include "src/transfer/packer.h"

/*
** Looks whether the class whose record is on the top has changed since its trace was made; then, or
** if it has none, makes one. Returns the record. Does nothing if packing must start over to find
** out. To be called in pack_protected.
*/
lt_ClassRecord *lt_class_trace_verify(lua_State *L, lt_Packer *packer);

/*
** Pushes a list of the trace of the class whose record is at 'index': of the records of classes at
** which it has stopped, or of the variables of the class; nil if there are none.
*/
typedef enum lt_TraceList { LT_TRACE_OTHERS = 4, LT_TRACE_VARIABLES } lt_TraceList;
void lt_class_trace_push(lua_State *L, int index, lt_TraceList list);

#endif
