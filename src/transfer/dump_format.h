/*
** The formats in which Lua 5.4 and Lua 5.5 dump functions: all that depends on them is here, in
** dump_format.c (what is where) and in dump_steps.c (the instructions). A dump of any other format is
** read as one without contents.
*/
#ifndef lt_dump_format_h
#define lt_dump_format_h

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

enum { LT_DUMP_IS_5_5 = LUA_VERSION_NUM >= 505, LT_INSTRUCTION_BYTES = 4 };

typedef struct lt_DumpString {
  size_t offset; /* into the dump */
  size_t length; /* SIZE_MAX: it is no string */
  unsigned mark; /* for who reads it; 0 at first */
} lt_DumpString;

/* A cursor; past the end it reads zeros and says so in 'truncated'. */
typedef struct lt_DumpReader {
  const unsigned char *bytes;
  size_t size;
  size_t position;
  bool truncated;
  bool no_memory;
  lt_DumpString *strings; /* in Lua 5.5 a string that comes again is told by its number */
  size_t string_count;
  size_t string_capacity;
} lt_DumpReader;

/* The parts of a function, in the order in which they are read. */
typedef struct lt_DumpFunction {
  unsigned registers;
  size_t code; /* where it begins */
  size_t instruction_count;
  size_t constant_count;
  lt_DumpString *constants; /* to be freed */
} lt_DumpFunction;

/* Where the upvalue of a function is from in the one around it: a register, or an upvalue. */
typedef struct lt_DumpUpvalue {
  bool in_stack;
  unsigned index;
} lt_DumpUpvalue;

/* Up to the outermost function. */
bool lt_dump_begin(lt_DumpReader *reader);

/* At the end. */
void lt_dump_end(lt_DumpReader *reader);

/* Up to its upvalues; false if that fails. */
bool lt_dump_read_function(lt_DumpReader *reader, lt_DumpFunction *function);

/* How many upvalues there are, or functions within. */
size_t lt_dump_read_count(lt_DumpReader *reader);

lt_DumpUpvalue lt_dump_read_upvalue(lt_DumpReader *reader);

/* What follows the functions within. */
void lt_dump_skip_debug(lt_DumpReader *reader);

/*
** What an instruction does, as far as it matters for where the globals are. R is a register, K the
** number of a constant, U an upvalue.
*/
typedef enum lt_StepKind {
  LT_STEP_WRITE,                 /* R[a] to R[b] get other values; none if b < a */
  LT_STEP_MOVE,                  /* R[a] = R[b] */
  LT_STEP_CONSTANT,              /* R[a] = K[b] */
  LT_STEP_GET_UPVALUE,           /* R[a] = U[b] */
  LT_STEP_SET_UPVALUE,           /* U[b] = R[a] */
  LT_STEP_FIELD_OF_UPVALUE,      /* R[a] = U[b][K[c]] */
  LT_STEP_SET_FIELD_OF_UPVALUE,  /* U[b][K[c]] = ... */
  LT_STEP_FIELD,                 /* R[a] = R[b][K[c]] */
  LT_STEP_SET_FIELD,             /* R[b][K[c]] = ... */
  LT_STEP_FIELD_BY_REGISTER,     /* R[a] = R[b][R[c]] */
  LT_STEP_SET_FIELD_BY_REGISTER, /* R[b][R[c]] = ... */
  LT_STEP_METHOD,                /* R[a + 1] = R[b]; R[a] = R[b][K[c]] */
  LT_STEP_METHOD_BY_REGISTER,    /* the same with R[c] */
  LT_STEP_CLOSURE,               /* R[a] = the function number b within this one */
  LT_STEP_TEST,   /* the next one, a jump, may be passed over; R[a] = R[b] before it if a != b */
  LT_STEP_JUMP,   /* to 'target' */
  LT_STEP_BRANCH, /* to 'target', or on; on the way R[a] to R[b] get other values */
  LT_STEP_CLOSE,  /* variables in R[a] and above that were captured are no registers any more */
  LT_STEP_RETURN
} lt_StepKind;

typedef struct lt_Step {
  lt_StepKind kind;
  unsigned a, b, c;
  size_t target;
} lt_Step;

/* The first instruction from 'number' on that reads or writes an upvalue; their number if none does. */
size_t lt_dump_next_upvalue_use(const lt_DumpReader *reader, const lt_DumpFunction *function,
                                size_t number);

/* The instruction at 'number', from 0 on. */
lt_Step lt_dump_step(const lt_DumpReader *reader, const lt_DumpFunction *function, size_t number);

#endif
