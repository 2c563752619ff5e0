/*
** A text that grows, made without Lua: where no error may be raised.
*/
#ifndef lt_text_h
#define lt_text_h

#include <stddef.h>

typedef struct lt_Text {
  char *bytes; /* ends with a zero; NULL: nothing was added, or there was no memory */
  size_t length;
  size_t capacity;
} lt_Text;

/* As printf. Without memory the text stays as it is. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void lt_text_add(lt_Text *text, const char *format, ...);

void lt_text_free(lt_Text *text);

#endif
