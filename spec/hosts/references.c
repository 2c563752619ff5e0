/*
** The count of an object's references when billions have one: it is set near to what billions of
** retains would make it.
*/
#include <stdio.h>
#include <stdlib.h>

#include "src/object/object.h"

static int destroyed;

static void destroy(lt_Object *object) {
  (void)object;
  destroyed++;
}

static const lt_Type type = {"object", NULL, destroy, NULL};

static void retain(lt_Object *object, int count) {
  for (int i = 0; i < count; i++)
    lt_object_retain(object);
}

static void release(lt_Object *object, int count) {
  for (int i = 0; i < count; i++)
    lt_object_release(object);
}

static void expect(const char *what, bool holds) {
  printf("%s: %s\n", what, holds ? "yes" : "no");
}

static void begin_with(lt_Object *object, uint64_t takings, uint32_t count) {
  destroyed = 0;
  lt_object_init(object, &type);
  atomic_store(&object->references, takings << 32 | count);
}

int main(void) {
  lt_Object object;
  begin_with(&object, 0, 1);
  retain(&object, 5);
  release(&object, 6);
  expect("few references: destroyed with the last", destroyed == 1);

  begin_with(&object, UINT32_MAX - 1, 1);
  retain(&object, 5);
  release(&object, 5);
  expect("taken 2^32 times: alive", destroyed == 0);
  expect("taken 2^32 times: not as if it had never been taken",
         atomic_load(&object.references) >> 32 > UINT32_MAX / 4);
  release(&object, 1);
  expect("taken 2^32 times: destroyed with the last", destroyed == 1);

  begin_with(&object, 0, UINT32_MAX - 2);
  retain(&object, 10);
  expect("2^32 references: alive",
         destroyed == 0 && LT_REFERENCE_COUNT(atomic_load(&object.references)) > 100);
  release(&object, 8);
  expect("2^32 references: alive when some are given back", destroyed == 0);
  return EXIT_SUCCESS;
}
