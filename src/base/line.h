/*
** A short text in a buffer of fixed size, for places that can't take memory. What has no room any
** more is left out, but counted.
*/
#ifndef lt_line_h
#define lt_line_h

#include <stddef.h>
#include <string.h>

typedef struct lt_Line {
  size_t length; /* also of what was left out */
  char bytes[2048];
} lt_Line;

static inline void lt_line_add(lt_Line *line, const char *bytes, size_t length) {
  if (length <= sizeof(line->bytes) && line->length <= sizeof(line->bytes) - length)
    memcpy(line->bytes + line->length, bytes, length);
  line->length += length;
}

static inline void lt_line_add_string(lt_Line *line, const char *string) {
  lt_line_add(line, string, strlen(string));
}

#endif
