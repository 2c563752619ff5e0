/*
** A text that grows, in memory that is not Lua's: for places where no error may be raised.
*/
#ifndef lt_string_buffer_h
#define lt_string_buffer_h

#include <stddef.h>

typedef struct lt_StringBuffer {
  char *bytes; /* ends with a zero; NULL: nothing was added, or there was no memory */
  size_t length;
  size_t capacity;
} lt_StringBuffer;

/* As printf. Without memory the text stays as it is. */
#if defined(_WIN32) && defined(__GNUC__)
__attribute__((format(gnu_printf, 2, 3)))
#elif defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void lt_string_buffer_add(lt_StringBuffer *text, const char *format, ...);

void lt_string_buffer_free(lt_StringBuffer *text);

/* How many bytes the character of UTF-8 has that the bytes begin with; 0: there is none. */
size_t lt_utf8_length(const char *bytes, size_t left);

/* How many bytes of a text fit into so much room without a character of UTF-8 being cut. */
size_t lt_string_buffer_fit(const char *text, size_t length, size_t room);

#endif
