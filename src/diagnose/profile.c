/*
** Shared state: 'profile_guard' guards 'current', the profile that is being made. One has two
** references, of 'current', or of who has stopped it, and of its watcher. Its counts are under its
** own guard; 'known' is only the watcher's.
*/
#include "src/diagnose/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/diagnose/dump.h"
#include "src/diagnose/folded.h"
#include "src/thread/section_list.h"

#define LEAST_PATIENCE (PLAT_SECOND / 50)
#define FIRST_CAPACITY 256u
#define MOST_STACKS 65536u

typedef struct Stack {
  char *text; /* NULL: not used */
  uint64_t samples;
} Stack;

/* What was found out of a thread by the sample before. They are in the order of idents. */
typedef struct KnownWait {
  uint64_t ident;
  unsigned blocked; /* in which wait it was, see lt_parker_blocked; even: in none */
  char *text;
} KnownWait;

struct lt_Profile {
  atomic_uint references;
  atomic_bool stopped;
  lt_Runtime *runtime; /* a reference of the watcher */
  lt_Parker *parker;
  plat_Time period;

  plat_Mutex guard; /* of what follows */
  Stack *stacks;    /* a table with room for 'capacity', a power of two */
  size_t capacity;
  size_t count;
  uint64_t samples;
  uint64_t lost;   /* stacks that had no room */
  bool is_written; /* nothing is counted any more */

  KnownWait *known;
  size_t known_count;
  KnownWait *next; /* those of the sample that is being taken */
  size_t next_count;
  size_t next_capacity;
  size_t known_capacity;
};

static plat_Mutex profile_guard = PLAT_MUTEX_INIT;
static lt_Profile *current;

/*
** Counting
*/

static uint64_t hash_text(const char *text) {
  uint64_t hash = UINT64_C(14695981039346656037);
  for (; *text != '\0'; text++)
    hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
  return hash ^ hash >> 32;
}

/* Where it is, or would be: there always is room. */
static Stack *stack_place(Stack *stacks, size_t capacity, const char *text) {
  size_t place = (size_t)hash_text(text) & (capacity - 1);
  while (stacks[place].text != NULL && strcmp(stacks[place].text, text) != 0)
    place = (place + 1) & (capacity - 1);
  return &stacks[place];
}

static bool make_room_for_stack(lt_Profile *profile) {
  if (profile->count < profile->capacity / 2)
    return true;
  if (profile->count >= MOST_STACKS)
    return false;
  size_t capacity = profile->capacity == 0 ? FIRST_CAPACITY : 2 * profile->capacity;
  Stack *stacks = calloc(capacity, sizeof(*stacks));
  if (stacks == NULL)
    return false;
  for (size_t i = 0; i < profile->capacity; i++)
    if (profile->stacks[i].text != NULL)
      *stack_place(stacks, capacity, profile->stacks[i].text) = profile->stacks[i];
  free(profile->stacks);
  profile->stacks = stacks;
  profile->capacity = capacity;
  return true;
}

/* Takes the text over. Returns that under which it is counted; NULL without memory. */
static char *count_stack(lt_Profile *profile, char *text) {
  if (text == NULL || !make_room_for_stack(profile)) {
    profile->lost++;
    free(text);
    return NULL;
  }
  Stack *stack = stack_place(profile->stacks, profile->capacity, text);
  if (stack->text != NULL) {
    free(text);
  } else {
    stack->text = text;
    profile->count++;
  }
  stack->samples++;
  return stack->text;
}

/*
** Sampling, by the watcher
*/

static const KnownWait *find_known(const lt_Profile *profile, uint64_t ident) {
  size_t low = 0;
  size_t high = profile->known_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (profile->known[middle].ident == ident)
      return &profile->known[middle];
    if (profile->known[middle].ident < ident)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

static KnownWait *add_next(lt_Profile *profile) {
  if (profile->next_count == profile->next_capacity) {
    size_t capacity = profile->next_capacity == 0 ? 16 : 2 * profile->next_capacity;
    KnownWait *next = realloc(profile->next, capacity * sizeof(KnownWait));
    if (next == NULL)
      return NULL;
    profile->next = next;
    profile->next_capacity = capacity;
  }
  return &profile->next[profile->next_count++];
}

/* Before it is asked; notes in which wait it is. Without memory nothing is known of it. */
static bool waits_as_before(void *context, const lt_Thread *thread) {
  lt_Profile *profile = context;
  KnownWait *next = add_next(profile);
  if (next == NULL)
    return false;
  next->ident = atomic_load(&thread->ident);
  next->blocked = lt_parker_blocked(thread->parker);
  const KnownWait *before = find_known(profile, next->ident);
  bool is_same = next->blocked % 2 != 0 && before != NULL && before->text != NULL &&
                 before->blocked == next->blocked;
  next->text = is_same ? before->text : NULL;
  return is_same;
}

static char *copy_text(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = malloc(size);
  if (copy != NULL)
    memcpy(copy, text, size);
  return copy;
}

static void add_section(lt_StringBuffer *text, const lt_SectionText *section) {
  char frame[LUA_IDSIZE + 32];
  if (section->line > 0) {
    snprintf(frame, sizeof(frame), "%s:%d", section->source, section->line);
    lt_folded_add_frame(text, frame);
  }
  snprintf(frame, sizeof(frame), "[in %s]", section->name);
  lt_folded_add_frame(text, frame);
}

/* For one who is in C code that does not come back to Lua, begins, or ends. */
static char *no_answer(lt_Thread *thread) {
  char name[LT_NAME_BYTES];
  lt_StringBuffer text = {NULL, 0, 0};
  lt_thread_name(thread, name);
  lt_folded_add_frame(&text, name);
  lt_SectionText section;
  if (lt_section_show(thread, &section))
    add_section(&text, &section);
  else
    lt_string_buffer_add(&text, ";[no answer]");
  char *copy = text.bytes == NULL ? NULL : copy_text(text.bytes + 1);
  lt_string_buffer_free(&text);
  return copy;
}

static void count_answer(lt_Profile *profile, const lt_DumpAnswer *answer, KnownWait *next) {
  if (next != NULL && next->text != NULL) {
    stack_place(profile->stacks, profile->capacity, next->text)->samples++;
    return;
  }
  if (answer->text.bytes == NULL) {
    count_stack(profile, no_answer(answer->thread));
    return;
  }
  char *text = count_stack(profile, copy_text(answer->text.bytes));
  if (next != NULL && lt_parker_blocked(answer->thread->parker) == next->blocked)
    next->text = text;
}

/* NULL: nothing was noted of the thread. */
static KnownWait *known_of(const lt_Profile *profile, const lt_DumpAnswer *answer, size_t place) {
  for (; place < profile->next_count; place--) {
    if (profile->next[place].ident == atomic_load(&answer->thread->ident))
      return &profile->next[place];
    if (place == 0)
      break;
  }
  return NULL;
}

static void take_sample(lt_Profile *profile) {
  lt_Dump dump;
  const lt_DumpAsker asker = {.runtime = profile->runtime,
                              .parker = profile->parker,
                              .form = LT_FOLDED_DUMP,
                              .patience = profile->period < LEAST_PATIENCE ? LEAST_PATIENCE
                                                                           : profile->period,
                              .skips = waits_as_before,
                              .context = profile};
  profile->next_count = 0;
  if (!lt_dump_take(&dump, &asker))
    return;
  plat_mutex_lock(&profile->guard);
  profile->samples += !profile->is_written;
  for (size_t i = 0; i < dump.count && !profile->is_written; i++)
    count_answer(profile, &dump.answers[i], known_of(profile, &dump.answers[i], i));
  plat_mutex_unlock(&profile->guard);
  lt_dump_free(&dump);
  KnownWait *before = profile->known;
  size_t capacity = profile->known_capacity;
  profile->known = profile->next;
  profile->known_count = profile->next_count;
  profile->known_capacity = profile->next_capacity;
  profile->next = before;
  profile->next_capacity = capacity;
}

static void free_profile(lt_Profile *profile) {
  for (size_t i = 0; i < profile->capacity; i++)
    free(profile->stacks[i].text);
  free(profile->stacks);
  free(profile->known);
  free(profile->next);
  lt_parker_release(profile->parker);
  plat_mutex_destroy(&profile->guard);
  free(profile);
}

static void release_profile(lt_Profile *profile) {
  /* Acquire and release: the last one sees all that the other did before it frees. */
  if (atomic_fetch_sub_explicit(&profile->references, 1, memory_order_acq_rel) == 1)
    free_profile(profile);
}

static bool goes_on(void *context) {
  return !atomic_load(&((lt_Profile *)context)->stopped);
}

static bool wait_for_sample(lt_Profile *profile, plat_Time until) {
  lt_Wait wait = {.address = profile,
                  .context = profile,
                  .validate = goes_on,
                  .deadline = until,
                  .what = "time"};
  return lt_await(profile->parker, &wait) == LT_TIMED_OUT;
}

/* One who is late takes no samples in haste for those that he has missed. */
static void sample_again_and_again(void *argument) {
  lt_Profile *profile = argument;
  plat_Time due = plat_now() + profile->period;
  while (wait_for_sample(profile, due)) {
    take_sample(profile);
    plat_Time now = plat_now();
    due = due + profile->period > now ? due + profile->period : now + profile->period;
  }
  lt_runtime_release(profile->runtime);
  release_profile(profile);
}

/*
** Starting and stopping
*/

static lt_Profile *new_profile(lt_Runtime *runtime, unsigned hz) {
  lt_Profile *profile = calloc(1, sizeof(*profile));
  lt_Parker *parker = lt_parker_new();
  if (profile == NULL || parker == NULL) {
    if (parker != NULL)
      lt_parker_release(parker);
    free(profile);
    return NULL;
  }
  atomic_init(&profile->references, 2);
  atomic_init(&profile->stopped, false);
  plat_mutex_init(&profile->guard);
  profile->runtime = runtime;
  profile->parker = parker;
  profile->period = PLAT_SECOND / hz;
  return profile;
}

/* False: there is one already. */
static bool enter_current(lt_Profile *profile) {
  plat_mutex_lock(&profile_guard);
  bool is_first = current == NULL;
  if (is_first)
    current = profile;
  plat_mutex_unlock(&profile_guard);
  return is_first;
}

/* That of the runtime, or of any if it is NULL. */
static lt_Profile *take_current(const lt_Runtime *runtime) {
  plat_mutex_lock(&profile_guard);
  lt_Profile *profile = current;
  if (profile != NULL && (runtime == NULL || profile->runtime == runtime))
    current = NULL;
  else
    profile = NULL;
  plat_mutex_unlock(&profile_guard);
  return profile;
}

static void stop_watcher(lt_Profile *profile) {
  atomic_store(&profile->stopped, true);
  lt_unpark_all(profile);
}

lt_ProfileStart lt_profile_start(lt_Runtime *runtime, unsigned hz, int *error) {
  lt_Profile *profile = new_profile(runtime, hz);
  *error = PLAT_NO_MEMORY;
  if (profile == NULL)
    return LT_PROFILE_FAILED;
  if (!enter_current(profile)) {
    free_profile(profile);
    return LT_PROFILE_RUNS_ALREADY;
  }
  lt_runtime_retain(runtime);
  *error = plat_thread_start(0, sample_again_and_again, profile);
  if (*error == 0)
    return LT_PROFILE_STARTED;
  lt_runtime_release(runtime);
  if (take_current(runtime) != NULL)
    release_profile(profile);
  release_profile(profile);
  return LT_PROFILE_FAILED;
}

lt_Profile *lt_profile_stop(void) {
  lt_Profile *profile = take_current(NULL);
  if (profile != NULL)
    stop_watcher(profile);
  return profile;
}

void lt_profile_end(const lt_Runtime *runtime) {
  lt_Profile *profile = take_current(runtime);
  if (profile != NULL) {
    stop_watcher(profile);
    release_profile(profile);
  }
}

/* What its watcher, who is not there, may have been changing is left alone. */
void lt_profile_after_fork(void) {
  plat_mutex_init(&profile_guard);
  current = NULL;
}

/*
** Writing
*/

static int compare_stacks(const void *one, const void *other) {
  return strcmp(((const Stack *)one)->text, ((const Stack *)other)->text);
}

static size_t gather_stacks(lt_Profile *profile) {
  size_t count = 0;
  for (size_t i = 0; i < profile->capacity; i++)
    if (profile->stacks[i].text != NULL)
      profile->stacks[count++] = profile->stacks[i];
  for (size_t i = count; i < profile->capacity; i++)
    profile->stacks[i].text = NULL;
  if (count > 0)
    qsort(profile->stacks, count, sizeof(Stack), compare_stacks);
  return count;
}

static int write_stacks(const Stack *stacks, size_t count, uint64_t lost, const char *path) {
  FILE *file = fopen(path, "w");
  if (file == NULL)
    return errno;
  int error = 0;
  for (size_t i = 0; i < count && error == 0; i++)
    if (fprintf(file, "%s %" PRIu64 "\n", stacks[i].text, stacks[i].samples) < 0)
      error = errno;
  if (lost > 0 && error == 0 && fprintf(file, "[no memory] %" PRIu64 "\n", lost) < 0)
    error = errno;
  if (fclose(file) != 0 && error == 0)
    error = errno;
  return error;
}

/* The watcher may be taking a sample still: it counts after that into nothing. */
int lt_profile_write(lt_Profile *profile, const char *path, uint64_t *samples) {
  plat_mutex_lock(&profile->guard);
  size_t count = gather_stacks(profile);
  int error = write_stacks(profile->stacks, count, profile->lost, path);
  *samples = profile->samples;
  profile->is_written = true;
  plat_mutex_unlock(&profile->guard);
  release_profile(profile);
  return error;
}
