/*
** lthread: Python's _thread for Lua 5.4. The C face, for hosts and for other C modules.
**
** A host that links the library makes it known to a state and uses it from Lua:
**
**   luaL_requiref(L, "lthread", luaopen_lthread, 0);
**   lua_pop(L, 1);
**
** The state, and the OS thread that runs this, become the main ones of a runtime of their own.
** Closing the state ends the runtime: threads that are not daemons are waited for, the others
** are stopped. Threads find in package.preload what the state that started them has there, so a
** host offers its own C libraries to all threads by putting them there.
*/
#ifndef lthread_h
#define lthread_h

#ifdef __cplusplus
#include <lua.hpp>
#else
#include <lua.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LTHREAD_VERSION "0.1.0"

#if defined(_WIN32)
#define LTHREAD_API __declspec(dllexport)
#elif defined(__GNUC__)
#define LTHREAD_API __attribute__((visibility("default")))
#else
#define LTHREAD_API
#endif

/*
** Pushes the module's table. In a state that is not yet of any runtime it makes one, and raises
** a RuntimeError where the system refuses what it needs.
*/
LTHREAD_API int luaopen_lthread(lua_State *L);

/* The same for the module lthread.queue, which package.preload has once lthread is open. */
LTHREAD_API int luaopen_lthread_queue(lua_State *L);

/* The same for the modules lthread.threading and lthread.futures. */
LTHREAD_API int luaopen_lthread_threading(lua_State *L);
LTHREAD_API int luaopen_lthread_futures(lua_State *L);

/* The same for the module lthread.transfer.socket, which requires LuaSocket. */
LTHREAD_API int luaopen_lthread_transfer_socket(lua_State *L);

/*
** How values of one userdata type cross from state to state. A C module that wants its userdata to
** cross keeps one such structure for as long as the process lives and puts its address, as a light
** userdata, into the field LTHREAD_TRANSFER of the type's metatable.
**
** send: returns a token for the userdata at 'index', such as a pointer to a structure whose
**       count of references it has raised. It may raise an error, which refuses the transfer.
** receive: pushes one userdata made from the token. It runs in another thread, in another state,
**       any number of times for one token, also at once in several threads. It may raise an error.
** discard: the token is not needed any more. It may run in any thread and can't use Lua.
*/
typedef struct lthread_Transfer {
  void *(*send)(lua_State *L, int index);
  void (*receive)(lua_State *L, void *token);
  void (*discard)(void *token);
} lthread_Transfer;

#define LTHREAD_TRANSFER "__transfer"

#ifdef __cplusplus
}
#endif

#endif
