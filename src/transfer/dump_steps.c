/*
** Instructions. Seven bits are the operation, then come A, of 8 bits, and k, B and C, of 1, 8 and
** 8, or Bx, all the 17, or with A as one. Lua 5.5 has the numbers of Lua 5.4, and some more.
*/
#include "src/transfer/dump_format.h"

#include <string.h>

#include <lua.h>

enum { NO_REGISTER = 255 };

enum {
  OP_MOVE = 0,
  OP_LOADK = 3,
  OP_LOADKX = 4,
  OP_LOADNIL = 8,
  OP_GETUPVAL = 9,
  OP_SETUPVAL = 10,
  OP_GETTABUP = 11,
  OP_GETTABLE = 12,
  OP_GETFIELD = 14,
  OP_SETTABUP = 15,
  OP_SETTABLE = 16,
  OP_SETI = 17,
  OP_SETFIELD = 18,
  OP_SELF = 20,
  OP_MMBIN = 46,
  OP_MMBINK = 48,
  OP_CLOSE = 54,
  OP_TBC = 55,
  OP_JMP = 56,
  OP_EQ = 57,
  OP_TEST = 66,
  OP_TESTSET = 67,
  OP_CALL = 68,
  OP_TAILCALL = 69,
  OP_RETURN = 70,
  OP_RETURN1 = 72,
  OP_FORLOOP = 73,
  OP_FORPREP = 74,
  OP_TFORPREP = 75,
  OP_TFORCALL = 76,
  OP_TFORLOOP = 77,
  OP_SETLIST = 78,
  OP_CLOSURE = 79,
  OP_VARARG = 80,
  OP_GETVARG = 81, /* in Lua 5.5 */
  LAST_WRITER = LT_DUMP_IS_5_5 ? OP_GETVARG : OP_VARARG
};

static uint32_t instruction_at(const lt_DumpReader *reader, const lt_DumpFunction *function,
                               size_t number) {
  uint32_t instruction = 0;
  if (number < function->instruction_count)
    memcpy(&instruction, reader->bytes + function->code + number * LT_INSTRUCTION_BYTES,
           sizeof(instruction));
  return instruction;
}

size_t lt_dump_next_upvalue_use(const lt_DumpReader *reader, const lt_DumpFunction *function,
                                size_t number) {
  static const uint32_t uses = 1u << OP_GETUPVAL | 1u << OP_SETUPVAL | 1u << OP_GETTABUP |
                               1u << OP_SETTABUP; /* all are below 32 */
  const unsigned char *code = reader->bytes + function->code;
  for (; number < function->instruction_count; number++) {
    uint32_t instruction;
    memcpy(&instruction, code + number * LT_INSTRUCTION_BYTES, sizeof(instruction));
    if ((instruction & 0x7f) < 32 && (uses >> (instruction & 0x7f) & 1) != 0)
      break;
  }
  return number;
}

static lt_Step branch(size_t target, unsigned first, unsigned last) {
  return (lt_Step){LT_STEP_BRANCH, first, last, 0, target};
}

/* The registers of loops that the instructions write. */
enum {
  LAST_OF_NUMERIC_LOOP = LT_DUMP_IS_5_5 ? 2 : 3,
  FIRST_OF_GENERIC_LOOP = LT_DUMP_IS_5_5 ? 3 : 4
};

static lt_Step loop_step(unsigned opcode, unsigned a, size_t bx, size_t next) {
  switch (opcode) {
  case OP_FORLOOP:
    return branch(next - bx, a, a + LAST_OF_NUMERIC_LOOP);
  case OP_FORPREP:
    return branch(next + bx + 1, a, a + LAST_OF_NUMERIC_LOOP);
  case OP_TFORPREP:
    if (LT_DUMP_IS_5_5) /* it exchanges the two last values that the iterator has come with */
      return branch(next + bx, a + 2, a + 3);
    return branch(next + bx, 1, 0);
  default: /* OP_TFORLOOP */
    return branch(next - bx, a, a);
  }
}

/* Those that write other registers than A, or none. */
static lt_Step plain_step(unsigned opcode, unsigned a, unsigned b) {
  lt_Step step = {LT_STEP_WRITE, a, a, 0, 0};
  if (opcode == OP_LOADNIL)
    step.b = a + b;
  else if (opcode == OP_CALL || opcode == OP_TAILCALL || opcode == OP_VARARG)
    step.b = NO_REGISTER;
  else if (opcode == OP_TFORCALL)
    step = (lt_Step){LT_STEP_WRITE, a + FIRST_OF_GENERIC_LOOP, NO_REGISTER, 0, 0};
  else if (opcode == OP_SETI || (opcode >= OP_MMBIN && opcode <= OP_MMBINK) || opcode == OP_TBC ||
           opcode == OP_SETLIST || opcode > LAST_WRITER)
    step = (lt_Step){LT_STEP_WRITE, 1, 0, 0, 0};
  return step;
}

lt_Step lt_dump_step(const lt_DumpReader *reader, const lt_DumpFunction *function, size_t number) {
  uint32_t i = instruction_at(reader, function, number);
  unsigned opcode = i & 0x7f, a = i >> 7 & 0xff, b = i >> 16 & 0xff, c = i >> 24;
  bool k = (i >> 15 & 1) != 0;
  size_t bx = i >> 15, next = number + 1;
  switch (opcode) {
  case OP_MOVE:
    return (lt_Step){LT_STEP_MOVE, a, b, 0, 0};
  case OP_LOADK:
    return (lt_Step){LT_STEP_CONSTANT, a, (unsigned)bx, 0, 0};
  case OP_LOADKX:
    return (lt_Step){LT_STEP_CONSTANT, a, instruction_at(reader, function, next) >> 7, 0, 0};
  case OP_GETUPVAL:
    return (lt_Step){LT_STEP_GET_UPVALUE, a, b, 0, 0};
  case OP_SETUPVAL:
    return (lt_Step){LT_STEP_SET_UPVALUE, a, b, 0, 0};
  case OP_GETTABUP:
    return (lt_Step){LT_STEP_FIELD_OF_UPVALUE, a, b, c, 0};
  case OP_SETTABUP:
    return (lt_Step){LT_STEP_SET_FIELD_OF_UPVALUE, 0, a, b, 0};
  case OP_GETTABLE:
    return (lt_Step){LT_STEP_FIELD_BY_REGISTER, a, b, c, 0};
  case OP_GETFIELD:
    return (lt_Step){LT_STEP_FIELD, a, b, c, 0};
  case OP_SETTABLE:
    return (lt_Step){LT_STEP_SET_FIELD_BY_REGISTER, 0, a, b, 0};
  case OP_SETFIELD:
    return (lt_Step){LT_STEP_SET_FIELD, 0, a, b, 0};
  case OP_SELF:
    return (lt_Step){k || LT_DUMP_IS_5_5 ? LT_STEP_METHOD : LT_STEP_METHOD_BY_REGISTER, a, b, c, 0};
  case OP_CLOSURE:
    return (lt_Step){LT_STEP_CLOSURE, a, (unsigned)bx, 0, 0};
  case OP_CLOSE:
    return (lt_Step){LT_STEP_CLOSE, a, 0, 0, 0};
  case OP_JMP: /* the distance is stored in excess of the largest one */
    return (lt_Step){LT_STEP_JUMP, 0, 0, 0, next + (i >> 7) - 0xffffff};
  case OP_TESTSET:
    return (lt_Step){LT_STEP_TEST, a, b, 0, 0};
  case OP_FORLOOP:
  case OP_FORPREP:
  case OP_TFORPREP:
  case OP_TFORLOOP:
    return loop_step(opcode, a, bx, next);
  default:
    break;
  }
  if (opcode >= OP_EQ && opcode <= OP_TEST)
    return (lt_Step){LT_STEP_TEST, 0, 0, 0, 0};
  if (opcode >= OP_RETURN && opcode <= OP_RETURN1)
    return (lt_Step){LT_STEP_RETURN, 0, 0, 0, 0};
  return plain_step(opcode, a, b);
}
