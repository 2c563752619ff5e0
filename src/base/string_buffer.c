#include "src/base/string_buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int buffer_make_room(lt_StringBuffer *text, size_t more) {
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

void lt_string_buffer_add(lt_StringBuffer *text, const char *format, ...) {
  va_list values;
  va_list again;
  va_start(values, format);
  va_copy(again, values);
  int length = vsnprintf(NULL, 0, format, values);
  if (length >= 0 && buffer_make_room(text, (size_t)length)) {
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
  va_end(values);
}

void lt_string_buffer_free(lt_StringBuffer *text) {
  free(text->bytes);
  text->bytes = NULL;
  text->length = 0;
  text->capacity = 0;
}

/* Only the shortest form of a character, no halves of UTF-16, none above U+10FFFF. */
size_t lt_utf8_length(const char *bytes, size_t left) {
  const unsigned char *text = (const unsigned char *)bytes;
  if (left == 0)
    return 0;
  size_t length = text[0] < 0x80   ? 1
                  : text[0] < 0xc2 ? 0
                  : text[0] < 0xe0 ? 2
                  : text[0] < 0xf0 ? 3
                  : text[0] < 0xf5 ? 4
                                   : 0;
  if (length > left)
    return 0;
  for (size_t i = 1; i < length; i++)
    if ((text[i] & 0xc0) != 0x80)
      return 0;
  if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
      (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
    return 0;
  return length;
}

size_t lt_string_buffer_fit(const char *text, size_t length, size_t room) {
  if (length <= room)
    return length;
  for (size_t back = 1; back < 4 && back <= room; back++)
    if (lt_utf8_length(text + room - back, length - room + back) > back)
      return room - back;
  return room;
}
