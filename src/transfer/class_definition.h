/*
** Definitions: a class with all that it holds, packed once. Messages refer to it instead of holding
** the class themselves; a receiver that does not know the class makes it from there.
*/
#ifndef lt_class_definition_h
#define lt_class_definition_h

#include "src/object/cycles.h"
#include "src/transfer/class_record.h"
#include "src/transfer/message.h"

typedef struct lt_ClassDefinition {
  lt_Traced traced;
  lt_Message *message; /* of the class alone */
  size_t size;         /* of the message */
  bool is_from_home;
  uint64_t made_at; /* later ones of the same class have larger numbers */
} lt_ClassDefinition;

/* The reference is the caller's, the message the definition's, also when this raises. */
lt_ClassDefinition *lt_class_definition_new(lua_State *L, lt_Message *message, bool is_from_home);

#endif
