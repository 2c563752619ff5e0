/*
** Signals, as all Unix systems have them: pokes, and what hosts do with signals.
**
** Shared state: what a handler reads is written before the handler is installed, which publishes
** it.
*/
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _NETBSD_SOURCE

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
** Pokes. Their signals are two that do nothing by default and that programs hardly use. A signal
** that was no poke is somebody else's: it goes to the action that was there when ours was installed
** or, if somebody has replaced ours since, to the latest such action that was found. That one may
** pass the signal on to ours, as another copy of this library does; what comes back goes to the
** first.
**
** Only a poke that breaks, or a signal to a handler of others that does so, is to break a system
** call. The system decides that by the flags of the action at the time when it runs the handler: so
** SA_RESTART is taken away while a poke that breaks is on its way to any thread.
*/

static const int poke_signals[PLAT_POKES] = {SIGURG, SIGWINCH}; /* by plat_Poke */

/*
** SA_RESTART is away for the moment only: other copies of this library see by it that it is not how
** we are. This flag means nothing to the system but for SIGCHLD.
*/
#define FOR_NOW SA_NOCLDSTOP

typedef struct Action {
  struct sigaction action;
  struct Action *next;
} Action;

typedef struct Others {
  Action first;
  _Atomic(Action *)
      found; /* all that were ever found; they stay, because a handler may read them */
  _Atomic(Action *) latest; /* where signals of others go */
} Others;

static Others others[PLAT_POKES];
static atomic_uint breaking; /* how many targets are 'poked' to break, or are just about to be */
static void (*poke_handler)(void *place);
static pthread_key_t end_key;

PLAT_THREAD_LOCAL plat_Target plat_own_target;
static PLAT_THREAD_LOCAL volatile sig_atomic_t passing_on[PLAT_POKES];

PLAT_IN_HANDLER
static void signals_call(const struct sigaction *action, int signal, siginfo_t *info,
                         void *context) {
  if (action->sa_flags & SA_SIGINFO)
    action->sa_sigaction(signal, info, context);
  else if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN)
    action->sa_handler(signal);
}

PLAT_IN_HANDLER
static void signals_pass_on(int poke, int signal, siginfo_t *info, void *context) {
  const Action *to = passing_on[poke] > 0 ? &others[poke].first : atomic_load(&others[poke].latest);
  passing_on[poke]++;
  signals_call(&to->action, signal, info, context);
  passing_on[poke]--;
}

PLAT_IN_HANDLER static bool signals_arrived(plat_Target *target, int poke);

/* A signal of others that comes while a poke is on its way may be the same one to the system. */
PLAT_IN_HANDLER
static void signals_on_poke(int signal, siginfo_t *info, void *context) {
  int error = errno;
  int poke = signal == poke_signals[0] ? 0 : 1;
  bool ours = signals_arrived(&plat_own_target, poke);
  poke_handler(plat_own_target.place);
  if (!ours)
    signals_pass_on(poke, signal, info, context);
  errno = error;
}

PLAT_IN_HANDLER
static bool signals_is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == signals_on_poke;
}

PLAT_IN_HANDLER
static bool signals_has_handler(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) ||
         (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

PLAT_IN_HANDLER
static bool signals_breaks(const struct sigaction *action) {
  return signals_has_handler(action) && !(action->sa_flags & (SA_RESTART | FOR_NOW));
}

/* Of the flags of our action, those that decide whether a system call goes on. */
PLAT_IN_HANDLER
static int signals_restart_flags(void) {
  if (signals_breaks(&atomic_load(&others[PLAT_POKE_BREAKS].latest)->action))
    return 0;
  return atomic_load(&breaking) > 0 ? FOR_NOW : SA_RESTART;
}

/*
** Several may do this at once, each after a change: the last one that writes the action looks
** afterwards whether it is still right. If others have come between, theirs is put back.
*/
PLAT_IN_HANDLER
static void signals_set_restart(void) {
  int signal = poke_signals[PLAT_POKE_BREAKS];
  struct sigaction action;
  struct sigaction replaced;
  while (sigaction_unheld(signal, NULL, &action) == 0 && signals_is_ours(&action)) {
    int wanted = signals_restart_flags();
    if ((action.sa_flags & (SA_RESTART | FOR_NOW)) == wanted)
      return;
    action.sa_flags = (action.sa_flags & ~(SA_RESTART | FOR_NOW)) | wanted;
    if (sigaction_unheld(signal, &action, &replaced) != 0)
      return;
    if (!signals_is_ours(&replaced))
      sigaction_unheld(signal, &replaced, NULL);
  }
}

/* Whether a poke was on its way. */
PLAT_IN_HANDLER
static bool signals_arrived(plat_Target *target, int poke) {
  bool ours = atomic_exchange(&target->poked[poke], false);
  if (ours && poke == PLAT_POKE_BREAKS && atomic_fetch_sub(&breaking, 1) == 1)
    signals_set_restart();
  return ours;
}

/* Whether none was on its way yet. */
static bool signals_set_out(plat_Target *target, plat_Poke poke) {
  if (poke != PLAT_POKE_BREAKS)
    return !atomic_exchange(&target->poked[poke], true);
  atomic_fetch_add(&breaking, 1);
  bool first = !atomic_exchange(&target->poked[poke], true);
  if (!first)
    atomic_fetch_sub(&breaking, 1);
  signals_set_restart();
  return first;
}

static bool is_same(const struct sigaction *one, const struct sigaction *other) {
  if ((one->sa_flags & SA_SIGINFO) != (other->sa_flags & SA_SIGINFO) ||
      signals_breaks(one) != signals_breaks(other))
    return false;
  return one->sa_flags & SA_SIGINFO ? one->sa_sigaction == other->sa_sigaction
                                    : one->sa_handler == other->sa_handler;
}

/* What the action of others wants to be blocked meanwhile is blocked. */
static int install(int poke, const struct sigaction *other, struct sigaction *replaced) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = signals_on_poke;
  action.sa_mask = other->sa_mask;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  action.sa_flags |= poke == PLAT_POKE_BREAKS ? signals_restart_flags() : SA_RESTART;
  return sigaction_unheld(poke_signals[poke], &action, replaced) == 0 ? 0 : errno;
}

/* Makes it the latest; false: no memory. */
static bool signals_remember(Others *known, const struct sigaction *action) {
  Action *entry = atomic_load(&known->found);
  while (entry != NULL && !is_same(&entry->action, action))
    entry = entry->next;
  if (entry == NULL) {
    entry = malloc(sizeof(*entry));
    if (entry == NULL)
      return false;
    entry->action = *action;
    entry->next = atomic_load(&known->found);
    while (!atomic_compare_exchange_weak(&known->found, &entry->next, entry))
      ;
  }
  atomic_store(&known->latest, entry);
  return true;
}

/* Others may have installed a handler of theirs since. */
static void keep_installed(int poke) {
  struct sigaction now;
  struct sigaction replaced;
  if (sigaction_unheld(poke_signals[poke], NULL, &now) != 0 || signals_is_ours(&now))
    return;
  if (signals_remember(&others[poke], &now) && install(poke, &now, &replaced) == 0 &&
      !signals_is_ours(&replaced) && !is_same(&replaced, &now))
    signals_remember(&others[poke], &replaced);
}

static void (*end_handler)(void);

/* What is still on its way will find no target. */
static void end_thread(void *target) {
  end_handler();
  signals_arrived(target, PLAT_POKE_BREAKS);
}

int plat_poke_setup(void (*handler)(void *place), void (*at_end)(void)) {
  poke_handler = handler;
  end_handler = at_end;
  int error = pthread_key_create(&end_key, end_thread);
  for (int poke = 0; poke < PLAT_POKES && error == 0; poke++) {
    Action *first = &others[poke].first;
    atomic_store(&others[poke].latest, first);
    if (sigaction_unheld(poke_signals[poke], NULL, &first->action) != 0)
      return errno;
    error = install(poke, &first->action, &(struct sigaction){0});
  }
  return error;
}

int plat_poke_accept(void *place) {
  sigset_t ours;
  sigemptyset(&ours);
  for (int poke = 0; poke < PLAT_POKES; poke++)
    sigaddset(&ours, poke_signals[poke]);
  plat_own_target.thread = pthread_self();
  plat_own_target.place = place;
  int error = pthread_setspecific(end_key, &plat_own_target);
  return error != 0 ? error : pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

void plat_poke(plat_Target *target, plat_Poke poke, bool again) {
  keep_installed((int)poke);
  if (signals_set_out(target, poke) || again)
    pthread_kill(target->thread, poke_signals[poke]);
}

/* What was on its way to the calling thread has not come along either. */
void plat_pokes_after_fork(void) {
  for (int poke = 0; poke < PLAT_POKES; poke++)
    atomic_store(&plat_own_target.poked[poke], false);
  atomic_store(&breaking, 0);
  signals_set_restart();
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
  } signals[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
                 {"TRAP", SIGTRAP}, {"ABRT", SIGABRT}, {"BUS", SIGBUS},     {"FPE", SIGFPE},
                 {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},
                 {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CHLD", SIGCHLD},
                 {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},
                 {"TTOU", SIGTTOU}, {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},
                 {"PROF", SIGPROF}, {"SYS", SIGSYS},   {"WINCH", SIGWINCH}, {"VTALRM", SIGVTALRM},
                 {"IO", SIGIO}};
  if (strncmp(name, "SIG", 3) == 0)
    name += 3;
  for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
    if (strcmp(signals[i].name, name) == 0)
      return signals[i].number;
  char *end;
  long number = strtol(name, &end, 10);
  return *end == '\0' && plat_signal_valid(number) ? (int)number : 0;
}

const char *plat_watch_refusal(int number) {
  switch (number) {
  case SIGKILL:
  case SIGSTOP:
    return "this signal can't be caught";
  case SIGILL:
  case SIGTRAP:
  case SIGABRT:
  case SIGBUS:
  case SIGFPE:
  case SIGSEGV:
  case SIGSYS:
    return "this signal tells of a fault, after which a program can't go on";
  }
  for (int poke = 0; poke < PLAT_POKES; poke++)
    if (number == poke_signals[poke])
      return "lthread needs this signal itself";
  return NULL;
}

bool plat_signal_deliver(plat_Thread thread, int number) {
  struct sigaction action;
  if (sigaction(number, NULL, &action) == 0 && signals_has_handler(&action))
    pthread_kill(thread, number);
  return true;
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
