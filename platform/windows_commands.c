/*
** Windows: commands, run by the shell as system and _popen of C do. They inherit the three standard
** files and nothing else, so that a pipe ends when its command does, whatever commands other
** threads start meanwhile.
*/
#include "platform/platform.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>

enum { STANDARD_FILES = 3 };

/* What errno says of the last error, as far as starting a program can fail. */
static int error_number(void) {
  switch (GetLastError()) {
  case ERROR_FILE_NOT_FOUND:
  case ERROR_PATH_NOT_FOUND:
    return ENOENT;
  case ERROR_ACCESS_DENIED:
    return EACCES;
  case ERROR_NOT_ENOUGH_MEMORY:
  case ERROR_OUTOFMEMORY:
    return ENOMEM;
  case ERROR_TOO_MANY_OPEN_FILES:
    return EMFILE;
  case ERROR_FILENAME_EXCED_RANGE:
  case ERROR_INSUFFICIENT_BUFFER:
    return E2BIG;
  default:
    return EINVAL;
  }
}

/* One that the command can inherit, or none. */
static HANDLE inheritable(HANDLE file) {
  HANDLE copy = NULL;
  HANDLE process = GetCurrentProcess();
  if (file == NULL || file == INVALID_HANDLE_VALUE ||
      !DuplicateHandle(process, file, process, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS))
    return NULL;
  return copy;
}

static char *command_line(const char *command) {
  const char *shell = plat_getenv("COMSPEC");
  if (shell == NULL || *shell == '\0')
    shell = "cmd.exe";
  size_t size = strlen(shell) + strlen(" /c ") + strlen(command) + 1;
  char *line = malloc(size);
  if (line != NULL)
    snprintf(line, size, "%s /c %s", shell, command);
  return line;
}

/* 'listed': those of the files that there are. */
static int create_process(char *line, const HANDLE *files, HANDLE *listed, size_t count,
                          LPPROC_THREAD_ATTRIBUTE_LIST attributes, plat_Process *process) {
  STARTUPINFOEXA startup = {.StartupInfo = {.cb = sizeof(startup), .dwFlags = STARTF_USESTDHANDLES},
                            .lpAttributeList = attributes};
  PROCESS_INFORMATION created;
  startup.StartupInfo.hStdInput = files[0];
  startup.StartupInfo.hStdOutput = files[1];
  startup.StartupInfo.hStdError = files[2];
  if (count > 0 && !UpdateProcThreadAttribute(attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
                                              listed, count * sizeof(*listed), NULL, NULL))
    return error_number();
  if (!CreateProcessA(NULL, line, NULL, NULL, count > 0, EXTENDED_STARTUPINFO_PRESENT, NULL, NULL,
                      &startup.StartupInfo, &created))
    return error_number();
  CloseHandle(created.hThread);
  *process = created.hProcess;
  return 0;
}

static int create_with_files(char *line, const HANDLE *files, plat_Process *process) {
  HANDLE listed[STANDARD_FILES];
  size_t count = 0;
  SIZE_T size = 0;
  for (int i = 0; i < STANDARD_FILES; i++)
    if (files[i] != NULL)
      listed[count++] = files[i];
  InitializeProcThreadAttributeList(NULL, 1, 0, &size);
  LPPROC_THREAD_ATTRIBUTE_LIST attributes = malloc(size);
  if (attributes == NULL)
    return ENOMEM;
  int error = ENOMEM;
  if (InitializeProcThreadAttributeList(attributes, 1, 0, &size)) {
    error = create_process(line, files, listed, count, attributes, process);
    DeleteProcThreadAttributeList(attributes);
  }
  free(attributes);
  return error;
}

/* The file number 'as' is 'file'; negative: all are those of the process. */
static int start_command(const char *command, HANDLE file, int as, plat_Process *process) {
  static const DWORD standard[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
  HANDLE files[STANDARD_FILES];
  char *line = command_line(command);
  if (line == NULL)
    return ENOMEM;
  for (int i = 0; i < STANDARD_FILES; i++)
    files[i] = inheritable(i == as ? file : GetStdHandle(standard[i]));
  int error = create_with_files(line, files, process);
  for (int i = 0; i < STANDARD_FILES; i++)
    if (files[i] != NULL)
      CloseHandle(files[i]);
  free(line);
  return error;
}

int plat_command_start(const char *command, plat_Process *process) {
  return start_command(command, NULL, -1, process);
}

bool plat_command_mode_valid(const char *mode) {
  if (mode[0] != 'r' && mode[0] != 'w')
    return false;
  return mode[1] == '\0' || ((mode[1] == 'b' || mode[1] == 't') && mode[2] == '\0');
}

/* The stream has the handle then. */
static FILE *stream_of(HANDLE file, const char *mode) {
  int flags = (mode[1] == 'b' ? _O_BINARY : _O_TEXT) | (mode[0] == 'r' ? _O_RDONLY : 0);
  int number = _open_osfhandle((intptr_t)file, flags);
  if (number < 0) {
    CloseHandle(file);
    return NULL;
  }
  FILE *stream = _fdopen(number, mode);
  if (stream == NULL)
    _close(number);
  return stream;
}

FILE *plat_command_open(const char *command, const char *mode, plat_Process *process) {
  bool is_input = mode[0] == 'w';
  HANDLE readable;
  HANDLE writable;
  if (!CreatePipe(&readable, &writable, NULL, 0)) {
    errno = error_number();
    return NULL;
  }
  HANDLE theirs = is_input ? readable : writable;
  FILE *stream = stream_of(is_input ? writable : readable, mode);
  int error = stream == NULL ? errno : start_command(command, theirs, is_input ? 0 : 1, process);
  CloseHandle(theirs);
  if (error == 0)
    return stream;
  if (stream != NULL)
    fclose(stream);
  errno = error;
  return NULL;
}

int plat_command_wait(plat_Process process) {
  DWORD code = 0;
  bool ended =
      WaitForSingleObject(process, INFINITE) == WAIT_OBJECT_0 && GetExitCodeProcess(process, &code);
  CloseHandle(process);
  errno = ended ? 0 : ECHILD; /* -1 may be what it has ended with */
  return ended ? (int)code : -1;
}

/* No stream tells here whether another thread is using it, so this may wait for that one. */
void plat_flush(FILE *file) {
  fflush(file);
}
