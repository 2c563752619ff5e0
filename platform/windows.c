/*
** Windows 8 and later: clock, mutex, memory, parker, threads, libraries. The other files of this
** name keep the rest of the contract.
*/
#include "platform/platform.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <fenv.h>
#include <io.h>
#include <limits.h>
#include <locale.h>
#include <malloc.h>
#include <process.h>
#include <stdlib.h>
#include <string.h>

plat_Time plat_now(void) {
  LARGE_INTEGER frequency;
  LARGE_INTEGER count;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&count);
  return count.QuadPart / frequency.QuadPart * PLAT_SECOND +
         count.QuadPart % frequency.QuadPart * PLAT_SECOND / frequency.QuadPart;
}

/*
** Mutexes
*/

_Static_assert(sizeof(plat_Mutex) == sizeof(SRWLOCK), "plat_Mutex is an SRWLOCK");

static SRWLOCK *srw_lock_of(plat_Mutex *mutex) {
  return (SRWLOCK *)(void *)mutex;
}

void plat_mutex_init(plat_Mutex *mutex) {
  InitializeSRWLock(srw_lock_of(mutex));
}

void plat_mutex_destroy(plat_Mutex *mutex) {
  (void)mutex; /* it has nothing to give back */
}

void plat_mutex_lock(plat_Mutex *mutex) {
  AcquireSRWLockExclusive(srw_lock_of(mutex));
}

void plat_mutex_unlock(plat_Mutex *mutex) {
  ReleaseSRWLockExclusive(srw_lock_of(mutex));
}

int plat_once(plat_Once *once, int (*set_up)(void)) {
  plat_mutex_lock(&once->mutex);
  int error = once->done ? 0 : set_up();
  once->done = error == 0;
  plat_mutex_unlock(&once->mutex);
  return error;
}

void plat_yield(void) {
  SwitchToThread();
}

/*
** Memory
*/

void *plat_pages_take(size_t size) {
  return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void plat_pages_give(void *pages, size_t size) {
  (void)size; /* it goes as a whole, as it was taken */
  VirtualFree(pages, 0, MEM_RELEASE);
}

void plat_memory_trim(void) {
  _heapmin();
}

void *plat_lines_take(size_t size) {
  return _aligned_malloc(size, PLAT_CACHE_LINE);
}

void plat_lines_give(void *lines) {
  _aligned_free(lines);
}

/*
** The heavy barrier has no failure.
*/

atomic_bool plat_has_heavy_barrier;

void plat_barrier_setup(void) {
  atomic_store(&plat_has_heavy_barrier, true);
}

void plat_heavy_barrier(void) {
  atomic_thread_fence(memory_order_seq_cst);
  FlushProcessWriteBuffers();
}

/*
** The parker. WaitOnAddress is what a futex is, with a span in milliseconds.
*/

#define MILLISECOND ((plat_Time)1000000)
#define LONGEST ((plat_Time)INT_MAX) /* in milliseconds; INFINITE is more */

int plat_parker_init(plat_Parker *parker) {
  atomic_init(&parker->token, 0);
  parker->wake = (plat_Event)PLAT_NO_EVENT;
  return 0;
}

void plat_parker_destroy(plat_Parker *parker) {
  plat_event_close(&parker->wake);
}

plat_Wake plat_park(plat_Parker *parker, plat_Time deadline) {
  uint32_t none = 0;
  for (;;) {
    DWORD span = INFINITE;
    /* Acquire: what the other did before its unpark is seen after the park. */
    if (atomic_exchange_explicit(&parker->token, 0, memory_order_acquire) != 0)
      return PLAT_UNPARKED;
    if (deadline != PLAT_FOREVER) {
      plat_Time left = deadline - plat_now();
      if (left <= 0)
        return PLAT_TIMED_OUT;
      left = (left - 1) / MILLISECOND + 1;
      span = (DWORD)(left < LONGEST ? left : LONGEST);
    }
    WaitOnAddress((volatile void *)&parker->token, &none, sizeof(none), span);
  }
}

void plat_unpark(plat_Parker *parker) {
  /* Release: pairs with the exchange in plat_park. Acquire: a thread that polls has its event. */
  uint32_t before = atomic_exchange_explicit(&parker->token, 1, memory_order_acq_rel);
  if (before == 0)
    WakeByAddressSingle((void *)&parker->token);
  else if (before == PLAT_POLLING)
    plat_event_set(&parker->wake);
}

/*
** Threads
*/

/* As in posix.c: the smallest thread, too, meets Lua's limit before the end of its stack. */
#define WINDOWS_STACK_RESERVE ((size_t)1024 * 1024)
#define WINDOWS_STACK_DEFAULT ((size_t)8 * 1024 * 1024)
#define WINDOWS_STACK_LARGEST ((size_t)INT_MAX - WINDOWS_STACK_RESERVE)

typedef struct ThreadStart {
  void (*body)(void *);
  void *argument;
} ThreadStart;

static unsigned __stdcall begin_thread(void *block) {
  ThreadStart start = *(ThreadStart *)block;
  free(block);
  start.body(start.argument);
  return 0;
}

bool plat_stack_size_valid(size_t stack_size) {
  return stack_size <= WINDOWS_STACK_LARGEST;
}

int plat_thread_start(size_t stack_size, void (*body)(void *), void *argument) {
  ThreadStart *start = malloc(sizeof(*start));
  if (start == NULL)
    return ENOMEM;
  start->body = body;
  start->argument = argument;
  size_t size = stack_size == 0 ? WINDOWS_STACK_DEFAULT : stack_size + WINDOWS_STACK_RESERVE;
  errno = 0;
  uintptr_t thread = _beginthreadex(NULL, (unsigned)size, begin_thread, start,
                                    STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
  if (thread != 0) {
    CloseHandle((HANDLE)thread);
    return 0;
  }
  int error = errno != 0 ? errno : EAGAIN;
  free(start);
  return error;
}

plat_Thread plat_thread_self(void) {
  return GetCurrentThreadId();
}

void plat_origin_get(plat_Origin *origin) {
  *origin = 0;
}

void plat_thread_renew(const plat_Origin *origin) {
  (void)origin;
  _configthreadlocale(_DISABLE_PER_THREAD_LOCALE);
  fesetenv(FE_DFL_ENV);
}

/* There is no fork. */
int plat_at_fork(const plat_ForkHandlers *handlers) {
  (void)handlers;
  return 0;
}

void plat_thread_be_host(void) {
}

typedef HRESULT(WINAPI *SetDescription)(HANDLE thread, PCWSTR description);

/* Windows 10 has it, from 1607 on. */
static SetDescription find_set_description(void) {
  HMODULE kernel = GetModuleHandleA("kernel32.dll");
  FARPROC found = kernel == NULL ? NULL : GetProcAddress(kernel, "SetThreadDescription");
  return (SetDescription)(void (*)(void))found;
}

void plat_set_thread_name(const char *name) {
  WCHAR wide[PLAT_NAME_BYTES];
  SetDescription set_description = find_set_description();
  if (set_description != NULL &&
      MultiByteToWideChar(CP_UTF8, 0, name, -1, wide, PLAT_NAME_BYTES) > 0)
    set_description(GetCurrentThread(), wide);
}

uint64_t plat_native_id(void) {
  return GetCurrentThreadId();
}

/* Within the group of processors in which the thread is: up to 64 of them. */
int plat_get_affinity(plat_Processors *processors) {
  GROUP_AFFINITY group;
  if (!GetThreadGroupAffinity(GetCurrentThread(), &group))
    return EINVAL;
  *processors = (plat_Processors){{group.Mask}};
  return 0;
}

int plat_set_affinity(const plat_Processors *processors) {
  for (int i = 1; i < PLAT_PROCESSOR_WORDS; i++)
    if (processors->words[i] != 0)
      return EINVAL;
  return SetThreadAffinityMask(GetCurrentThread(), (DWORD_PTR)processors->words[0]) != 0 ? 0
                                                                                         : EINVAL;
}

/* A process with processors of several groups has no mask. */
unsigned plat_cpu_count(void) {
  DWORD_PTR usable = 0;
  DWORD_PTR present = 0;
  unsigned count = 0;
  if (GetProcessAffinityMask(GetCurrentProcess(), &usable, &present))
    for (; usable != 0; usable &= usable - 1)
      count++;
  return count > 0 ? count : GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
}

int plat_processor(void) {
  return (int)GetCurrentProcessorNumber();
}

/*
** Libraries, errors and the error stream
*/

/* An errno, or what Winsock has instead. */
void plat_describe_error(int error, char *buffer, size_t length) {
  buffer[0] = '\0';
  if (error < WSABASEERR) {
    strerror_s(buffer, length, error);
    return;
  }
  DWORD end = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS |
                                 FORMAT_MESSAGE_MAX_WIDTH_MASK,
                             NULL, (DWORD)error, 0, buffer, (DWORD)length, NULL);
  while (end > 0 && (buffer[end - 1] == ' ' || buffer[end - 1] == '.'))
    buffer[--end] = '\0';
}

bool plat_pin_library(const void *address) {
  HMODULE module;
  return GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                            address, &module);
}

bool plat_library_has(const char *file, const char *name) {
  HMODULE module;
  if (!GetModuleHandleExA(0, file, &module))
    return false;
  bool found = GetProcAddress(module, name) != NULL;
  FreeLibrary(module);
  return found;
}

const char *plat_getenv(const char *name) {
  return getenv(name);
}

void plat_write_error(const char *bytes, size_t length) {
  while (length > 0) {
    int written = _write(2, bytes, length < INT_MAX ? (unsigned)length : INT_MAX);
    if (written <= 0)
      return;
    bytes += written;
    length -= (size_t)written;
  }
}
