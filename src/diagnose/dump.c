/*
** Shared state: a thread's 'questions', each up to the fields of its answer, under the guard of the
** asked thread. The asker takes back those that were not answered in time, so nobody answers into
** what is gone. 'awaited' is an atomic count, on which the asker parks.
*/
#include "src/diagnose/dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/diagnose/folded.h"
#include "src/thread/interrupt.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/section_list.h"

/* How long threads have to answer. */
#define PATIENCE (PLAT_SECOND / 2)
#define AGAIN (PLAT_SECOND / 50)

/* How much is told of a stack, and of suspended coroutines. */
#define FIRST_LEVELS 40
#define LAST_LEVELS 20
#define SUSPENDED 20

typedef struct lt_DumpQuestion {
  struct lt_DumpQuestion *next;
  lt_DumpAnswer *answer;
  atomic_size_t *awaited;
  lt_DumpForm form;
} lt_DumpQuestion;

/*
** Stacks
*/

static void add_level(lt_StringBuffer *text, lua_State *L, lua_Debug *frame) {
  lua_getinfo(L, "Slnt", frame);
  lt_string_buffer_add(text, "\t%s:", frame->short_src);
  if (frame->currentline > 0)
    lt_string_buffer_add(text, "%d:", frame->currentline);
  if (*frame->namewhat != '\0')
    lt_string_buffer_add(text, " in %s '%s'\n", frame->namewhat, frame->name);
  else if (*frame->what == 'm')
    lt_string_buffer_add(text, " in main chunk\n");
  else if (*frame->what == 'C')
    lt_string_buffer_add(text, " in ?\n");
  else
    lt_string_buffer_add(text, " in function <%s:%d>\n", frame->short_src, frame->linedefined);
  if (frame->istailcall)
    lt_string_buffer_add(text, "\t(...tail calls...)\n");
}

static int last_level(lua_State *L) {
  lua_Debug frame;
  int low = 1;
  int high = 1;
  while (lua_getstack(L, high, &frame)) {
    low = high;
    high *= 2;
  }
  while (low < high) {
    int middle = (low + high) / 2;
    if (lua_getstack(L, middle, &frame))
      low = middle + 1;
    else
      high = middle;
  }
  return high - 1;
}

static void add_stack(lt_StringBuffer *text, lua_State *L) {
  lua_Debug frame;
  int last = last_level(L);
  for (int level = 0; level <= last; level++) {
    if (level == FIRST_LEVELS && last >= FIRST_LEVELS + LAST_LEVELS) {
      lt_string_buffer_add(text, "\t...\t(%d levels)\n", last + 1 - FIRST_LEVELS - LAST_LEVELS);
      level = last + 1 - LAST_LEVELS;
    }
    if (lua_getstack(L, level, &frame) && frame.i_ci != NULL)
      add_level(text, L, &frame);
  }
}

typedef struct Coroutines {
  lt_StringBuffer *text;
  lua_State *running;
  lua_State *main;
  size_t suspended;
} Coroutines;

static bool add_waiting_coroutine(lua_State *L, void *context) {
  Coroutines *coroutines = context;
  if (L == coroutines->running || L == coroutines->main || lua_status(L) != LUA_OK)
    return true;
  lt_string_buffer_add(coroutines->text,
                       "    coroutine %p, waits for the one that it has resumed\n", (void *)L);
  add_stack(coroutines->text, L);
  return true;
}

static bool add_suspended_coroutine(lua_State *L, void *context) {
  Coroutines *coroutines = context;
  if (lua_status(L) != LUA_YIELD)
    return true;
  if (coroutines->suspended++ < SUSPENDED) {
    lt_string_buffer_add(coroutines->text, "    coroutine %p, suspended\n", (void *)L);
    add_stack(coroutines->text, L);
  }
  return true;
}

static void add_stacks(lt_StringBuffer *text, lua_State *L, lt_Thread *thread) {
  Coroutines coroutines = {text, L, lt_coroutines_main(thread->coroutines), 0};
  if (L != coroutines.main)
    lt_string_buffer_add(text, "    coroutine %p, running\n", (void *)L);
  add_stack(text, L);
  lt_coroutines_each(thread->coroutines, add_waiting_coroutine, &coroutines);
  if (L != coroutines.main) {
    lt_string_buffer_add(text, "    main coroutine\n");
    add_stack(text, coroutines.main);
  }
  lt_coroutines_each(thread->coroutines, add_suspended_coroutine, &coroutines);
  if (coroutines.suspended > SUSPENDED)
    lt_string_buffer_add(text, "    and %zu more suspended coroutines\n",
                         coroutines.suspended - SUSPENDED);
}

/*
** Answering
*/

void lt_dump_add_identity(lt_StringBuffer *text, lt_Thread *thread) {
  char name[LT_NAME_BYTES];
  lt_thread_name(thread, name);
  lt_string_buffer_add(text, "%s (ident %" PRIu64 ")", name, (uint64_t)atomic_load(&thread->ident));
}

static void add_native_id(lt_StringBuffer *text, lt_Thread *thread) {
  uint64_t native_id = lt_thread_native_id(thread);
  if (native_id != 0)
    lt_string_buffer_add(text, ", native id %" PRIu64, native_id);
}

static void add_ender(lt_StringBuffer *text, lt_Runtime *runtime, const lt_DumpAnswer *answer) {
  lt_Thread *thread = answer->ender == 0 ? NULL : lt_runtime_threads_find(runtime, answer->ender);
  if (thread == NULL)
    return;
  lt_string_buffer_add(text, " %s thread ", answer->relation);
  lt_dump_add_identity(text, thread);
  lt_object_release(&thread->object);
}

static void add_state(lt_StringBuffer *text, lt_Thread *thread, const lt_DumpAnswer *answer,
                      const lt_Blocked *blocked) {
  if (blocked == NULL) {
    lt_string_buffer_add(text, ", running:\n");
    return;
  }
  double seconds = (double)(plat_now() - blocked->since) / (double)PLAT_SECOND;
  lt_string_buffer_add(text, ", blocked on %s", answer->blocked_on);
  add_ender(text, thread->runtime, answer);
  lt_string_buffer_add(text, " for %.3f s:\n", seconds);
}

static void make_answer(lt_DumpAnswer *answer, lua_State *L, lt_Thread *thread,
                        const lt_Blocked *blocked, lt_DumpForm form) {
  if (form == LT_FOLDED_DUMP) {
    lt_folded_add(&answer->text, L, thread, blocked == NULL ? NULL : blocked->wait);
    return;
  }
  if (blocked != NULL) {
    const lt_Wait *wait = blocked->wait;
    if (wait->polled_count > 1)
      snprintf(answer->blocked_on, LT_BLOCKED_BYTES, "%s %d", wait->what, wait->polled[1].fd);
    else
      snprintf(answer->blocked_on, LT_BLOCKED_BYTES, wait->shown == NULL ? "%s" : "%s %p",
               wait->what, wait->shown);
    answer->relation = wait->relation;
    answer->ender = wait->ender == NULL ? 0 : wait->ender(wait->context);
  }
  lt_string_buffer_add(&answer->text, "Thread ");
  lt_dump_add_identity(&answer->text, thread);
  add_native_id(&answer->text, thread);
  add_state(&answer->text, thread, answer, blocked);
  add_stacks(&answer->text, L, thread);
}

static void dump_give(lt_DumpAnswer *answer, const lt_DumpAnswer *made) {
  answer->ender = made->ender;
  answer->relation = made->relation;
  memcpy(answer->blocked_on, made->blocked_on, LT_BLOCKED_BYTES);
  lt_string_buffer_add(&answer->text, "%s", made->text.bytes == NULL ? "" : made->text.bytes);
}

static bool is_asked_for(lt_Thread *thread, lt_DumpForm form) {
  plat_mutex_lock(&thread->guard);
  const lt_DumpQuestion *question = thread->questions;
  while (question != NULL && question->form != form)
    question = question->next;
  plat_mutex_unlock(&thread->guard);
  return question != NULL;
}

/* Takes the next question in the form out of the list; NULL: there is none. */
static lt_DumpQuestion *next_question(lt_Thread *thread, lt_DumpForm form) {
  lt_DumpQuestion **place = &thread->questions;
  while (*place != NULL && (*place)->form != form)
    place = &(*place)->next;
  lt_DumpQuestion *question = *place;
  if (question != NULL)
    *place = question->next;
  return question;
}

static void answer_in_form(lua_State *L, lt_Thread *thread, const lt_Blocked *blocked,
                           lt_DumpForm form) {
  lt_DumpAnswer made = {.thread = thread};
  lt_DumpQuestion *question;
  const void *askers[8];
  size_t count = 0;
  if (!is_asked_for(thread, form))
    return;
  make_answer(&made, L, thread, blocked, form);
  plat_mutex_lock(&thread->guard);
  while (count < 8 && (question = next_question(thread, form)) != NULL) {
    dump_give(question->answer, &made);
    askers[count++] = question->awaited;
    atomic_fetch_sub(question->awaited, 1);
  }
  if (thread->questions != NULL)
    lt_parker_ask(thread->parker);
  plat_mutex_unlock(&thread->guard);
  for (size_t i = 0; i < count; i++)
    lt_unpark_all(askers[i]);
  lt_string_buffer_free(&made.text);
}

void lt_dump_answer(lua_State *L, lt_Thread *thread, const lt_Blocked *blocked) {
  if (!atomic_load(&thread->parker->asked))
    return;
  atomic_store(&thread->parker->asked, false);
  answer_in_form(L, thread, blocked, LT_WHOLE_DUMP);
  answer_in_form(L, thread, blocked, LT_FOLDED_DUMP);
}

/*
** Asking
*/

static bool dump_ask(lt_Thread *thread, lt_DumpQuestion *question) {
  plat_mutex_lock(&thread->guard);
  bool can_answer = atomic_load(&thread->home) != NULL;
  if (can_answer) {
    question->next = thread->questions;
    thread->questions = question;
    lt_parker_ask(thread->parker);
    lt_thread_poke(thread, PLAT_POKE_LETS_GO_ON, false);
  }
  plat_mutex_unlock(&thread->guard);
  return can_answer;
}

static void take_back(lt_Thread *thread, lt_DumpQuestion *question) {
  plat_mutex_lock(&thread->guard);
  lt_DumpQuestion **place = &thread->questions;
  while (*place != NULL && *place != question)
    place = &(*place)->next;
  if (*place == question)
    *place = question->next;
  plat_mutex_unlock(&thread->guard);
}

static bool answers_missing(void *context) {
  return atomic_load((atomic_size_t *)context) > 0;
}

/* A poke may be lost: see repeated_poke.h. */
static void ask_again(const lt_Dump *dump) {
  for (size_t i = 0; i < dump->count; i++) {
    lt_Thread *thread = dump->answers[i].thread;
    plat_mutex_lock(&thread->guard);
    if (thread->questions != NULL)
      lt_thread_poke(thread, PLAT_POKE_LETS_GO_ON, true);
    plat_mutex_unlock(&thread->guard);
  }
}

static void await_answers(const lt_Dump *dump, const lt_DumpAsker *asker, atomic_size_t *awaited) {
  plat_Time limit = plat_now() + (asker->patience == 0 ? PATIENCE : asker->patience);
  lt_Wait wait = {.address = awaited,
                  .context = awaited,
                  .validate = answers_missing,
                  .deadline = plat_now() + AGAIN,
                  .deaf = LT_DEAF_TO_SIGNALS,
                  .what = "dump"};
  if (asker->thread != NULL)
    asker->thread->waiting = asker->L; /* others may want an answer of it meanwhile */
  while (lt_await(asker->parker, &wait) == LT_TIMED_OUT && wait.deadline < limit) {
    ask_again(dump);
    wait.deadline = plat_now() + AGAIN;
  }
}

static void ask_all(lt_Dump *dump, lt_DumpQuestion *questions, const lt_DumpAsker *asker) {
  atomic_size_t awaited;
  atomic_init(&awaited, 0);
  for (size_t i = 0; i < dump->count; i++) {
    lt_DumpAnswer *answer = &dump->answers[i];
    questions[i] = (lt_DumpQuestion){NULL, answer, &awaited, asker->form};
    if (asker->skips != NULL && asker->skips(asker->context, answer->thread)) {
      continue;
    } else if (answer->thread == asker->thread) {
      make_answer(answer, asker->L, answer->thread, asker->blocked, asker->form);
    } else {
      atomic_fetch_add(&awaited, 1);
      if (!dump_ask(answer->thread, &questions[i]))
        atomic_fetch_sub(&awaited, 1);
    }
  }
  await_answers(dump, asker, &awaited);
  for (size_t i = 0; i < dump->count; i++)
    take_back(dump->answers[i].thread, &questions[i]);
}

bool lt_dump_take(lt_Dump *dump, const lt_DumpAsker *asker) {
  dump->answers = NULL;
  lt_Thread **threads = lt_runtime_threads_list(asker->runtime, &dump->count);
  if (threads == NULL)
    return false;
  lt_DumpQuestion *questions = malloc(dump->count * sizeof(*questions));
  dump->answers = calloc(dump->count, sizeof(*dump->answers));
  bool done = questions != NULL && dump->answers != NULL;
  for (size_t i = 0; i < dump->count; i++) {
    if (done)
      dump->answers[i].thread = threads[dump->count - 1 - i];
    else
      lt_object_release(&threads[i]->object);
  }
  if (done) {
    ask_all(dump, questions, asker);
  } else {
    free(dump->answers);
    dump->answers = NULL;
  }
  free(questions);
  free(threads);
  return done;
}

static const char *why_silent(lt_Thread *thread) {
  switch ((lt_ThreadStatus)atomic_load(&thread->status)) {
  case LT_UNSTARTED:
  case LT_STARTING:
    return "starting";
  case LT_RUNNING:
    return "running, in C code that does not come back to Lua";
  case LT_STOPPING:
  case LT_DONE:
    break;
  }
  return "ending";
}

static void add_silent(lt_StringBuffer *text, lt_Thread *thread) {
  lt_SectionText section;
  lt_string_buffer_add(text, "Thread ");
  lt_dump_add_identity(text, thread);
  add_native_id(text, thread);
  if (!lt_section_show(thread, &section)) {
    lt_string_buffer_add(text, ", %s\n", why_silent(thread));
    return;
  }
  lt_string_buffer_add(text, ", in %s for %.3f s:\n", section.name,
                       (double)(plat_now() - section.since) / (double)PLAT_SECOND);
  if (section.line > 0)
    lt_string_buffer_add(text, "\t%s:%d: in ?\n", section.source, section.line);
}

void lt_dump_write(const lt_Dump *dump, lt_StringBuffer *text) {
  for (size_t i = 0; i < dump->count; i++) {
    const lt_DumpAnswer *answer = &dump->answers[i];
    if (answer->text.bytes != NULL)
      lt_string_buffer_add(text, "%s", answer->text.bytes);
    else
      add_silent(text, answer->thread);
  }
}

void lt_dump_free(lt_Dump *dump) {
  for (size_t i = 0; i < dump->count && dump->answers != NULL; i++) {
    lt_string_buffer_free(&dump->answers[i].text);
    lt_object_release(&dump->answers[i].thread->object);
  }
  free(dump->answers);
}
