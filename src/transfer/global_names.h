/*
** The names of globals in the bytecode of a function: constants by which it, or a function within
** it, reads or writes a field of what is the globals.
*/
#ifndef lt_global_names_h
#define lt_global_names_h

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
** Where the globals are found in which a name is looked up: 0, nowhere, or the upvalue of the
** outermost function, from 1 on, that has them, and what else is known.
*/
typedef uint16_t lt_Globals;
enum {
  LT_GLOBALS_UPVALUE = 0xff,
  LT_GLOBALS_FIELD = 0x100,  /* they are the field _G of what the upvalue has */
  LT_GLOBALS_GUESSED = 0x200 /* it depends on what the function does */
};

typedef struct lt_GlobalName {
  size_t offset; /* into the bytes of the dump */
  size_t length;
  lt_Globals globals;
} lt_GlobalName;

/* Some of the upvalues of a function, which are counted from 1 on. */
typedef struct lt_UpvalueSet {
  uint32_t bits[8];
} lt_UpvalueSet;

static inline bool lt_upvalue_set_has(const lt_UpvalueSet *set, int upvalue) {
  unsigned bit = (unsigned)upvalue - 1;
  return bit < 256 && (set->bits[bit / 32] >> (bit % 32) & 1) != 0;
}

static inline void lt_upvalue_set_add(lt_UpvalueSet *set, int upvalue) {
  unsigned bit = (unsigned)upvalue - 1;
  if (bit < 256)
    set->bits[bit / 32] |= (uint32_t)1 << (bit % 32);
}

typedef struct lt_GlobalNames {
  lt_GlobalName *list; /* those that are guessed last */
  size_t count;
  bool are_known; /* false: the dump is not of the format that is known, and the list empty */
  lt_UpvalueSet
      assigned; /* upvalues, by the function or by one within it; all if that's not known */
} lt_GlobalNames;

/*
** Finds the names in a dump, 'globals' being the upvalues that are the globals, or fall back on
** them. The caller frees the list. False: there is no memory.
*/
bool lt_global_names_find(const unsigned char *bytes, size_t size, const lt_UpvalueSet *globals,
                          lt_GlobalNames *names);

/* What was found is not to be trusted. The list is still to be freed. */
void lt_global_names_forget(lt_GlobalNames *names);

#endif
