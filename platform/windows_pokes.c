/*
** Windows: pokes, and what hosts do with signals.
**
** The poking thread suspends the other one between two of its instructions, runs the handler in its
** place, and lets it go on. So the handler runs while the other thread may hold any lock, as a
** signal handler of Unix does, and takes none; no variable of the thread is what it is there.
**
** Shared state: who suspends holds 'poking', so no two threads ever suspend each other. Within it
** nothing is allocated.
*/
#include "platform/platform.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <stdlib.h>
#include <string.h>

static void (*run_handler)(void *place);
static void (*run_at_end)(void);
static DWORD end_slot;
static SRWLOCK poking = SRWLOCK_INIT;

PLAT_THREAD_LOCAL plat_Target plat_own_target;

/*
** When the process ends, this may be called though the other threads have been stopped within any
** lock. By then the library that tells has been loaded as long as the process lives.
*/
static bool process_ends(void) {
  typedef BOOLEAN(NTAPI * InProgress)(void);
  HMODULE ntdll = GetModuleHandleA("ntdll.dll");
  FARPROC found = ntdll == NULL ? NULL : GetProcAddress(ntdll, "RtlDllShutdownInProgress");
  return found != NULL && ((InProgress)(void (*)(void))found)();
}

static void WINAPI leave_thread(void *target) {
  if (target != NULL && !process_ends())
    run_at_end();
}

int plat_poke_setup(void (*handler)(void *place), void (*at_end)(void)) {
  run_handler = handler;
  run_at_end = at_end;
  end_slot = FlsAlloc(leave_thread);
  return end_slot == FLS_OUT_OF_INDEXES ? ENOMEM : 0;
}

int plat_poke_accept(void *place) {
  plat_own_target.thread = GetCurrentThreadId();
  plat_own_target.place = place;
  return FlsSetValue(end_slot, &plat_own_target) ? 0 : ENOMEM;
}

/* GetThreadContext returns when the thread stands indeed. */
static void run_suspended(HANDLE thread, void *place) {
  CONTEXT context;
  context.ContextFlags = CONTEXT_CONTROL;
  if (SuspendThread(thread) == (DWORD)-1)
    return;
  if (GetThreadContext(thread, &context))
    run_handler(place);
  ResumeThread(thread);
}

/* A thread that reads or writes a pipe or a console is given back to Lua with an error. */
void plat_poke(plat_Target *target, plat_Poke poke, bool again) {
  (void)again; /* none is lost */
  if (target == &plat_own_target) {
    run_handler(target->place);
    return;
  }
  AcquireSRWLockExclusive(&poking);
  HANDLE thread = OpenThread(THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_TERMINATE, FALSE,
                             target->thread);
  if (thread != NULL) {
    run_suspended(thread, target->place);
    if (poke == PLAT_POKE_BREAKS)
      CancelSynchronousIo(thread);
    CloseHandle(thread);
  }
  ReleaseSRWLockExclusive(&poking);
}

/* There is no fork. */
void plat_pokes_after_fork(void) {
}

/*
** Signals of the host: those of C, and Ctrl-Break.
*/

enum { CONTROL_BREAK = 21 };

typedef struct SignalName {
  const char *name;
  int number;
} SignalName;

static const SignalName windows_signals[] = {{"INT", 2},   {"ILL", 4},   {"FPE", 8},
                                             {"SEGV", 11}, {"TERM", 15}, {"BREAK", CONTROL_BREAK},
                                             {"ABRT", 22}};

#define WINDOWS_SIGNALS (sizeof(windows_signals) / sizeof(windows_signals[0]))

bool plat_signal_valid(int64_t number) {
  for (size_t i = 0; i < WINDOWS_SIGNALS; i++)
    if (windows_signals[i].number == number)
      return true;
  return false;
}

int plat_signal_named(const char *name) {
  char *end;
  if (strncmp(name, "SIG", 3) == 0)
    name += 3;
  for (size_t i = 0; i < WINDOWS_SIGNALS; i++)
    if (strcmp(windows_signals[i].name, name) == 0)
      return windows_signals[i].number;
  long number = strtol(name, &end, 10);
  return *end == '\0' && plat_signal_valid(number) ? (int)number : 0;
}

bool plat_signal_deliver(plat_Thread thread, int number) {
  (void)thread;
  (void)number;
  return false;
}

/*
** Watching
*/

static HANDLE break_event;

const char *plat_watch_refusal(int number) {
  return number == CONTROL_BREAK ? NULL : "Windows can't tell of this signal";
}

/* It runs in a thread of its own, which the system makes. */
static BOOL WINAPI on_control(DWORD control) {
  if (control != CTRL_BREAK_EVENT)
    return FALSE;
  SetEvent(break_event);
  return TRUE;
}

int plat_watch_begin(int number) {
  (void)number; /* there is one only */
  if (break_event == NULL)
    break_event = CreateEventA(NULL, FALSE, FALSE, NULL);
  if (break_event == NULL)
    return ENOMEM;
  return SetConsoleCtrlHandler(on_control, TRUE) ? 0 : EINVAL;
}

void plat_watch_wait(void) {
  WaitForSingleObject(break_event, INFINITE);
}

void plat_watch_forget(void) {
}
