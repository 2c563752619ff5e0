---@meta lthread.futures

---@class lthread.futures
---@field ThreadPoolExecutor lthread.ThreadPoolExecutorClass
---@field Future lthread.FutureClass
---@field CancelledError lthread.ExceptionClass
---@field InvalidStateError lthread.ExceptionClass
---@field BrokenExecutor lthread.ExceptionClass Below RuntimeError.
---@field BrokenThreadPool lthread.ExceptionClass Below BrokenExecutor.
---@field TimeoutError lthread.ExceptionClass
---@field FIRST_COMPLETED "FIRST_COMPLETED"
---@field FIRST_EXCEPTION "FIRST_EXCEPTION"
---@field ALL_COMPLETED "ALL_COMPLETED"
local futures = {}

---@class lthread.FutureClass: lthread.Class
---@overload fun(): lthread.Future

---@class lthread.Future What becomes of a task. Python: `concurrent.futures.Future`.
local future = {}

---Waits, and returns copies of the results; raises what the task has raised.
---@param timeout? number
---@return any ...
---@overload fun(self, names: { timeout: number }): ...
function future:result(timeout) end

---What the task has raised, or false.
---@param timeout? number
---@return any
---@overload fun(self, names: { timeout: number }): any
function future:exception(timeout) end

---Where the task has raised it.
---@return string?
function future:traceback() end

---@return boolean
function future:done() end

---@return boolean
function future:running() end

---@return boolean
function future:cancelled() end

---Cancels it, if it has not begun.
---@return boolean cancelled
function future:cancel() end

---Raises an exception in the task, if a thread runs it at this moment.
---@param exception? lthread.Exception|lthread.ExceptionClass SystemExit by default
---@return boolean accepted
function future:interrupt(exception) end

---@param ... any
function future:set_result(...) end

---@param error any
function future:set_exception(error) end

---@return boolean running
function future:set_running_or_notify_cancel() end

---A copy of `f` is called with the future when it is done.
---@param f fun(future: lthread.Future)
function future:add_done_callback(f) end

---Puts `{future, tag}` into the queue when it is done.
---@param queue lthread.SimpleQueue
---@param tag? any
function future:notify(queue, tag) end

---@return boolean
function future:_run() end

---@class lthread.ExecutorOptions
---@field max_workers? integer
---@field thread_name_prefix? string
---@field initializer? function Called by each thread before its first task.
---@field initargs? any[]
---@field on_exit? "wait"|"cancel" What becomes of tasks that have not begun when the main state ends.
---@field memory? integer How many bytes the state of each thread may have.

---@class lthread.ThreadPoolExecutorClass
---@overload fun(options?: lthread.ExecutorOptions|integer): lthread.ThreadPoolExecutor

---@class lthread.ThreadPoolExecutor Python: `concurrent.futures.ThreadPoolExecutor`.
local executor = {}

---Has `f(...)` called by a thread of the pool.
---@param f function
---@param ... any
---@return lthread.Future
function executor:submit(f, ...) end

---@class lthread.MapOptions
---@field timeout? number From the call on.
---@field chunksize? integer How many items go as one task.
---@field buffersize? integer How many chunks are out at most.
---@field ordered? boolean false: results come as they are done.

---`for i, result, ... in executor:map(f, items) do`
---@param f function
---@param items any[]|fun(): any
---@param options? lthread.MapOptions
---@return fun(): integer, any
function executor:map(f, items, options) end

---No more tasks are taken.
---@param wait? boolean until all are done; true by default
---@param cancel_futures? boolean
---@overload fun(self, names: { wait?: boolean, cancel_futures?: boolean })
function executor:shutdown(wait, cancel_futures) end

---`f` packed once, to be submitted or called in its place.
---@param f function
---@return function
function futures.task(f) end

---The futures as they are done, each once.
---@param list lthread.Future[]
---@param timeout? number
---@return fun(): lthread.Future
function futures.as_completed(list, timeout) end

---Waits; returns those that are done, and the others.
---@param list lthread.Future[]
---@param timeout? number
---@param return_when? "FIRST_COMPLETED"|"FIRST_EXCEPTION"|"ALL_COMPLETED"
---@return lthread.Future[] done
---@return lthread.Future[] not_done
function futures.wait(list, timeout, return_when) end

return futures
