#include "src/state/os_commands.h"

#include <errno.h>
#include <stdio.h>

#include <lauxlib.h>
#include <lualib.h>

#include "platform/platform.h"
#include "src/state/context.h"
#include "src/state/files.h"
#include "src/state/replacement.h"

/* As system(3): a status, or -1 and errno. */
static int commands_run(const char *command) {
  plat_Process process;
  int error = plat_command_start(command, &process);
  int status = error == 0 ? plat_command_wait(process) : -1;
  if (error != 0 || status != -1)
    errno = error; /* luaL_execresult takes one that is left over for a failure */
  return status;
}

/*
** os.execute([command]) -> true or nil, "exit" or "signal", number
** Without a command, whether there is a shell. Unlike system(3) it does not make the process ignore
** SIGINT and SIGQUIT meanwhile, because that is for all threads of the process.
*/
static int execute(lua_State *L) {
  const char *command = luaL_optstring(L, 1, NULL);
  if (command != NULL)
    return luaL_execresult(L, commands_run(command));
  lua_pushboolean(L, commands_run("exit 0") == 0);
  return 1;
}

/* A file of the module io; it looks at the stream only. */
typedef struct CommandFile {
  luaL_Stream stream;
  plat_Process process;
} CommandFile;

static int close_command(lua_State *L) {
  CommandFile *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  fclose(file->stream.f);
  int status = plat_command_wait(file->process);
  if (status != -1)
    errno = 0;
  return luaL_execresult(L, status);
}

/* io.popen(command [, mode = "r"]) -> file, or nil, message, errno */
static int open_command(lua_State *L) {
  const char *command = luaL_checkstring(L, 1);
  const char *mode = luaL_optstring(L, 2, "r");
  CommandFile *file = lua_newuserdatauv(L, sizeof(*file), 0);
  file->stream.closef = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  luaL_argcheck(L, plat_command_mode_valid(mode), 2, "invalid mode");
  if (lt_state_user->is_alone(L))
    fflush(NULL);
  else
    lt_files_flush(L);
  file->stream.f = plat_command_open(command, mode, &file->process);
  if (file->stream.f == NULL)
    return luaL_fileresult(L, 0, command);
  file->stream.closef = close_command;
  if (mode[0] == 'w')
    lt_files_enter(L, -1);
  return 1;
}

void lt_os_commands_replace(lua_State *L) {
  lt_replacement_put(L, LUA_OSLIBNAME, "execute", LT_LIBRARY_EXECUTE, execute);
  lt_os_commands_replace_popen(L);
}

void lt_os_commands_replace_popen(lua_State *L) {
  lt_replacement_put(L, LUA_IOLIBNAME, "popen", LT_LIBRARY_IO_POPEN, open_command);
}
