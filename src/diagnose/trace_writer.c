/*
** Shared state: a ring's, under its mutex, within which what it has is copied; see trace_ring.h.
*/
#include "src/diagnose/trace_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/string_buffer.h"

/* A slice that has lasted as long as this is told before it ends. */
#define LASTS (PLAT_SECOND / 50)

/*
** Bytes. The file has no buffer of its own, which the child of a fork would write again.
*/

void lt_trace_writer_flush(lt_TraceWriter *writer) {
  errno = 0;
  if (writer->length > 0 && writer->error == 0 &&
      fwrite(writer->bytes, 1, writer->length, writer->file) != writer->length)
    writer->error = errno == 0 ? EIO : errno;
  writer->length = 0;
}

static void add_byte(lt_TraceWriter *writer, char byte) {
  if (writer->length == sizeof(writer->bytes))
    lt_trace_writer_flush(writer);
  writer->bytes[writer->length++] = byte;
}

static void add_raw(lt_TraceWriter *writer, const char *text) {
  for (; *text != '\0'; text++)
    add_byte(writer, *text);
}

static void add_decimal(lt_TraceWriter *writer, uint64_t number) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  while (count > 0)
    add_byte(writer, digits[--count]);
}

/* Microseconds, with nanoseconds behind the point. */
static void add_microseconds(lt_TraceWriter *writer, plat_Time span) {
  uint64_t nanoseconds = span < 0 ? 0 : (uint64_t)span;
  add_decimal(writer, nanoseconds / 1000);
  add_byte(writer, '.');
  add_byte(writer, (char)('0' + nanoseconds / 100 % 10));
  add_byte(writer, (char)('0' + nanoseconds / 10 % 10));
  add_byte(writer, (char)('0' + nanoseconds % 10));
}

/* What is no UTF-8 becomes question marks. */
static void add_json_text(lt_TraceWriter *writer, const char *text) {
  static const char hex[] = "0123456789abcdef";
  size_t left = strlen(text);
  while (left > 0) {
    size_t length = lt_utf8_length(text, left);
    unsigned char byte = (unsigned char)*text;
    if (byte < ' ' || byte == 127) {
      add_raw(writer, "\\u00");
      add_byte(writer, hex[byte >> 4]);
      add_byte(writer, hex[byte & 15]);
    } else if (byte == '"' || byte == '\\') {
      add_byte(writer, '\\');
      add_byte(writer, *text);
    } else if (length == 0) {
      add_byte(writer, '?');
    } else {
      for (size_t i = 0; i < length; i++)
        add_byte(writer, text[i]);
    }
    text += length == 0 ? 1 : length;
    left -= length == 0 ? 1 : length;
  }
}

/*
** Fields of events
*/

static void begin_event(lt_TraceWriter *writer, const char *phase, uint64_t row) {
  add_raw(writer, writer->has_events ? ",\n{\"ph\":\"" : "[\n{\"ph\":\"");
  writer->has_events = true;
  add_raw(writer, phase);
  add_raw(writer, "\",\"pid\":");
  add_decimal(writer, writer->process);
  add_raw(writer, ",\"tid\":");
  add_decimal(writer, row);
}

static void add_time_field(lt_TraceWriter *writer, const char *name, plat_Time time) {
  add_raw(writer, ",\"");
  add_raw(writer, name);
  add_raw(writer, "\":");
  add_microseconds(writer, time);
}

static void add_since_begin(lt_TraceWriter *writer, plat_Time time) {
  add_time_field(writer, "ts", time - writer->begin);
}

static void add_text_field(lt_TraceWriter *writer, const char *name, const char *text) {
  add_raw(writer, ",\"");
  add_raw(writer, name);
  add_raw(writer, "\":\"");
  add_json_text(writer, text);
  add_byte(writer, '"');
}

static void add_number_field(lt_TraceWriter *writer, const char *name, uint64_t number) {
  add_raw(writer, ",\"");
  add_raw(writer, name);
  add_raw(writer, "\":");
  add_decimal(writer, number);
}

static void end_event(lt_TraceWriter *writer) {
  add_byte(writer, '}');
}

/* The first field of 'args' has no comma before it. */
static void begin_arguments(lt_TraceWriter *writer, uint64_t row) {
  add_raw(writer, ",\"args\":{\"thread\":");
  add_decimal(writer, row);
}

static const char *category_name(lt_TraceCategory category) {
  switch (category) {
  case LT_TRACE_THREAD:
    return "thread";
  case LT_TRACE_WAIT:
    return "wait";
  case LT_TRACE_SPAN:
    return "span";
  case LT_TRACE_TASK:
    return "task";
  case LT_TRACE_MESSAGE:
    return "message";
  case LT_TRACE_INTERRUPT:
    return "interrupt";
  case LT_TRACE_COLLECTION:
    break;
  }
  return "collection";
}

static void add_category(lt_TraceWriter *writer, lt_TraceCategory category) {
  add_text_field(writer, "cat", category_name(category));
}

/* A thread's life goes by the name of the thread, a span and an interrupt by their own. */
static void add_name_field(lt_TraceWriter *writer, const lt_TraceRing *ring,
                           const lt_TraceEvent *event) {
  char name[LT_PLACE_BYTES + 32];
  if (event->category == LT_TRACE_THREAD && event->kind <= LT_TRACE_END)
    snprintf(name, sizeof(name), "%s", ring->name);
  else if (event->category == LT_TRACE_SPAN || event->category == LT_TRACE_INTERRUPT)
    snprintf(name, sizeof(name), "%s", event->text);
  else if (event->category == LT_TRACE_WAIT && event->kind <= LT_TRACE_END)
    snprintf(name, sizeof(name), "%s%s",
             strcmp(event->what, "sleep") == 0 ? "" : "wait: ", event->what);
  else
    snprintf(name, sizeof(name), "%s", event->what);
  add_text_field(writer, "name", name);
}

static void add_holder(lt_TraceWriter *writer, uint64_t ident) {
  char name[LT_NAME_BYTES];
  lt_Thread *thread = writer->find(writer->context, ident);
  if (thread == NULL)
    snprintf(name, sizeof(name), "ident %" PRIu64, ident);
  else
    lt_thread_name(thread, name);
  add_text_field(writer, "for", name);
}

static void add_wait_arguments(lt_TraceWriter *writer, const lt_TraceEvent *event) {
  if (event->shown != NULL) {
    char address[32];
    snprintf(address, sizeof(address), "%p", event->shown);
    add_text_field(writer, "object", address);
  }
  if (event->other != 0)
    add_holder(writer, event->other);
}

static void add_arguments(lt_TraceWriter *writer, const lt_TraceRing *ring,
                          const lt_TraceEvent *event) {
  begin_arguments(writer, ring->ident);
  if (event->category != LT_TRACE_SPAN && event->category != LT_TRACE_INTERRUPT &&
      *event->text != '\0')
    add_text_field(writer, "at", event->text);
  if (event->category == LT_TRACE_WAIT)
    add_wait_arguments(writer, event);
  if (event->category == LT_TRACE_MESSAGE)
    add_number_field(writer, "bytes", event->number);
  if (event->category == LT_TRACE_COLLECTION) {
    add_number_field(writer, "objects", event->number);
    add_number_field(writer, "freed", event->other);
  }
  if (event->outcome != NULL)
    add_text_field(writer, "outcome", event->outcome);
  add_byte(writer, '}');
}

/*
** Events
*/

static void write_metadata(lt_TraceWriter *writer, uint64_t row, const char *what,
                           const char *name) {
  begin_event(writer, "M", row);
  add_text_field(writer, "name", what);
  add_raw(writer, ",\"args\":{\"name\":\"");
  add_json_text(writer, name);
  add_raw(writer, "\"}");
  end_event(writer);
}

static void write_row(lt_TraceWriter *writer, lt_TraceRing *ring) {
  char name[LT_NAME_BYTES];
  lt_thread_name(ring->thread, name);
  if (ring->has_row && strcmp(ring->name, name) == 0)
    return;
  ring->has_row = true;
  memcpy(ring->name, name, sizeof(name));
  write_metadata(writer, ring->ident, "thread_name", name);
  begin_event(writer, "M", ring->ident);
  add_raw(writer, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":");
  add_decimal(writer, ring->ident);
  add_byte(writer, '}');
  end_event(writer);
}

static void write_slice(lt_TraceWriter *writer, const lt_TraceRing *ring,
                        const lt_TraceEvent *event, const char *phase) {
  begin_event(writer, phase, ring->ident);
  add_since_begin(writer, event->begin);
  if (*phase == 'X')
    add_time_field(writer, "dur", event->end - event->begin);
  add_category(writer, event->category);
  add_name_field(writer, ring, event);
  add_arguments(writer, ring, event);
  end_event(writer);
}

static void write_end(lt_TraceWriter *writer, const lt_TraceRing *ring, plat_Time end,
                      const lt_TraceEvent *event) {
  begin_event(writer, "E", ring->ident);
  add_since_begin(writer, end);
  if (event != NULL && event->outcome != NULL) {
    begin_arguments(writer, ring->ident);
    add_text_field(writer, "outcome", event->outcome);
    add_byte(writer, '}');
  }
  end_event(writer);
}

/* A slice that is only there for an arrow to begin or arrive at, and the arrow. */
static void write_arrow(lt_TraceWriter *writer, const lt_TraceRing *ring,
                        const lt_TraceEvent *event, const char *phase) {
  begin_event(writer, phase, ring->ident);
  add_since_begin(writer, event->begin);
  add_text_field(writer, "cat", "arrow");
  add_text_field(writer, "name", "arrow");
  add_number_field(writer, "id", event->number);
  if (*phase == 'f')
    add_text_field(writer, "bp", "e");
  end_event(writer);
}

#define BRIEF_SLICE ((plat_Time)100)

static void write_brief_slice(lt_TraceWriter *writer, const lt_TraceRing *ring,
                              const lt_TraceEvent *event) {
  lt_TraceEvent brief = *event;
  brief.end = brief.begin + BRIEF_SLICE;
  write_slice(writer, ring, &brief, "X");
}

static void write_instant(lt_TraceWriter *writer, const lt_TraceRing *ring,
                          const lt_TraceEvent *event) {
  begin_event(writer, "i", ring->ident);
  add_text_field(writer, "s", "t");
  add_since_begin(writer, event->begin);
  add_category(writer, event->category);
  add_name_field(writer, ring, event);
  add_arguments(writer, ring, event);
  end_event(writer);
}

static void write_loose_span(lt_TraceWriter *writer, const lt_TraceRing *ring,
                             const lt_TraceEvent *event, const char *phase) {
  begin_event(writer, phase, ring->ident);
  add_since_begin(writer, event->begin);
  add_category(writer, event->category);
  add_number_field(writer, "id", event->number);
  add_name_field(writer, ring, event);
  end_event(writer);
}

static void write_event(lt_TraceWriter *writer, const lt_TraceRing *ring,
                        const lt_TraceEvent *event) {
  switch (event->kind) {
  case LT_TRACE_SLICE:
    write_slice(writer, ring, event, "X");
    break;
  case LT_TRACE_END:
    write_end(writer, ring, event->end, event);
    break;
  case LT_TRACE_INSTANT:
    write_instant(writer, ring, event);
    break;
  case LT_TRACE_ARROW_LEAVES:
    write_brief_slice(writer, ring, event);
    write_arrow(writer, ring, event, "s");
    break;
  case LT_TRACE_ARROW_ARRIVES:
    write_arrow(writer, ring, event, "f");
    break;
  case LT_TRACE_SPAN_BEGINS:
    write_loose_span(writer, ring, event, "b");
    break;
  case LT_TRACE_SPAN_ENDS:
    write_loose_span(writer, ring, event, "e");
    break;
  }
}

/*
** Rings
*/

typedef struct Taken {
  unsigned count;
  unsigned depth;
  unsigned told; /* a bit for each open slice that is told now to have begun */
  unsigned lost_ends;
  uint64_t lost;
} Taken;

static void take_open(lt_TraceWriter *writer, lt_TraceRing *ring, Taken *taken) {
  taken->depth = ring->depth;
  memcpy(writer->open, ring->open, taken->depth * sizeof(*ring->open));
  plat_Time now = plat_now();
  for (unsigned i = 0; i < taken->depth; i++)
    if (!ring->open[i].is_told && now - ring->open[i].slice.begin >= LASTS) {
      ring->open[i].is_told = true;
      taken->told |= 1u << i;
    }
}

static Taken take_events(lt_TraceWriter *writer, lt_TraceRing *ring, plat_Time end) {
  plat_mutex_lock(&ring->mutex);
  Taken taken = {.count = ring->count, .lost_ends = ring->lost_ends, .lost = ring->lost};
  for (unsigned i = 0; i < ring->count; i++)
    writer->taken[i] = ring->events[(ring->first + i) & (ring->capacity - 1)];
  ring->first = 0;
  ring->count = 0;
  ring->lost = 0;
  ring->lost_ends = 0;
  take_open(writer, ring, &taken);
  ring->is_written = ring->has_ended;
  if (end != 0) {
    ring->has_ended = true;
    free(ring->events);
    ring->events = NULL;
    ring->capacity = 0;
    ring->depth = 0;
  }
  plat_mutex_unlock(&ring->mutex);
  return taken;
}

/* Before the first that is left; what was told to have begun ends there. */
static void write_losses(lt_TraceWriter *writer, const lt_TraceRing *ring, const Taken *taken) {
  plat_Time time = taken->count > 0 ? writer->taken[0].begin : plat_now();
  if (taken->count > 0 && writer->taken[0].kind == LT_TRACE_END)
    time = writer->taken[0].end;
  for (unsigned i = 0; i < taken->lost_ends; i++)
    write_end(writer, ring, time, NULL);
  writer->lost += taken->lost;
  begin_event(writer, "i", ring->ident);
  add_text_field(writer, "s", "t");
  add_since_begin(writer, time);
  add_text_field(writer, "cat", "trace");
  add_text_field(writer, "name", "events lost");
  begin_arguments(writer, ring->ident);
  add_number_field(writer, "lost", taken->lost);
  add_byte(writer, '}');
  end_event(writer);
}

/* Those that have lasted for a while are told. */
static void write_open(lt_TraceWriter *writer, const lt_TraceRing *ring, unsigned told) {
  for (unsigned i = 0; i < LT_TRACE_DEPTH; i++)
    if ((told >> i & 1) != 0)
      write_slice(writer, ring, &writer->open[i].slice, "B");
}

static void write_unfinished(lt_TraceWriter *writer, const lt_TraceRing *ring, unsigned depth,
                             plat_Time end) {
  while (depth-- > 0) {
    lt_OpenSlice *open = &writer->open[depth];
    if (open->is_told) {
      write_end(writer, ring, end, NULL);
    } else {
      open->slice.end = end;
      write_slice(writer, ring, &open->slice, "X");
    }
  }
}

void lt_trace_writer_take(lt_TraceWriter *writer, lt_TraceRing *ring, plat_Time end) {
  write_row(writer, ring);
  Taken taken = take_events(writer, ring, end);
  if (taken.lost > 0)
    write_losses(writer, ring, &taken);
  for (unsigned i = 0; i < taken.count; i++)
    write_event(writer, ring, &writer->taken[i]);
  if (end != 0)
    write_unfinished(writer, ring, taken.depth, end);
  else
    write_open(writer, ring, taken.told);
}

/*
** The file
*/

int lt_trace_writer_open(lt_TraceWriter *writer, const char *path, uint64_t process,
                         plat_Time begin) {
  writer->file = fopen(path, "wb");
  if (writer->file == NULL)
    return errno;
  setvbuf(writer->file, NULL, _IONBF, 0);
  writer->process = process;
  writer->begin = begin;
  write_metadata(writer, 0, "process_name", "Lua");
  return 0;
}

void lt_trace_writer_close(lt_TraceWriter *writer) {
  if (fclose(writer->file) != 0 && writer->error == 0)
    writer->error = errno;
  writer->file = NULL;
}

void lt_trace_writer_end(lt_TraceWriter *writer, plat_Time end, uint64_t lost) {
  begin_event(writer, "i", 0);
  add_text_field(writer, "s", "g");
  add_since_begin(writer, end);
  add_text_field(writer, "cat", "trace");
  add_text_field(writer, "name", "end of the trace");
  begin_arguments(writer, 0);
  add_number_field(writer, "lost", writer->lost + lost);
  add_byte(writer, '}');
  end_event(writer);
  add_raw(writer, "\n]\n");
  lt_trace_writer_flush(writer);
  lt_trace_writer_close(writer);
}
