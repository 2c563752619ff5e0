---@meta lthread.queue

---@class lthread.queue
---@field SimpleQueue lthread.SimpleQueueClass
---@field Queue lthread.QueueClass
---@field LifoQueue lthread.QueueClass Last in, first out.
---@field PriorityQueue lthread.QueueClass The least message first: a number, a string, or a list that begins with one.
---@field Empty lthread.ExceptionClass
---@field Full lthread.ExceptionClass
---@field ShutDown lthread.ExceptionClass
local queue = {}

---@class lthread.PutOptions
---@field block? boolean
---@field timeout? number
---@field globals? false|string[] Which globals functions in the message bring.

---@class lthread.GetOptions
---@field block? boolean
---@field timeout? number

---@class lthread.SimpleQueueClass: lthread.Class
---@overload fun(): lthread.SimpleQueue

---@class lthread.QueueClass: lthread.Class
---@overload fun(maxsize?: integer): lthread.Queue
---@overload fun(names: { maxsize: integer }): lthread.Queue

---@class lthread.SimpleQueue Without bound, first in, first out. Python: `queue.SimpleQueue`.
local simple = {}

---Puts a message; waits for room.
---@param message any
---@param block? boolean
---@param timeout? number
---@param globals? false|string[]
---@overload fun(self, message: any, names: lthread.PutOptions)
function simple:put(message, block, timeout, globals) end

---@param message any
---@param options? { globals: false|string[] }
function simple:put_nowait(message, options) end

---Puts `list[1]` to `list[n]`, at the cost of one.
---@param list any[]
---@param block? boolean
---@param timeout? number
---@param globals? false|string[]
---@overload fun(self, list: any[], names: lthread.PutOptions)
function simple:put_many(list, block, timeout, globals) end

---Takes a message; waits for one. Raises Empty.
---@param block? boolean
---@param timeout? number
---@return any message
---@overload fun(self, names: lthread.GetOptions): any
function simple:get(block, timeout) end

---@return any message
function simple:get_nowait() end

---True and a message, or false.
---@return boolean
---@return any message
function simple:try_get() end

---The messages that are there, with their number in `n`; waits for the first one.
---@param max? integer
---@param timeout? number
---@return any[]
---@overload fun(self, names: { max?: integer, timeout?: number }): any[]
function simple:get_many(max, timeout) end

---`for i, message in queue:each() do`, until the queue is shut down and empty.
---@param task_done? boolean
---@param timeout? number
---@return fun(loop: any, i: integer): integer, any
---@overload fun(self, names: { task_done?: boolean, timeout?: number }): fun(loop: any, i: integer): integer, any
function simple:each(task_done, timeout) end

---A descriptor that is readable while `get` would not wait: for event loops. A hint: take with `try_get`.
---@return integer
function simple:fileno() end

---@return integer
function simple:qsize() end

---@return boolean
function simple:empty() end

---@class lthread.Queue: lthread.SimpleQueue Python: `queue.Queue`.
---@field maxsize integer 0: without bound.
---@field unfinished_tasks integer How many of the messages that were put are not done.
---@field is_shutdown boolean
local bounded = {}

---@return boolean
function bounded:full() end

---The work on a message that was got is done.
function bounded:task_done() end

---Waits until every message that was put is done.
---@param timeout? number
---@return boolean done
---@overload fun(self, names: { timeout: number }): boolean
function bounded:join(timeout) end

---`put` raises ShutDown from now on, and `get` when the queue is empty.
---@param immediate? boolean drops the messages that are left
---@overload fun(self, names: { immediate: boolean })
function bounded:shutdown(immediate) end

---Takes the next message from the first queue that has one; nil when the time is up. Raises ShutDown when all are.
---@param queues lthread.SimpleQueue[]
---@param timeout? number
---@return lthread.SimpleQueue? queue
---@return any message
---@return integer place
---@overload fun(queues: lthread.SimpleQueue[], names: { timeout: number }): lthread.SimpleQueue?, any, integer
function queue.select(queues, timeout) end

return queue
