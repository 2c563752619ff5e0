/*
** Signals, as all Unix systems have them: pokes, and what hosts do with signals.
**
** Shared state: what a handler reads is written before the handler is installed, which publishes
** it.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include "platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
** ThreadSanitizer holds a signal back until the thread enters its runtime, which a thread that
** computes never does: its interceptor is passed by.
*/
#if defined(PLAT_THREAD_SANITIZER)
extern int __sigaction(int signal, const struct sigaction *action, struct sigaction *previous);
#define sigaction_unheld __sigaction
#else
#define sigaction_unheld sigaction
#endif

/*
** Pokes. The signals are such as do nothing by default and programs hardly use. Those that are not
** pokes go to the handler that was there before.
*/

static const int poke_signals[] = {SIGURG, SIGWINCH}; /* by plat_Poke */
#define POKE_COUNT ((int)(sizeof(poke_signals) / sizeof(poke_signals[0])))

static void (*poke_handler)(void);
static struct sigaction actions_before[POKE_COUNT];

PLAT_IN_HANDLER
static void on_poke(int signal, siginfo_t *info, void *context) {
  int error = errno;
  const struct sigaction *before = &actions_before[signal == poke_signals[0] ? 0 : 1];
  if (info->si_code <= 0 && info->si_pid == getpid())
    poke_handler();
  else if (before->sa_flags & SA_SIGINFO)
    before->sa_sigaction(signal, info, context);
  else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
    before->sa_handler(signal);
  errno = error;
}

static int install_pokes(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = on_poke;
  sigemptyset(&action.sa_mask);
  for (int poke = 0; poke < POKE_COUNT; poke++) {
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (poke == PLAT_POKE_BREAKS ? 0 : SA_RESTART);
    if (sigaction_unheld(poke_signals[poke], NULL, &actions_before[poke]) != 0 ||
        sigaction_unheld(poke_signals[poke], &action, NULL) != 0)
      return errno;
  }
  return 0;
}

int plat_poke_setup(void (*handler)(void)) {
  poke_handler = handler;
  return install_pokes();
}

void plat_poke_accept(void) {
  sigset_t ours;
  sigemptyset(&ours);
  for (int poke = 0; poke < POKE_COUNT; poke++)
    sigaddset(&ours, poke_signals[poke]);
  pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

void plat_poke(plat_Thread thread, plat_Poke poke) {
  pthread_kill(thread, poke_signals[poke]);
}

/*
** Signals of the host
*/

bool plat_signal_valid(int64_t number) {
  sigset_t all;
  sigfillset(&all);
  return number > 0 && number < NSIG && sigismember(&all, (int)number) == 1;
}

int plat_signal_named(const char *name) {
  static const struct {
    const char *name;
    int number;
  } signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},    {"USR1", SIGUSR1},
                 {"USR2", SIGUSR2}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},    {"CONT", SIGCONT},
                 {"TSTP", SIGTSTP}, {"PROF", SIGPROF}, {"VTALRM", SIGVTALRM}};
  if (strncmp(name, "SIG", 3) == 0)
    name += 3;
  for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
    if (strcmp(signals[i].name, name) == 0)
      return signals[i].number;
  char *end;
  long number = strtol(name, &end, 10);
  return *end == '\0' && plat_signal_valid(number) ? (int)number : 0;
}

void plat_signal_deliver(plat_Thread thread, int number) {
  struct sigaction action;
  if (sigaction(number, NULL, &action) != 0)
    return;
  if ((action.sa_flags & SA_SIGINFO) ||
      (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN))
    pthread_kill(thread, number);
}

/*
** Watching. The handler writes a byte into a pipe; the one who waits reads it.
*/

static int watch_pipe[2] = {-1, -1};

PLAT_IN_HANDLER
static void on_watched(int signal) {
  int error = errno;
  (void)signal;
  ssize_t written = write(watch_pipe[1], "", 1);
  (void)written; /* a full pipe holds signals enough that nobody has read yet */
  errno = error;
}

int plat_watch_begin(int number) {
  struct sigaction action;
  if (pipe(watch_pipe) != 0)
    return errno;
  for (int i = 0; i < 2; i++)
    fcntl(watch_pipe[i], F_SETFD, FD_CLOEXEC);
  fcntl(watch_pipe[1], F_SETFL, O_NONBLOCK);
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_watched;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  return sigaction(number, &action, NULL) == 0 ? 0 : errno;
}

/* What is written into the pipe of a parent would be read there. */
void plat_watch_forget(void) {
  watch_pipe[1] = -1;
}

void plat_watch_wait(void) {
  char byte;
  while (read(watch_pipe[0], &byte, 1) < 0 && errno == EINTR)
    ;
}
