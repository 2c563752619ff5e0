/*
** Whether the bytecode of this Lua is of the format that is known (dump_format.h): a Lua that somebody
** has changed, or a later one, may have another, and then a function would lose its globals. Then
** functions that have globals don't cross, unless the sender names those.
**
** Tried once in a process, when a function is sent for the first time, which takes 0.1 ms.
*/
#ifndef lt_bytecode_trial_h
#define lt_bytecode_trial_h

typedef enum lt_BytecodeTrial {
  LT_BYTECODE_UNTRIED, /* for want of memory */
  LT_BYTECODE_KNOWN,
  LT_BYTECODE_UNKNOWN
} lt_BytecodeTrial;

/* The state that it is tried in is none of the caller's. */
lt_BytecodeTrial lt_bytecode_trial(void);

#endif
