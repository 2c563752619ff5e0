/*
** Whether a biased lock keeps out all others, with its owner at work all the time and another
** thread that takes the bias away over and over. With "forbidden" a filter forbids membarrier once
** the bias is there, as a sandbox may that a program enters.
** usage: exclusion allowed|forbidden
*/
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "src/sync/biased_lock.h"

/*
** Where others have work for the processors, a heavy barrier by the system takes long, and so may
** the owner to come to its turn: then there are fewer rounds.
*/
#define ROUNDS 20000
#define ROUNDS_OF_CALLS 2000
#define LONG_ENOUGH (20 * PLAT_SECOND)

static lt_BiasedLock lock;
static atomic_int inside; /* who is: written by those who have the lock */
static atomic_bool enough;
static atomic_int both; /* how often somebody was there who must not be */

static bool forbid_membarrier(void) {
#if defined(SYS_seccomp) && defined(SYS_membarrier)
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog filter = {sizeof(steps) / sizeof(steps[0]), steps};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
#else
  return true; /* there is nothing to forbid */
#endif
}

static void relax(int times) {
  for (int i = 0; i < times; i++)
    plat_relax();
}

/* Relaxed: nothing is to order what the lock does not. */
static void use(lt_BiasUser user, int me, int times) {
  lt_BiasSlot *slot = lt_biased_lock_begin_write(&lock, user);
  bool alone = atomic_load_explicit(&inside, memory_order_relaxed) == 0;
  atomic_store_explicit(&inside, me, memory_order_relaxed);
  relax(times);
  alone = atomic_load_explicit(&inside, memory_order_relaxed) == me && alone;
  atomic_store_explicit(&inside, 0, memory_order_relaxed);
  if (slot == NULL)
    lock.needed = 8; /* the bias comes back soon */
  lt_biased_lock_end(&lock, slot);
  if (!alone)
    atomic_fetch_add(&both, 1);
}

/*
** Both write these all the time, so that each write takes long; and those that come after one, as
** into the owner's slot, come late to others.
*/
static struct { _Alignas(PLAT_CACHE_LINE) atomic_int value; } lines[16];

static void write_lines(int value) {
  for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
    atomic_store_explicit(&lines[i].value, value, memory_order_relaxed);
}

static void *own(void *unused) {
  const lt_BiasUser owner = {lt_bias_slot_take(), NULL};
  while (!atomic_load_explicit(&enough, memory_order_relaxed)) {
    write_lines(0);
    use(owner, 1, 1);
  }
  lt_bias_slot_give(owner.slot);
  return unused;
}

/* Until the owner has left, and is about to come back. */
static void await_next_use(void) {
  for (int i = 0; i < 1000 && atomic_load_explicit(&inside, memory_order_relaxed) == 0; i++)
    continue;
  for (int i = 0; i < 1000 && atomic_load_explicit(&inside, memory_order_relaxed) != 0; i++)
    continue;
}

static void take_away(bool is_forbidden) {
  const lt_BiasUser revoker = {lt_bias_slot_take(), NULL};
  const int rounds = is_forbidden ? ROUNDS : ROUNDS_OF_CALLS;
  const plat_Time finish = plat_after(plat_now(), LONG_ENOUGH);
  for (int round = 0; round < rounds && plat_now() < finish; round++) {
    while (atomic_load(&lock.bias) == LT_BIAS_NONE)
      plat_yield();
    if (round == 0 && is_forbidden && !forbid_membarrier())
      perror("seccomp");
    write_lines(round);
    await_next_use();
    relax(round % 32 / 4);
    use(revoker, 2, 8);
  }
  lt_bias_slot_give(revoker.slot);
}

int main(int count, char **arguments) {
  pthread_t owner;
  lt_biased_lock_setup();
  lt_biased_lock_init(&lock);
  if (pthread_create(&owner, NULL, own, NULL) != 0)
    return 1;
  take_away(count > 1 && strcmp(arguments[1], "forbidden") == 0);
  atomic_store(&enough, true);
  pthread_join(owner, NULL);
  printf("%d times both\n", atomic_load(&both));
  return 0;
}
