/*
** lthread: Python's _thread for Lua 5.4. The C face, for hosts and for other C modules.
**
** A host that links the library makes it known to a state and uses it from Lua:
**
**   luaL_requiref(L, "lthread", luaopen_lthread, 0);
**   lua_pop(L, 1);
**
** lthread_open does the same with options for the runtime.
**
** The state, and the OS thread that runs this, become the main ones of a runtime of their own.
** Closing the state ends the runtime: threads that are not daemons are waited for, the others
** are stopped. Threads find in package.preload what the state that started them has there, so a
** host offers its own C libraries to all threads by putting them there.
*/
#ifndef lthread_h
#define lthread_h

#include <stddef.h>

#ifdef __cplusplus
#include <lua.hpp>
#else
#include <lua.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define LTHREAD_VERSION "0.1.0"
#define LTHREAD_VERSION_NUMBER 100 /* major * 10000 + minor * 100 + patch */

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
** For hosts. Each function tells, as Lua's manual does, how many values it pops and pushes and when
** it raises ([-o, +p, e]), and who may call it.
*/

/* What the functions return that do not raise. With LTHREAD_ERROR, the error is on the top. */
enum { LTHREAD_OK, LTHREAD_TIMEOUT, LTHREAD_SHUTDOWN, LTHREAD_CLOSED, LTHREAD_ERROR };

/*
** What a host may say of the runtime that it opens. Zero is the default of each field, so a host
** clears the structure, sets the size, and then what it wants:
**
**   lthread_Options options = {sizeof(options)};
**   options.grace_period = 0.5;
**   lthread_open(L, &options);
**
** A program that was compiled with an older header goes on working with a newer library.
*/
typedef struct lthread_Options {
  size_t size;   /* sizeof(lthread_Options) */
  void *context; /* for the functions below */

  /*
  ** Called once for each Lua thread of the runtime but the main one, on its OS thread, before its
  ** state is made, and after that has been closed and before anybody who joins it returns: for
  ** names, JNI, COM. An OS thread may run several Lua threads one after the other. They can't use
  ** Lua, and run in several threads at once.
  */
  void (*on_thread_start)(void *context);
  void (*on_thread_end)(void *context);

  /*
  ** Seconds that threads have to end when the runtime does, before what still runs in foreign C
  ** code is left alone. 0: two; negative: none, they are asked to end and left.
  */
  double grace_period;

  /*
  ** Bytes that the state of each thread but the main one may have, and those of all of them together;
  ** 0: as many as there are. What does not fit raises "not enough memory" in that thread. Scripts may
  ** give threads less, and not more. Messages and shared tables are not counted. A thread has up to 64
  ** KiB of what all have together in reserve.
  */
  size_t memory_limit;
  size_t total_memory_limit;
} lthread_Options;

/*
** [-0, +1, e] Owner of L. As luaopen_lthread, but the runtime that it makes has these options (NULL:
** the defaults), and scripts may require it, for it is in package.loaded. Where lthread is open
** already it raises RuntimeError if the options are others. Raises ValueError for a wrong size, for
** an option that the library does not know, and for a grace period beyond TIMEOUT_MAX.
*/
LTHREAD_API int lthread_open(lua_State *L, const lthread_Options *options);

/* [-0, +1, -] Owner of L. The same, but returns LTHREAD_OK with the module, or LTHREAD_ERROR. */
LTHREAD_API int lthread_try_open(lua_State *L, const lthread_Options *options);

/* [-0, +0, m] Owner of L. Whether L, main state or thread, belongs to a runtime that has not ended. */
LTHREAD_API int lthread_is_open(lua_State *L);

/* Any OS thread. The version of the library that is linked; LTHREAD_VERSION is the header's. */
LTHREAD_API const char *lthread_version(void);

/*
** [-0, +0, v] Owner of L. Raises an error, a string, if this header and the library do not go together:
** they must have the same major and minor version. Also does what luaL_checkversion does.
*/
#define lthread_checkversion(L)                                                                    \
  lthread_checkversion_(L, LTHREAD_VERSION_NUMBER, sizeof(lthread_Options))
LTHREAD_API void lthread_checkversion_(lua_State *L, int version, size_t size_of_options);

/*
** For C modules, also those that `require` loads from a file. They include this header and need not
** link the library: what follows is inline and finds the functions of whoever has opened lthread in
** the state through its registry. Where nobody has, it does nothing.
*/
#define LTHREAD_FUNCTIONS "lthread.functions"

typedef struct lthread_Transfer2 lthread_Transfer2;

/* What threads share: a queue, a lock, a shared table, a thread and so on. */
typedef struct lthread_Object lthread_Object;

/*
** What is found there; it may grow at its end. But for the last two, which any OS thread may call,
** they are for the inline functions alone.
*/
typedef struct lthread_Functions {
  size_t size;
  int (*blocking_begin)(lua_State *L, const char *name, void (*wake)(void *context), void *context);
  int (*blocking_end)(lua_State *L, int index);
  int (*set_transfer)(lua_State *L, const char *type_name, const lthread_Transfer2 *transfer);
  int (*set_transfer_at)(lua_State *L, int index, const lthread_Transfer2 *transfer);
  lthread_Object *(*object_at)(lua_State *L, int index);
  void (*object_push)(lua_State *L, lthread_Object *object);
  void (*object_retain)(lthread_Object *object);
  void (*object_release)(lthread_Object *object);
} lthread_Functions;

/*
** [-0, +0, m] Owner of L. The functions of the library; NULL if lthread is not open in L. They stay for
** as long as the process lives.
*/
static inline const lthread_Functions *lthread_functions(lua_State *L) {
  const lthread_Functions *functions = NULL;
  if (lua_getfield(L, LUA_REGISTRYINDEX, LTHREAD_FUNCTIONS) == LUA_TLIGHTUSERDATA)
    functions = (const lthread_Functions *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return functions;
}

/*
** A section of a C function in which it blocks in code of others: an interrupt ends it, and dumps
** show its name.
**
**   lthread_Section section;
**   int status = MY_INTERRUPTED;
**   if (!lthread_blocking_begin(L, &section, "my_wait", my_wake, handle))
**     status = my_wait(handle);
**   if (lthread_blocking_end(L, &section))
**     return 0;
**
** Sections nest. One that is not ended ends with its C function, also where an error leaves that.
** Between the two there is one value more on the stack, which must stay where it is.
*/
typedef struct lthread_Section {
  const lthread_Functions *functions; /* all are for the two functions alone */
  int index;
} lthread_Section;

/*
** [-0, +1, m] Owner of L. Returns 1 if the thread has been asked to raise an exception: do not block
** then. 'name' is copied; dumps show 39 bytes of it.
**
** wake(context) is called when the thread is interrupted in the section: at most once, on another OS
** thread, never in a signal handler. Where the thread is in what the section has called through Lua,
** only if the interrupt has not been raised there soon. It makes what blocks return soon
** (sqlite3_interrupt, curl_multi_wakeup, uv_async_send), can't use Lua, and must not wait for the
** thread. It has returned when lthread_blocking_end does, or the section has ended otherwise. System
** calls that the system can restart are not broken before it has been called. With NULL a signal
** breaks them (EINTR), again and again until the section is over; on Windows it does so where
** CancelSynchronousIo can.
**
** Where interrupts are held back by shield, neither comes, until the runtime ends.
*/
static inline int lthread_blocking_begin(lua_State *L, lthread_Section *section, const char *name,
                                         void (*wake)(void *context), void *context) {
  section->functions = lthread_functions(L);
  section->index = lua_gettop(L) + 1;
  if (section->functions != NULL)
    return section->functions->blocking_begin(L, name, wake, context);
  lua_pushnil(L);
  return 0;
}

/*
** [-1, +0, -] Owner of L. Waits for a wake that runs. Returns 1 if the section was interrupted, or was
** not to begin: return from the C function then, with whatever there is, for the exception is raised
** before the next instruction of Lua.
*/
static inline int lthread_blocking_end(lua_State *L, lthread_Section *section) {
  if (section->functions != NULL)
    return section->functions->blocking_end(L, section->index);
  lua_remove(L, section->index);
  return 0;
}

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

/*
** The same, for new modules: in the field LTHREAD_TRANSFER2, and it can grow. It is looked for where
** there is no LTHREAD_TRANSFER. A module that was compiled with an older header goes on working with a
** newer library.
**
**   static const lthread_Transfer2 transfer = {
**       sizeof(transfer), "my.type", {send, receive, discard}, NULL};
**
** receive must push one value.
*/
typedef void (*lthread_Visit)(void *visitor, lthread_Object *object);

struct lthread_Transfer2 {
  size_t size;      /* sizeof(lthread_Transfer2) */
  const char *name; /* of the type, for errors */
  lthread_Transfer functions;

  /*
  ** NULL, or calls visit(visitor, object) for each reference to a lthread_Object that the token has
  ** for itself, so that cycles that lead through it are collected. It is called behind 'send', twice,
  ** on the same thread, and can't use Lua. A token keeps what it has until it is discarded. References
  ** that it has in common with others, such as those of a structure whose references are counted,
  ** must not be visited: they would be taken for garbage while others use them.
  */
  void (*traverse)(void *token, lthread_Visit visit, void *visitor);
};

#define LTHREAD_TRANSFER2 "__transfer2"

/*
** [-0, +0, e] Owner of L. From now on userdata of the type that luaL_newmetatable made under this name
** cross by the rule, in all threads of the runtime, whoever made the type. It comes before what is in
** the metatable. NULL takes it away. The rule lives as long as the process. Returns 0 if lthread is
** not open in L: then nothing is done. Raises ValueError for a wrong size and for what it lacks.
*/
static inline int lthread_set_transfer(lua_State *L, const char *type_name,
                                       const lthread_Transfer2 *transfer) {
  const lthread_Functions *functions = lthread_functions(L);
  return functions != NULL ? functions->set_transfer(L, type_name, transfer) : 0;
}

/*
** [-0, +0, e] Owner of L. The same for userdata that have the metatable at 'index', in this state. The
** rule goes along with them: where one has arrived, others of its type cross, too.
*/
static inline int lthread_set_transfer_at(lua_State *L, int index,
                                          const lthread_Transfer2 *transfer) {
  const lthread_Functions *functions;
  index = lua_absindex(L, index);
  functions = lthread_functions(L);
  return functions != NULL ? functions->set_transfer_at(L, index, transfer) : 0;
}

/*
** [-0, +0, m] Owner of L. A reference to the object that the value at 'index' stands for; NULL: it is no
** object of lthread. Give it back with lthread_functions(L)->object_release(object), on any OS thread;
** object_retain takes one more.
*/
static inline lthread_Object *lthread_object_at(lua_State *L, int index) {
  const lthread_Functions *functions;
  index = lua_absindex(L, index);
  functions = lthread_functions(L);
  return functions != NULL ? functions->object_at(L, index) : NULL;
}

/* [-0, +1, m] Owner of L, in which lthread is open. Pushes the object. */
static inline void lthread_object_push(lua_State *L, lthread_Object *object) {
  lthread_functions(L)->object_push(L, object);
}

#ifdef __cplusplus
}
#endif

#endif
