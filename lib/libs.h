/*
** The Lua faces of the concepts in src/. lthread.c puts them together.
*/
#ifndef lt_libs_h
#define lt_libs_h

#include "src/object/arguments.h"
#include "src/object/exception.h"
#include "src/thread/thread.h"
#include "src/transfer/message.h"

/* Of types in src/, which lthread.c gives them. */
extern const lt_Face lt_class_face, lt_handle_face, lt_shared_face;

/* Types of objects, with what calling their class does. */
extern const lt_Type lt_lock_type, lt_rlock_type, lt_local_type, lt_per_thread_type;
extern lt_Class lt_LockType, lt_RLockType, lt_LocalType, lt_PerThreadType, lt_HandleType,
    lt_SharedType, lt_EventType, lt_SemaphoreType, lt_BoundedSemaphoreType, lt_ConditionType,
    lt_BarrierType, lt_BrokenBarrierError, lt_FutureType, lt_CancelledError, lt_InvalidStateError,
    lt_QueueKeeperType, lt_TaskType;

/* Functions of the module that are made by one of these. */
int lt_allocate_lock(lua_State *L);
int lt_isinstance(lua_State *L);

/* Pushes the table of the module lthread.queue. */
void lt_push_queue_module(lua_State *L);

/* A list of processors that can be used; false: there is none. */
bool lt_opt_processors(lua_State *L, int arg, plat_Processors *processors);

/* prepare(f, ...), a function for executors. */
int lt_prepare_future(lua_State *L);

/* Pushes a table of what the modules in Lua need of C, besides that of lthread. */
void lt_push_core(lua_State *L);

/* Pushes the table of the module lthread.transfer.socket, which needs LuaSocket. */
void lt_push_socket_module(lua_State *L);

/* How a socket is moved to another thread. */
extern const lt_Move lt_socket_move;

/* Interrupts a thread with the exception, or the class, at 'arg'. Pushes whether it was alive. */
int lt_interrupt_thread(lua_State *L, lt_Thread *thread, int arg);

/* The class of the interrupt at 'arg', and, if it is an exception and no class, that packed. */
lt_Class *lt_check_interrupt(lua_State *L, int arg, lt_Message **message);

/* try(f, ...), by whose address it is known on a stack. */
int lt_try(lua_State *L);

/*
** An option that says which globals go along with functions: false for none, or a list of names,
** in whose place a copy is put; nil, or true, for those that the functions name. Returns 'arg'.
*/
int lt_opt_globals(lua_State *L, int arg);

/* Functions of the module that have a file of their own. */
extern const luaL_Reg lt_affinity_functions[], lt_thread_functions[], lt_interrupt_functions[],
    lt_descriptor_functions[], lt_shared_functions[], lt_transfer_functions[], lt_call_functions[],
    lt_copy_functions[], lt_raw_functions[], lt_wait_any_functions[], lt_seeing_functions[];

#endif
