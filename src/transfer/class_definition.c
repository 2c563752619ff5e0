/*
** A definition does not change once it is made.
*/
#include "src/transfer/class_definition.h"

#include "src/base/shared_memory.h"
#include "src/object/exception.h"

static void definition_destroy(lt_Object *object) {
  lt_ClassDefinition *definition = (lt_ClassDefinition *)object;
  lt_traced_finish(&definition->traced);
  lt_message_free(definition->message);
  lt_memory_subtract(definition->size);
  lt_memory_free(definition, sizeof(*definition));
}

static uint64_t definition_traverse(lt_Object *object, size_t *position, lt_Visit visit,
                                    void *context) {
  lt_message_traverse(((lt_ClassDefinition *)object)->message, position, visit, context);
  return 0;
}

static void definition_clear(lt_Object *object) {
  lt_message_drop_references(((lt_ClassDefinition *)object)->message);
}

static const lt_Tracing definition_tracing = {definition_traverse, definition_clear};
static const lt_Type definition_type = {"class definition", NULL, definition_destroy,
                                        &definition_tracing};

lt_ClassDefinition *lt_class_definition_new(lua_State *L, lt_Message *message, bool is_from_home) {
  lt_ClassDefinition *definition = lt_memory_alloc_zeroed(sizeof(*definition));
  if (definition == NULL) {
    lt_message_free(message);
    lt_raise_memory(L);
  }
  definition->message = message;
  definition->size = lt_message_size(message);
  definition->is_from_home = is_from_home;
  definition->made_at = lt_class_next_number();
  lt_memory_add(definition->size);
  lt_traced_init(&definition->traced, &definition_type);
  return definition;
}
