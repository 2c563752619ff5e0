---@meta lthread

-- For editors that read LuaCATS annotations. What all of it does is told at length by doc/reference.md.
-- Times are in seconds and may be fractions.

---@class lthread
---@field error lthread.ExceptionClass RuntimeError by the name that it has in Python
---@field LockType lthread.LockClass
---@field lock lthread.LockClass
---@field RLock lthread.RLockClass
---@field Event lthread.EventClass
---@field Semaphore lthread.SemaphoreClass
---@field BoundedSemaphore lthread.BoundedSemaphoreClass
---@field Condition lthread.ConditionClass
---@field Barrier lthread.BarrierClass
---@field _local lthread.LocalClass
---@field per_thread lthread.PerThreadClass
---@field _ThreadHandle lthread.ThreadHandleClass
---@field shared lthread.SharedClass
---@field globals lthread.Shared One shared table for all threads of the runtime. What it lacks is looked up in `_G`.
---@field BaseException lthread.ExceptionClass
---@field Exception lthread.ExceptionClass Below BaseException: what a program is to handle.
---@field RuntimeError lthread.ExceptionClass
---@field NotSupportedError lthread.ExceptionClass Below RuntimeError: what this system can't do.
---@field BrokenBarrierError lthread.ExceptionClass Below RuntimeError: a barrier is broken.
---@field ValueError lthread.ExceptionClass
---@field TypeError lthread.ExceptionClass
---@field AttributeError lthread.ExceptionClass A field that an object lacks.
---@field OverflowError lthread.ExceptionClass
---@field TimeoutError lthread.ExceptionClass
---@field SystemExit lthread.ExceptionClass Ends a thread silently.
---@field KeyboardInterrupt lthread.ExceptionClass
---@field TimeLimitError lthread.ExceptionClass No Exception: the thread's `seconds` are over.
---@field TIMEOUT_MAX number The longest timeout.
---@field _VERSION string
local _thread = {}

---@class lthread.Exception An exception, raised with `error`.
---@field message string The first argument as a string, or "".
---@field args table The list of all arguments, with their number in `n`.
---@field where string The place where it was made, "file:line: ", or "".
---@field traceback string
---@field __class__ lthread.ExceptionClass

---@class lthread.Class A class is the same one in every thread.
---@field __name__ string
---@field __base__ lthread.Class?

---@class lthread.ExceptionClass: lthread.Class
---@overload fun(...: any): lthread.Exception
local exception_class = {}

---A new class of exceptions below this one.
---@param name string
---@return lthread.ExceptionClass
function exception_class:subclass(name) end

-- Starting threads

---@class lthread.StartOptions
---@field args? any[] The arguments, `args.n` or `#args` of them.
---@field kwargs? table Passed last.
---@field handle? lthread.ThreadHandle One that is not started.
---@field daemon? boolean Whether the end of the main state does not wait for it. True by default.
---@field name? string
---@field globals? false|string[] Which globals go along: none, or exactly these.
---@field report? boolean Whether the exception hook is called with what it dies of. True by default.
---@field affinity? integer[] The processors that it may run on.
---@field memory? integer How many bytes its state may have. By default, and at most, that of the starter.
---@field seconds? number How long it may run, waits included. At most as long as the starter.

---Calls `f(args[1], ..., args[n] [, kwargs])` in a new daemon thread. Python: `_thread.start_new_thread`.
---@param f function
---@param args any[]
---@param kwargs? table
---@param options? { globals?: false|string[], memory?: integer, seconds?: number }
---@return integer ident
function _thread.start_new_thread(f, args, kwargs, options) end

_thread.start_new = _thread.start_new_thread

---Calls `f` in a new thread. Python: `_thread.start_joinable_thread`.
---@param f function
---@param handle? lthread.ThreadHandle
---@param daemon? boolean
---@return lthread.ThreadHandle
---@overload fun(f: function, options: lthread.StartOptions): lthread.ThreadHandle
function _thread.start_joinable_thread(f, handle, daemon) end

---The stack size of threads that are started from now on; 0 is the default. Python: `_thread.stack_size`.
---@param size? integer in bytes, 0 or at least 32768
---@return integer previous
function _thread.stack_size(size) end

---@class lthread.ThreadHandleClass: lthread.Class
---@overload fun(): lthread.ThreadHandle

---@class lthread.ThreadHandle
---@field ident integer 0 before the start.
---@field name string
---@field daemon boolean
---@field native_id integer?
local handle = {}

---Waits until the thread has ended. Python: `_ThreadHandle.join`.
---@param timeout? number
---@return boolean ended
---@overload fun(self, names: { timeout: number }): boolean
function handle:join(timeout) end

---Whether the thread has ended. Python: `_ThreadHandle.is_done`.
---@return boolean
function handle:is_done() end

---Joins, and returns copies of what the function returned; raises what the thread has died of, or TimeoutError.
---@param timeout? number
---@return any ...
---@overload fun(self, names: { timeout: number }): ...
function handle:result(timeout) end

---Raises an exception in the thread.
---@param exception? lthread.Exception|lthread.ExceptionClass SystemExit by default
---@return boolean accepted
function handle:interrupt(exception) end

---A handle of the thread with this ident. Python: `_thread._make_thread_handle`.
---@param ident integer
---@return lthread.ThreadHandle
function _thread._make_thread_handle(ident) end

---@class lthread.Generator
---@overload fun(): any
local generator_class = {}

---Ends the thread: no more values come.
function generator_class:close() end

---Runs `f` in a coroutine of a daemon thread: `for value in _thread.generator(f) do`.
---@param f function
---@param options? { args?: any[], buffer?: integer }
---@return lthread.Generator
function _thread.generator(f, options) end

---The calling thread runs only on these processors from now on. Python: `os.sched_setaffinity`.
---@param processors integer[]
function _thread.set_affinity(processors) end

---The processors that the calling thread may run on. Python: `os.sched_getaffinity`.
---@return integer[]
function _thread.get_affinity() end

-- Identity

---The calling thread's ident, which no other thread of the process ever gets.
---@return integer
function _thread.get_ident() end

---The calling thread's id in the system.
---@return integer
function _thread.get_native_id() end

---@return integer
function _thread._get_main_thread_ident() end

---How many threads there are besides the main one.
---@return integer
function _thread._count() end

---How many processors the process may use. Python: `os.process_cpu_count`.
---@return integer
function _thread.cpu_count() end

---@return true
function _thread.daemon_threads_allowed() end

---@return boolean
function _thread._is_main_interpreter() end

---Names the calling thread.
---@param name string
function _thread.set_name(name) end

---@class lthread.ThreadInfo
---@field ident integer
---@field native_id integer
---@field name string
---@field daemon boolean
---@field state "starting"|"running"|"blocked"|"stopping"

---The threads that are alive, the main thread first.
---@return lthread.ThreadInfo[]
function _thread.enumerate() end

-- Ending

---Raises SystemExit, which ends the thread silently.
function _thread.exit() end

_thread.exit_thread = _thread.exit

---Waits for all threads that are not daemons, except the calling one.
function _thread._shutdown() end

---A copy of `f` is called when the main state is closed, before threads are waited for.
---@param f function
function _thread._register_atexit(f) end

---@class lthread.ExceptHookArgs
---@field exc_type lthread.ExceptionClass?
---@field exc_value any
---@field exc_traceback string
---@field thread lthread.ThreadHandle

---An error that nobody catches in a thread calls a copy of `f` from now on; nil restores the default.
---@param f? fun(args: lthread.ExceptHookArgs)
function _thread.set_excepthook(f) end

---Writes to the error stream what the table says: the default hook.
---@param args lthread.ExceptHookArgs
function _thread._excepthook(args) end

---@param values any[] {type, value, traceback, thread}
---@return lthread.ExceptHookArgs
function _thread._ExceptHookArgs(values) end

-- Interrupts

---Raises an exception in the thread with this ident.
---@param ident integer
---@param exception? lthread.Exception|lthread.ExceptionClass SystemExit by default
---@return boolean accepted
function _thread.interrupt(ident, exception) end

---KeyboardInterrupt in the main thread, or the handler of another signal. Python: `_thread.interrupt_main`.
---@param signum? integer 2 by default
---@overload fun(names: { signum: integer })
function _thread.interrupt_main(signum) end

---Calls `f(...)` and holds interrupts meanwhile.
---@generic R
---@param f fun(...): R...
---@param ... any
---@return R ...
function _thread.shield(f, ...) end

---A `pcall` that lets pass what is meant for the thread: SystemExit, KeyboardInterrupt, Ctrl-C.
---@param f function
---@param ... any
---@return boolean ok
---@return any ...
function _thread.try(f, ...) end

---Interrupts of the calling thread call `f(exception)` from now on; nil takes it away.
---@param f? fun(exception: lthread.Exception)
---@return function? previous
function _thread.on_interrupt(f) end

---A descriptor of the calling thread that is readable while an interrupt is pending.
---@return integer
function _thread.interrupt_fileno() end

-- What threads do

---Writes what every thread does, with its stack. Python: `faulthandler.dump_traceback`.
---@param file? { write: function } io.stderr by default
function _thread.dump_traceback(file) end

---Writes a dump to the error stream once so many seconds have passed. Python: `faulthandler.dump_traceback_later`.
---@param timeout number
---@param repeating? boolean
---@overload fun(names: { timeout: number, repeating?: boolean })
function _thread.dump_traceback_later(timeout, repeating) end

function _thread.cancel_dump_traceback_later() end

---Whether threads that wait for one another are told on the error stream.
---@param flag boolean
function _thread.set_deadlock_check(flag) end

---From now on the process counts for what its threads wait.
function _thread.contention_start() end

function _thread.contention_stop() end

---@class lthread.ContendedPlace
---@field place? string "file.lua:12"
---@field waits integer
---@field seconds number

---@class lthread.Contended
---@field what string "lock", "queue get", "shared table", ...
---@field address string
---@field waits integer
---@field seconds number
---@field longest number
---@field held_by? string the name of a thread
---@field places lthread.ContendedPlace[]

---For what threads have waited, the costliest first; print shows a table.
---@return lthread.Contended[]
function _thread.contention() end

---From now on counts the stacks of all threads, so many times a second.
---@param hz? integer 1 to 1000, by default 100
function _thread.profile_start(hz) end

---Writes the profile in folded form, for flame graphs.
---@param path string
---@return integer samples
function _thread.profile_stop(path) end

---From now on writes to a file what happens to all threads, for Perfetto or chrome://tracing.
---@param path string
function _thread.trace_start(path) end

function _thread.trace_stop() end

---Calls f(...), which in a trace is a slice with this name.
---@param name string
---@param f function
---@param ... any
---@return any ... what f returns
function _thread.span(name, f, ...) end

-- Locks

---@class lthread.LockClass: lthread.Class
---@overload fun(): lthread.Lock

---@class lthread.Lock
local lock = {}

---Waits for the lock. Python: `lock.acquire`.
---@param blocking? boolean
---@param timeout? number
---@return boolean acquired
---@overload fun(self, names: { blocking?: boolean, timeout?: number }): boolean
function lock:acquire(blocking, timeout) end

---Unlocks the lock; RuntimeError if it is unlocked. Python: `lock.release`.
function lock:release() end

---@return boolean
function lock:locked() end

lock.acquire_lock = lock.acquire
lock.release_lock = lock.release
lock.locked_lock = lock.locked

---`local _ <close> = lock:hold()` has the lock until the end of the scope.
---@return table guard
function lock:hold() end

---Calls `f(...)` with the lock held.
---@generic R
---@param f fun(...): R...
---@param ... any
---@return R ...
function lock:with(f, ...) end

---@return true
function lock:__enter__() end

function lock:__exit__(...) end

---A new lock, unlocked. Python: `_thread.allocate_lock`.
---@return lthread.Lock
function _thread.allocate_lock() end

_thread.allocate = _thread.allocate_lock

---@class lthread.RLockClass: lthread.Class
---@overload fun(): lthread.RLock

---@class lthread.RLock A lock that the thread that has it may acquire again.
local rlock = {}

---@param blocking? boolean
---@param timeout? number
---@return boolean acquired
---@overload fun(self, names: { blocking?: boolean, timeout?: number }): boolean
function rlock:acquire(blocking, timeout) end

---Takes one acquire back; the last one unlocks.
function rlock:release() end

---@return boolean
function rlock:locked() end

---@return table guard
function rlock:hold() end

---@generic R
---@param f fun(...): R...
---@param ... any
---@return R ...
function rlock:with(f, ...) end

---@return true
function rlock:__enter__() end

function rlock:__exit__(...) end

---Whether the calling thread has it.
---@return boolean
function rlock:_is_owned() end

---How often the calling thread has acquired it.
---@return integer
function rlock:_recursion_count() end

---Unlocks it however often it was acquired.
---@return integer count
---@return integer owner
function rlock:_release_save() end

---Acquires it, and counts as before `_release_save`.
---@param count integer
---@param owner? integer
function rlock:_acquire_restore(count, owner) end

-- Events and semaphores

---@class lthread.EventClass: lthread.Class
---@overload fun(): lthread.Event

---@class lthread.Event A flag that threads wait for. Python: `threading.Event`.
local event = {}

---Sets the flag and wakes all who wait.
function event:set() end

---Takes the flag back.
function event:clear() end

---@return boolean
function event:is_set() end

---Waits for the flag.
---@param timeout? number
---@return boolean set
---@overload fun(self, names: { timeout: number }): boolean
function event:wait(timeout) end

---@class lthread.SemaphoreClass: lthread.Class
---@overload fun(value?: integer): lthread.Semaphore

---@class lthread.BoundedSemaphoreClass: lthread.Class
---@overload fun(value?: integer): lthread.Semaphore

---@class lthread.Semaphore Units that threads take and give back. Python: `threading.Semaphore`.
local semaphore = {}

---Takes a unit.
---@param blocking? boolean
---@param timeout? number
---@return boolean acquired
---@overload fun(self, names: { blocking?: boolean, timeout?: number }): boolean
function semaphore:acquire(blocking, timeout) end

---Gives `n` units back.
---@param n? integer 1 by default
---@overload fun(self, names: { n: integer })
function semaphore:release(n) end

---@return table guard
function semaphore:hold() end

---@generic R
---@param f fun(...): R...
---@param ... any
---@return R ...
function semaphore:with(f, ...) end

-- Conditions and barriers

---@class lthread.ConditionClass: lthread.Class
---@overload fun(lock?: lthread.Lock|lthread.RLock): lthread.Condition

---@class lthread.Condition Python: `threading.Condition`.
local condition = {}

---@param blocking? boolean
---@param timeout? number
---@return boolean acquired
---@overload fun(self, names: { blocking?: boolean, timeout?: number }): boolean
function condition:acquire(blocking, timeout) end

function condition:release() end

---@return boolean
function condition:locked() end

---@return table guard
function condition:hold() end

---@generic R
---@param f fun(...): R...
---@param ... any
---@return R ...
function condition:with(f, ...) end

---Releases the lock, waits for a notification, and has the lock again.
---@param timeout? number
---@return boolean notified
---@overload fun(self, names: { timeout: number }): boolean
function condition:wait(timeout) end

---Waits until `predicate()`, called with the lock held, returns something true.
---@param predicate fun(): any
---@param timeout? number
---@return any
function condition:wait_for(predicate, timeout) end

---Wakes `n` of those who wait.
---@param n? integer 1 by default
---@overload fun(self, names: { n: integer })
function condition:notify(n) end

---Wakes all who wait.
function condition:notify_all() end

---@class lthread.BarrierClass: lthread.Class
---@overload fun(parties: integer, action?: function, timeout?: number): lthread.Barrier
---@overload fun(names: { parties: integer, action?: function, timeout?: number }): lthread.Barrier

---@class lthread.Barrier Python: `threading.Barrier`.
---@field parties integer
---@field n_waiting integer
---@field broken boolean
local barrier = {}

---Waits until all have come.
---@param timeout? number
---@return integer place 0 to `parties - 1`
---@overload fun(self, names: { timeout: number }): integer
function barrier:wait(timeout) end

---Begins anew; those who wait get BrokenBarrierError.
function barrier:reset() end

---Breaks it.
function barrier:abort() end

-- Shared tables

---@class lthread.SharedClass: lthread.Class
---@overload fun(t?: table, metatable?: table): lthread.Shared

---@class lthread.Shared One table for all threads.
---@field [any] any

---The field, without `__index`.
---@param t table
---@param key any
---@return any
function _thread.rawget(t, key) end

---Sets the field, without `__newindex`.
---@generic T
---@param t T
---@param key any
---@param value any
---@return T
function _thread.rawset(t, key, value) end

---The length, without `__len`.
---@param t table
---@return integer
function _thread.rawlen(t) end

---Walks over its own fields, without `__pairs`.
---@param t table
---@return function iterator
function _thread.rawpairs(t) end

---Adds `n` to the field, as one step.
---@param t lthread.Shared
---@param key any
---@param n number
---@return number sum
function _thread.add(t, key, n) end

---Sets the field and returns what it was, as one step.
---@param t lthread.Shared
---@param key any
---@param value any
---@return any old
function _thread.swap(t, key, value) end

---Sets the field to `new` if it is `old`, as one step.
---@param t lthread.Shared
---@param key any
---@param old any
---@param new any
---@return boolean swapped
function _thread.cas(t, key, old, new) end

---Sets the field to `f(value)`, again where another thread has changed it meanwhile.
---@param t lthread.Shared
---@param key any
---@param f fun(value: any): any
---@return any value
function _thread.update(t, key, f) end

---A plain copy, or a list of `t[i]` to `t[j]`, of one moment.
---@param t lthread.Shared
---@param i? integer
---@param j? integer
---@return table
function _thread.copy(t, i, j) end

---Sets `t[i]`, `t[i + 1]` and so on, as one step.
---@param t lthread.Shared
---@param i integer
---@param list any[]
function _thread.assign(t, i, list) end

---The bytes of all shared tables, functions and queues of the process.
---@return integer
function _thread.shared_memory() end

---Collects shared garbage. Python: `gc.collect`.
---@return { objects: integer, freed: integer, seconds: number, longest_step: number }
function _thread.collect() end

-- Data of each thread

---@class lthread.LocalClass: lthread.Class
---@overload fun(): lthread.Local

---@class lthread.Local An object whose fields are each thread's own. Python: `_thread._local`.
---@field [any] any

---@class lthread.PerThreadClass: lthread.Class
---@overload fun(f: function, options?: { close: boolean }): lthread.PerThread

---@class lthread.PerThread
---@overload fun(): any

-- Time

---Waits; with 0 it lets others run. Python: `time.sleep`.
---@param seconds number
function _thread.sleep(seconds) end

---Of a clock that never goes back. Python: `time.monotonic`.
---@return number seconds
function _thread.monotonic() end

---Waits until a descriptor is ready. Python: `select.poll`.
---@param fd integer|file*|table
---@param mode "r"|"w"|"rw"
---@param timeout? number
---@return "r"|"w"|"rw"|nil ready
---@overload fun(fd: integer|file*|table, mode: "r"|"w"|"rw", names: { timeout: number }): "r"|"w"|"rw"|nil
function _thread.wait_fd(fd, mode, timeout) end

---Waits until one of several queues, handles, futures, events, semaphores, descriptors is ready. Takes nothing. Python:
---`multiprocessing.connection.wait`.
---@param list any[]
---@param timeout? number
---@return any object nil when the time is up
---@return integer? place
---@overload fun(list: any[], names: { timeout: number }): any, integer?
function _thread.wait_any(list, timeout) end

-- What crosses

---Whether the value is an object of the class, or of one of the list.
---@param value any
---@param class lthread.Class|lthread.Class[]
---@return boolean
function _thread.isinstance(value, class) end

---Says how the objects of a class cross: `f(object)` returns a function and its arguments.
---@param class table
---@param f? fun(object: any): function, ...
function _thread.register_transfer(class, f) end

---The class crosses by this name from now on.
---@generic T
---@param name string
---@param class T
---@return T
function _thread.register_class(name, class) end

return _thread
