/*
** Most functions reach globals by an upvalue and a constant in one instruction: one look at each
** instruction finds these. Where a function loads the globals into a register, it is followed which
** registers have them at each instruction, on all ways that lead there. Where they have them on
** some ways only, or a variable is set after it has been captured, the names are guessed.
**
** Each pass over the instructions takes what the one before has learned of jumps back, until there
** is no more to learn; so many loops within each other nobody writes.
*/
#include "src/transfer/global_names.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/growing_array.h"
#include "src/transfer/dump_format.h"

enum { REGISTERS = 256, MOST_PASSES = 10, RECENT_NAMES = 64 };

typedef struct Names {
  lt_DumpReader reader;
  lt_GlobalName *list;
  size_t count;
  size_t capacity;
  bool has_guesses;
} Names;

/* What upvalues of one function are. */
typedef struct Upvalues {
  lt_Globals of[REGISTERS];
  lt_UpvalueSet assigned;
} Upvalues;

/* A function within the one that is followed: what it captures. */
typedef struct Capture {
  size_t at;    /* the instruction that makes it */
  size_t state; /* what the registers have then, 0: nothing */
} Capture;

typedef struct Flow {
  Names *names;
  lt_DumpFunction *function;
  Upvalues *upvalues;
  bool is_reachable;
  bool is_conditional; /* the instruction before may pass over this one */
  bool has_changed;    /* there is something to learn for another pass */
  bool adds_names;     /* it is the last one */
  lt_Globals now[REGISTERS];
  size_t keys[REGISTERS];         /* the constant that a register has got last, from 1 on */
  lt_Globals set_late[REGISTERS]; /* what a register has got last that is the globals, and when */
  size_t set_at[REGISTERS];
  size_t closed_at[REGISTERS]; /* when it was last a variable that ended */
  uint32_t *arrivals; /* the state in which jumps arrive at each instruction, 0: none does */
  lt_Globals *states; /* so many registers each; the first one is unused */
  size_t state_count;
  size_t state_capacity;
  Capture *captures; /* by the number of the function within */
  size_t capture_capacity;
} Flow;

/*
** Names
*/

static bool same_name(const Names *names, lt_GlobalName a, lt_DumpString b) {
  const unsigned char *bytes = names->reader.bytes;
  return a.length == b.length && memcmp(bytes + a.offset, bytes + b.offset, a.length) == 0;
}

/*
** Within a function a constant is added once. Functions within each other mostly name the same
** globals: one that came lately is not added again, and repeating one does no harm.
*/
static bool is_recent(const Names *names, lt_DumpString string, lt_Globals globals) {
  for (size_t i = names->count; i > 0 && names->count - i < RECENT_NAMES; i--)
    if (names->list[i - 1].globals == globals && same_name(names, names->list[i - 1], string))
      return true;
  return false;
}

static bool add_name(Names *names, const lt_DumpFunction *function, size_t constant,
                     lt_Globals globals) {
  if (constant >= function->constant_count)
    return true;
  lt_DumpString string = function->constants[constant];
  function->constants[constant].mark = globals;
  if (string.length == SIZE_MAX || string.mark == globals || is_recent(names, string, globals))
    return true;
  if (names->count == names->capacity &&
      !lt_array_grow(&names->list, NULL, &names->capacity, 8, sizeof(lt_GlobalName))) {
    names->reader.no_memory = true;
    return false;
  }
  names->has_guesses = names->has_guesses || (globals & LT_GLOBALS_GUESSED) != 0;
  names->list[names->count++] = (lt_GlobalName){string.offset, string.length, globals};
  return true;
}

static bool is_own_name(const Names *names, const lt_DumpFunction *function, size_t constant) {
  if (constant >= function->constant_count || function->constants[constant].length != 2)
    return false;
  return memcmp(names->reader.bytes + function->constants[constant].offset, "_G", 2) == 0;
}

/* What the field of the globals is, which it names; 0: not the globals. */
static lt_Globals field_of(const Names *names, const lt_DumpFunction *function, lt_Globals globals,
                           size_t constant) {
  if (globals == 0 || !is_own_name(names, function, constant))
    return 0;
  return globals | LT_GLOBALS_FIELD;
}

/* One look at each instruction; false without memory. Tells whether registers get the globals. */
static bool look(Names *names, const lt_DumpFunction *function, Upvalues *upvalues, bool *loads) {
  for (size_t i = 0;; i++) {
    i = lt_dump_next_upvalue_use(&names->reader, function, i);
    if (i >= function->instruction_count)
      return true;
    lt_Step step = lt_dump_step(&names->reader, function, i);
    lt_Globals globals = 0;
    if (step.kind == LT_STEP_FIELD_OF_UPVALUE || step.kind == LT_STEP_SET_FIELD_OF_UPVALUE)
      globals = upvalues->of[step.b];
    else if (step.kind == LT_STEP_GET_UPVALUE)
      *loads = *loads || upvalues->of[step.b] != 0;
    else if (step.kind == LT_STEP_SET_UPVALUE)
      lt_upvalue_set_add(&upvalues->assigned, (int)step.b + 1);
    if (globals == 0)
      continue;
    *loads =
        *loads || (step.kind == LT_STEP_FIELD_OF_UPVALUE && is_own_name(names, function, step.c));
    if (!add_name(names, function, step.c, globals))
      return false;
  }
}

/*
** Following registers
*/

static lt_Globals join(lt_Globals a, lt_Globals b) {
  if (a == b)
    return a;
  if (a != 0 && b != 0)
    return a | (b & LT_GLOBALS_GUESSED);
  return a | b | LT_GLOBALS_GUESSED;
}

static lt_Globals *state_of(const Flow *flow, size_t number) {
  return flow->states + number * flow->function->registers;
}

/* A new state, which is as now. Returns 0 without memory. */
static size_t save_state(Flow *flow) {
  size_t registers = flow->function->registers;
  if (flow->state_count == flow->state_capacity &&
      !lt_array_grow(&flow->states, NULL, &flow->state_capacity, 8,
                     registers * sizeof(lt_Globals))) {
    flow->names->reader.no_memory = true;
    return 0;
  }
  memcpy(state_of(flow, flow->state_count), flow->now, registers * sizeof(lt_Globals));
  return flow->state_count++;
}

static bool jump_to(Flow *flow, size_t target, size_t at) {
  if (target >= flow->function->instruction_count)
    return true;
  bool is_back = target <= at;
  if (flow->arrivals[target] == 0) {
    size_t number = save_state(flow);
    flow->arrivals[target] = (uint32_t)number;
    flow->has_changed = flow->has_changed || is_back;
    return number != 0;
  }
  lt_Globals *state = state_of(flow, flow->arrivals[target]);
  for (size_t i = 0; i < flow->function->registers; i++) {
    lt_Globals joined = join(state[i], flow->now[i]);
    flow->has_changed = flow->has_changed || (is_back && joined != state[i]);
    state[i] = joined;
  }
  return true;
}

static void arrive(Flow *flow, size_t at) {
  if (flow->arrivals[at] == 0)
    return;
  const lt_Globals *state = state_of(flow, flow->arrivals[at]);
  for (size_t i = 0; i < flow->function->registers; i++)
    flow->now[i] = flow->is_reachable ? join(flow->now[i], state[i]) : state[i];
  flow->is_reachable = true;
}

static void set_register(Flow *flow, unsigned number, lt_Globals globals, size_t at) {
  if (number >= REGISTERS)
    return;
  flow->now[number] = globals;
  flow->keys[number] = 0;
  if (globals != 0) {
    flow->set_late[number] = globals;
    flow->set_at[number] = at;
  }
}

static void clear_registers(Flow *flow, unsigned first, unsigned last) {
  for (unsigned i = first; i <= last && i < flow->function->registers; i++)
    set_register(flow, i, 0, 0);
}

/* Notes what a closure captures that is made here. */
static bool note_capture(Flow *flow, size_t number, size_t at) {
  while (number >= flow->capture_capacity) {
    size_t before = flow->capture_capacity;
    if (!lt_array_grow(&flow->captures, NULL, &flow->capture_capacity, number + 1,
                       sizeof(Capture))) {
      flow->names->reader.no_memory = true;
      return false;
    }
    memset(flow->captures + before, 0, (flow->capture_capacity - before) * sizeof(Capture));
  }
  flow->captures[number].at = at;
  bool holds = false;
  for (size_t i = 0; i < flow->function->registers; i++)
    holds = holds || flow->now[i] != 0;
  if (holds && flow->adds_names)
    flow->captures[number].state = save_state(flow);
  return !flow->names->reader.no_memory;
}

static bool use(Flow *flow, lt_Globals globals, size_t constant) {
  return globals == 0 || !flow->adds_names ||
         add_name(flow->names, flow->function, constant, globals);
}

/* A field whose name is in a register. */
static bool use_register(Flow *flow, lt_Globals globals, unsigned key) {
  return flow->keys[key] == 0 || use(flow, globals, flow->keys[key] - 1);
}

static lt_Globals field_by_register(const Flow *flow, lt_Globals globals, unsigned key) {
  return flow->keys[key] == 0 ? 0
                              : field_of(flow->names, flow->function, globals, flow->keys[key] - 1);
}

static void set_upvalue(Flow *flow, unsigned number, lt_Globals globals) {
  if (globals == 0 || flow->upvalues->of[number] != 0)
    return;
  flow->upvalues->of[number] = globals | LT_GLOBALS_GUESSED;
  flow->has_changed = true;
}

/* What reads and writes fields. */
static bool follow_field(Flow *flow, const lt_Step *step, size_t at) {
  bool is_upvalue =
      step->kind == LT_STEP_FIELD_OF_UPVALUE || step->kind == LT_STEP_SET_FIELD_OF_UPVALUE;
  bool by_register = step->kind == LT_STEP_FIELD_BY_REGISTER ||
                     step->kind == LT_STEP_SET_FIELD_BY_REGISTER ||
                     step->kind == LT_STEP_METHOD_BY_REGISTER;
  bool is_method = step->kind == LT_STEP_METHOD || step->kind == LT_STEP_METHOD_BY_REGISTER;
  bool writes = step->kind == LT_STEP_SET_FIELD || step->kind == LT_STEP_SET_FIELD_OF_UPVALUE ||
                step->kind == LT_STEP_SET_FIELD_BY_REGISTER;
  lt_Globals globals = is_upvalue ? flow->upvalues->of[step->b] : flow->now[step->b];
  if (!(by_register ? use_register(flow, globals, step->c) : use(flow, globals, step->c)))
    return false;
  if (writes)
    return true;
  lt_Globals field = by_register ? field_by_register(flow, globals, step->c)
                                 : field_of(flow->names, flow->function, globals, step->c);
  if (is_method)
    set_register(flow, step->a + 1, globals, at);
  set_register(flow, step->a, field, at);
  return true;
}

static bool follow(Flow *flow, const lt_Step *step, size_t at) {
  switch (step->kind) {
  case LT_STEP_WRITE:
    clear_registers(flow, step->a, step->b);
    return true;
  case LT_STEP_MOVE:
    set_register(flow, step->a, flow->now[step->b], at);
    flow->keys[step->a] = flow->keys[step->b];
    return true;
  case LT_STEP_CONSTANT:
    set_register(flow, step->a, 0, at);
    flow->keys[step->a] = (size_t)step->b + 1;
    return true;
  case LT_STEP_GET_UPVALUE:
    set_register(flow, step->a, flow->upvalues->of[step->b], at);
    return true;
  case LT_STEP_SET_UPVALUE:
    set_upvalue(flow, step->b, flow->now[step->a]);
    return true;
  case LT_STEP_CLOSURE:
    set_register(flow, step->a, 0, at);
    return note_capture(flow, step->b, at);
  case LT_STEP_TEST:
    if (step->a != step->b)
      set_register(flow, step->a, flow->now[step->b], at);
    return true;
  case LT_STEP_JUMP:
    return jump_to(flow, step->target, at);
  case LT_STEP_BRANCH:
    clear_registers(flow, step->a, step->b);
    return jump_to(flow, step->target, at);
  case LT_STEP_CLOSE:
    for (unsigned i = step->a; i < flow->function->registers; i++)
      flow->closed_at[i] = at;
    return true;
  case LT_STEP_RETURN:
    return true;
  default:
    return follow_field(flow, step, at);
  }
}

static bool pass(Flow *flow) {
  memset(flow->now, 0, sizeof(flow->now));
  memset(flow->keys, 0, sizeof(flow->keys));
  flow->is_reachable = true;
  flow->is_conditional = false;
  flow->has_changed = false;
  for (size_t i = 0; i < flow->function->instruction_count; i++) {
    arrive(flow, i);
    lt_Step step = lt_dump_step(&flow->names->reader, flow->function, i);
    if (flow->is_reachable && !follow(flow, &step, i))
      return false;
    if (step.kind == LT_STEP_RETURN || (step.kind == LT_STEP_JUMP && !flow->is_conditional))
      flow->is_reachable = false;
    flow->is_conditional = step.kind == LT_STEP_TEST;
  }
  return true;
}

/* False without memory. */
static bool follow_registers(Flow *flow) {
  flow->arrivals = calloc(flow->function->instruction_count + 1, sizeof(uint32_t));
  if (flow->arrivals == NULL || flow->function->registers == 0) {
    flow->names->reader.no_memory = flow->arrivals == NULL;
    return flow->arrivals != NULL;
  }
  memset(flow->now, 0, sizeof(flow->now));
  if (save_state(flow) != 0 || flow->names->reader.no_memory) /* number 0 */
    return false;
  for (int i = 0; i < MOST_PASSES; i++) {
    if (!pass(flow))
      return false;
    if (!flow->has_changed)
      break;
  }
  flow->adds_names = true;
  return pass(flow);
}

/* What an upvalue of the function within has got from a register. */
static lt_Globals captured(const Flow *flow, size_t number, unsigned index) {
  if (number >= flow->capture_capacity || index >= flow->function->registers)
    return 0;
  const Capture *capture = &flow->captures[number];
  lt_Globals globals = capture->state == 0 ? 0 : state_of(flow, capture->state)[index];
  size_t set_at = flow->set_at[index], closed_at = flow->closed_at[index];
  bool is_other = closed_at > capture->at && closed_at < set_at; /* what was set late */
  if (globals == 0 && flow->set_late[index] != 0 && set_at > capture->at && !is_other)
    globals = flow->set_late[index] | LT_GLOBALS_GUESSED;
  return globals;
}

static void free_flow(Flow *flow) {
  if (flow == NULL)
    return;
  free(flow->arrivals);
  free(flow->states);
  free(flow->captures);
  free(flow);
}

/*
** Functions within functions; the parser of Lua bounds how deep they nest. 'outer' and 'flow', if
** it was followed, are of the one around, in which this one has the number 'number'.
*/

typedef struct Outer {
  Upvalues *upvalues;
  const Flow *flow;
  size_t number;
} Outer;

/* Which upvalues of the one around those of a function are, from 1 on; 0: a local variable. */
typedef struct Origins {
  int count;
  unsigned short outer[REGISTERS];
} Origins;

static void read_upvalues(Names *names, const Outer *outer, Upvalues *upvalues, Origins *origins) {
  size_t count = lt_dump_read_count(&names->reader);
  for (size_t i = 0; i < count && !names->reader.truncated; i++) {
    lt_DumpUpvalue upvalue = lt_dump_read_upvalue(&names->reader);
    if (outer == NULL || i >= REGISTERS)
      continue;
    origins->count = (int)i + 1;
    origins->outer[i] = (unsigned short)(upvalue.in_stack ? 0 : upvalue.index + 1);
    if (!upvalue.in_stack)
      upvalues->of[i] = outer->upvalues->of[upvalue.index];
    else if (outer->flow != NULL)
      upvalues->of[i] = captured(outer->flow, outer->number, upvalue.index);
  }
}

/* What a function within another assigns, that one does, too. */
static void pass_assigned(const Upvalues *inner, const Origins *origins, Upvalues *outer) {
  for (int i = 0; i < origins->count; i++)
    if (origins->outer[i] != 0 && lt_upvalue_set_has(&inner->assigned, i + 1))
      lt_upvalue_set_add(&outer->assigned, origins->outer[i]);
}

static Flow *new_flow(Names *names, lt_DumpFunction *function, Upvalues *upvalues) {
  Flow *flow = calloc(1, sizeof(Flow));
  names->reader.no_memory = names->reader.no_memory || flow == NULL;
  if (flow != NULL) {
    flow->names = names;
    flow->function = function;
    flow->upvalues = upvalues;
  }
  return flow;
}

static bool read_whole(Names *names, const Outer *outer, Upvalues *upvalues);

static bool read_parts(Names *names, lt_DumpFunction *function, const Outer *outer,
                       Upvalues *upvalues, Flow **flow) {
  bool loads = false;
  Origins origins;
  origins.count = 0;
  read_upvalues(names, outer, upvalues, &origins);
  if (!look(names, function, upvalues, &loads))
    return false;
  if (loads) {
    *flow = new_flow(names, function, upvalues);
    if (*flow == NULL || !follow_registers(*flow))
      return false;
  }
  size_t count = lt_dump_read_count(&names->reader);
  for (size_t i = 0; i < count; i++) {
    Outer own = {upvalues, *flow, i};
    Upvalues inner = {{0}, {{0}}};
    if (!read_whole(names, &own, &inner))
      return false;
  }
  lt_dump_skip_debug(&names->reader);
  if (outer != NULL)
    pass_assigned(upvalues, &origins, outer->upvalues);
  return !names->reader.truncated;
}

/* The outermost function has no other around it, and comes with its own upvalues. */
static bool read_whole(Names *names, const Outer *outer, Upvalues *upvalues) {
  lt_DumpFunction function;
  Flow *flow = NULL;
  bool done = lt_dump_read_function(&names->reader, &function) &&
              read_parts(names, &function, outer, upvalues, &flow);
  free_flow(flow);
  free(function.constants);
  return done;
}

/* So that a name that is also certain is met as such. */
static bool put_guesses_last(Names *names) {
  size_t certain = 0, guessed = 0;
  if (!names->has_guesses)
    return true;
  lt_GlobalName *guesses = malloc((names->count + 1) * sizeof(lt_GlobalName));
  if (guesses == NULL)
    return false;
  for (size_t i = 0; i < names->count; i++) {
    if (names->list[i].globals & LT_GLOBALS_GUESSED)
      guesses[guessed++] = names->list[i];
    else
      names->list[certain++] = names->list[i];
  }
  if (guessed > 0)
    memcpy(names->list + certain, guesses, guessed * sizeof(lt_GlobalName));
  free(guesses);
  return true;
}

void lt_global_names_forget(lt_GlobalNames *names) {
  names->count = 0;
  names->are_known = false;
  memset(&names->assigned, 0xff, sizeof(names->assigned));
}

bool lt_global_names_find(const unsigned char *bytes, size_t size, const lt_UpvalueSet *globals,
                          lt_GlobalNames *found) {
  Names names = {.reader = {.bytes = bytes, .size = size}};
  Upvalues upvalues = {{0}, {{0}}};
  for (int i = 1; i < REGISTERS; i++)
    if (lt_upvalue_set_has(globals, i))
      upvalues.of[i - 1] = (lt_Globals)i;
  bool are_known = lt_dump_begin(&names.reader) && read_whole(&names, NULL, &upvalues);
  lt_dump_end(&names.reader);
  if (names.reader.no_memory || !put_guesses_last(&names)) {
    free(names.list);
    return false;
  }
  *found = (lt_GlobalNames){names.list, names.count, are_known, upvalues.assigned};
  if (!are_known)
    lt_global_names_forget(found);
  return true;
}
