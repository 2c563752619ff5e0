---@meta lthread.threading

---@class lthread.threading
---@field Thread lthread.ThreadClass
---@field Timer lthread.TimerClass
---@field Lock lthread.LockClass
---@field RLock lthread.RLockClass
---@field Condition lthread.ConditionClass
---@field Semaphore lthread.SemaphoreClass
---@field BoundedSemaphore lthread.BoundedSemaphoreClass
---@field Event lthread.EventClass
---@field Barrier lthread.BarrierClass
---@field BrokenBarrierError lthread.ExceptionClass
---@field ThreadError lthread.ExceptionClass
---@field Local lthread.LocalClass
---@field local lthread.LocalClass
---@field TIMEOUT_MAX number
local threading = {}

---@class lthread.ThreadOptions
---@field target? function
---@field args? any[] The arguments, `args.n` or `#args` of them.
---@field kwargs? table Passed last.
---@field name? string
---@field daemon? boolean That of the thread that makes it by default.
---@field report? boolean Whether what it dies of is printed. True by default.
---@field memory? integer How many bytes its state may have.
---@field seconds? number How long it may run, waits included.

---@class lthread.ThreadClass
---@overload fun(options?: lthread.ThreadOptions): lthread.Thread

---@class lthread.Thread: lthread.ThreadClass A shared object. Python: `threading.Thread`.
---@field name string
---@field daemon boolean
---@field ident integer?
---@field native_id integer?
---@field [string] any
local thread = {}

---A class of threads below this one, with a `run` of its own.
---@param name string
---@return lthread.ThreadClass
function thread:subclass(name) end

---Starts the thread.
function thread:start() end

---Waits until the thread has ended.
---@param timeout? number
---@return boolean ended
function thread:join(timeout) end

---What the target has returned; raises what the thread has died of.
---@param timeout? number
---@return any ...
function thread:result(timeout) end

---Raises an exception in the thread.
---@param exception? lthread.Exception|lthread.ExceptionClass SystemExit by default
---@return boolean accepted
function thread:interrupt(exception) end

---@return boolean
function thread:is_alive() end

---What the thread does: calls the target.
function thread:run() end

---@class lthread.TimerClass
---@overload fun(interval: number, f: function, args?: any[], kwargs?: table): lthread.Timer

---@class lthread.Timer: lthread.Thread
---@field interval number
---@field finished lthread.Event
local timer = {}

---The function is not called, unless that has begun.
function timer:cancel() end

---Waits, then calls the function.
function timer:run() end

---@return lthread.Thread
function threading.current_thread() end

---@return lthread.Thread
function threading.main_thread() end

---@return lthread.Thread[]
function threading.enumerate() end

---@return integer
function threading.active_count() end

---@return integer
function threading.get_ident() end

---@return integer
function threading.get_native_id() end

---@param size? integer
---@return integer previous
function threading.stack_size(size) end

---@param f? fun(args: lthread.ExceptHookArgs)
function threading.set_excepthook(f) end

---@param f function
function threading._register_atexit(f) end

return threading
