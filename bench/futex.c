/*
** The floor under a round trip between two threads: each waits on a futex of its own and wakes the
** other, nothing else. Prints microseconds for one round trip. Linux only.
** usage: futex [rounds]
*/
#define _GNU_SOURCE

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic(uint32_t) there, back;
static long rounds = 20000;

static void signal_on(_Atomic(uint32_t) *word) {
  atomic_store(word, 1);
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void wait_on(_Atomic(uint32_t) *word) {
  while (atomic_exchange(word, 0) == 0)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void *echo(void *unused) {
  for (long i = 0; i < rounds; i++) {
    wait_on(&there);
    signal_on(&back);
  }
  return unused;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
  pthread_t thread;
  if (argc > 1)
    rounds = atol(argv[1]);
  if (pthread_create(&thread, NULL, echo, NULL) != 0)
    return EXIT_FAILURE;
  double begin = now();
  for (long i = 0; i < rounds; i++) {
    signal_on(&there);
    wait_on(&back);
  }
  printf("%f\n", (now() - begin) / (double)rounds);
  pthread_join(thread, NULL);
  return EXIT_SUCCESS;
}
