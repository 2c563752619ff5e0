/*
** Others often come soon, and parking costs more than a moment. While one spins it does not look at
** once, nor often: each look takes a cache line from the other thread. Where more than one item
** has come meanwhile, they come in a stream, and the next wait may be longer.
**
** Where spinning was in vain, perhaps because the other thread needs this very processor, it is
** left out, for twice as many waits each time.
**
** Relaxed everywhere: these are guesses.
*/
#include "src/sync/spinner.h"

#include "platform/platform.h"

#define PAUSES_IN_ALL 1024 /* some 10 to 50 microseconds, as long as waking a thread may take */
#define PAUSES_LEAST 8
#define PAUSES_MOST 512
#define SKIPS_LEAST 4
#define SKIPS_MOST 1024

void lt_spinner_init(lt_Spinner *spinner) {
  atomic_init(&spinner->pauses, PAUSES_LEAST);
  atomic_init(&spinner->skips, 0);
  atomic_init(&spinner->skips_left, 0);
}

static int guess(atomic_int *variable) {
  return atomic_load_explicit(variable, memory_order_relaxed);
}

static void spinner_learn(atomic_int *variable, int value, int least, int most) {
  value = value < least ? least : value > most ? most : value;
  if (value != guess(variable))
    atomic_store_explicit(variable, value, memory_order_relaxed);
}

static bool spinner_is_alone(void) {
  static atomic_int processors;
  int count = guess(&processors); /* whoever finds 0 asks for itself */
  if (count == 0) {
    count = (int)plat_cpu_count();
    atomic_store_explicit(&processors, count, memory_order_relaxed);
  }
  return count == 1;
}

static bool spin(lt_Spinner *spinner, lt_Chances chances, const void *context) {
  int pauses = guess(&spinner->pauses);
  for (int spent = 0; spent < PAUSES_IN_ALL; spent += pauses) {
    for (int i = 0; i < pauses; i++)
      plat_relax();
    uint64_t count = chances(context);
    if (count > 0) {
      spinner_learn(&spinner->pauses, count > 1 ? pauses * 2 : pauses / 2, PAUSES_LEAST,
                    PAUSES_MOST);
      return true;
    }
  }
  return false;
}

bool lt_spinner_spin(lt_Spinner *spinner, lt_Chances chances, const void *context) {
  int left = guess(&spinner->skips_left);
  if (spinner_is_alone())
    return false;
  if (left > 0) {
    spinner_learn(&spinner->skips_left, left - 1, 0, SKIPS_MOST);
    return false;
  }
  bool over = spin(spinner, chances, context);
  int skips = over ? 0 : guess(&spinner->skips) * 2;
  spinner_learn(&spinner->skips, skips, SKIPS_LEAST, SKIPS_MOST);
  spinner_learn(&spinner->skips_left, skips, 0, SKIPS_MOST);
  return over;
}
