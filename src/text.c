#include "src/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int make_room(lt_Text *text, size_t more) {
  size_t capacity = text->capacity == 0 ? 256 : text->capacity;
  while (capacity < text->length + more + 1)
    capacity *= 2;
  if (capacity == text->capacity)
    return 1;
  char *bytes = realloc(text->bytes, capacity);
  if (bytes == NULL)
    return 0;
  text->bytes = bytes;
  text->capacity = capacity;
  return 1;
}

void lt_text_add(lt_Text *text, const char *format, ...) {
  va_list values;
  va_list again;
  va_start(values, format);
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, values);
  if (length >= 0 && make_room(text, (size_t)length)) {
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
  va_end(values);
}

void lt_text_free(lt_Text *text) {
  free(text->bytes);
  text->bytes = NULL;
  text->length = 0;
  text->capacity = 0;
}
