-- Python's concurrent.futures: an executor with a pool of threads, on the queues, futures and
-- shared tables of lthread.
--
-- An executor is a shared object. Its workers do not have it, but only what they need: the queue
-- of tasks, and a shared table, its pool, with what both sides know. So an executor that nobody
-- has any more is collected; its keeper then shuts the queue down, and the workers end when that
-- is empty. The registry of the runtime has the pools that have workers, for the end of the main
-- state.
--
-- Of a pool, 'workers' and 'running' change under its lock. 'refusal' is why it takes no more
-- tasks: it is set before the queue is shut down, and who puts then finds one of the two.
local _thread, queue, core = ...

local raise, registry = core.raise, core.registry
local isinstance, monotonic = _thread.isinstance, _thread.monotonic
local shield, try = _thread.shield, _thread.try

local futures = {}

--- What becomes of a task. Its methods are told by the reference.
futures.Future = core.Future
--- task(f): f packed once, for many calls in many threads.
futures.task = core.task
futures.CancelledError = core.CancelledError
futures.InvalidStateError = core.InvalidStateError
futures.BrokenExecutor = core.BrokenExecutor
futures.BrokenThreadPool = core.BrokenThreadPool
futures.TimeoutError = _thread.TimeoutError
futures.FIRST_COMPLETED = "FIRST_COMPLETED"
futures.FIRST_EXCEPTION = "FIRST_EXCEPTION"
futures.ALL_COMPLETED = "ALL_COMPLETED"

--
-- Arguments
--

local function type_name(value)
  return value == nil and "no value" or type(value)
end

local function refuse(class, level, call, problem, ...)
  raise(class, level + 1, call .. ": " .. problem, ...)
end

local function check_positive(value, call, name)
  if math.type(value) ~= "integer" then
    refuse(_thread.TypeError, 4, call, "%s must be an integer, got %s", name, type_name(value))
  elseif value < 1 then
    refuse(_thread.ValueError, 4, call, "%s must be positive, got %d", name, value)
  end
end

local function check_type(value, expected, call, name)
  if value ~= nil and type(value) ~= expected then
    refuse(_thread.TypeError, 4, call, "%s must be a %s, got %s", name, expected, type_name(value))
  end
end

-- Options in a table: each must be known.
local function check_names(options, known, call)
  if type(options) ~= "table" then
    refuse(_thread.TypeError, 4, call, "a table of options expected, got %s", type_name(options))
  end
  for name in pairs(options) do
    if not known[name] then
      refuse(_thread.TypeError, 4, call, "unknown option '%s'", tostring(name))
    end
  end
end

local function check_callable(f, call)
  if not core.is_callable(f) then
    refuse(_thread.TypeError, 3, call, "a function expected, got %s", type_name(f))
  end
end

local function deadline_of(timeout)
  return timeout and monotonic() + math.max(timeout, 0)
end

-- For a wait: what is left of the time, nil without end.
local function left_until(deadline)
  return deadline and math.max(deadline - monotonic(), 0)
end

--
-- Workers
--

-- Whoever comes first makes it.
local function shared_part(name, make)
  return registry[name] or _thread.update(registry, name, function(part) return part or make() end)
end

local pools_lock = shared_part("futures_lock", _thread.allocate_lock)
local pools = shared_part("futures_pools", _thread.shared)

-- What is in the queue, which may have been shut down.
local function take_all(tasks)
  local ok, list = pcall(tasks.get_many, tasks, nil, 0)
  return ok and list or {}
end

-- No task is taken from now on; those that are there are done by the workers.
local function close_pool(pool, refusal)
  pool.lock:with(function() pool.refusal = pool.refusal or refusal end)
  pool.tasks:shutdown()
end

local function cancel_tasks(pool)
  for _, future in ipairs(take_all(pool.tasks)) do future:cancel() end
end

-- The initializer of a worker has failed: all that is to be done fails, too.
local function break_pool(pool, problem)
  pool.broken = "the initializer of a worker has failed: " .. tostring(problem)
  close_pool(pool, pool.broken)
  for _, future in ipairs(take_all(pool.tasks)) do
    if future:set_running_or_notify_cancel() then
      future:set_exception(core.BrokenThreadPool(pool.broken))
    end
  end
end

local function leave_pool(pool)
  pool.lock:with(function()
    pool.running = pool.running - 1
    if pool.running == 0 and pool.key then
      pools[pool.key] = nil
      pool.key = nil
    end
  end)
end

-- An idle worker says so, once for each task that it waits for.
local function next_task(pool, tasks)
  local there, future = tasks:try_get()
  if there then return future end
  pool.idle:release()
  return tasks:get()
end

local function run_tasks(pool, tasks)
  local future
  local _ <close> = setmetatable({}, { __close = function()
    if future and not future:done() then tasks:put(future) end
  end })
  while true do
    future = next_task(pool, tasks)
    future:_run()
    future = nil
  end
end

-- What each worker runs, until its queue is shut down and empty.
function futures._work(pool)
  local _ <close> = setmetatable({}, { __close = function() leave_pool(pool) end })
  local initializer = pool.initializer
  if initializer then
    local ok, problem = pcall(initializer)
    if not ok then
      shield(break_pool, pool, problem)
      error(problem, 0)
    end
  end
  local _, problem = pcall(run_tasks, pool, pool.tasks)
  if not isinstance(problem, queue.ShutDown) then error(problem, 0) end
end

-- At the end of the main state, before threads are waited for.
function futures._finish()
  local open = pools_lock:with(function()
    local list = {}
    for _, pool in pairs(pools) do list[#list + 1] = pool end
    return list
  end)
  for _, pool in ipairs(open) do
    close_pool(pool, "cannot schedule new futures after interpreter shutdown")
    if pool.on_exit == "cancel" then cancel_tasks(pool) end
  end
end

-- With the pool's lock, before its first worker: the end of the main state knows of it.
local function enter_pools(pool)
  pools_lock:with(function()
    if not registry.futures_finish then
      _thread._register_atexit(futures._finish)
      registry.futures_finish = true
    end
    pool.key = _thread.add(registry, "futures_count", 1)
    pools[pool.key] = pool
  end)
end

local function start_worker(pool)
  pool.lock:with(function()
    local number = #pool.workers + 1
    if pool.running >= pool.max_workers then return end
    if not pool.key then enter_pools(pool) end
    local handle = _thread.start_joinable_thread(futures._work, {
      args = { pool }, daemon = false, name = ("%s_%d"):format(pool.prefix, number - 1),
      memory = pool.memory,
    })
    pool.workers[number] = handle
    pool.running = pool.running + 1
  end)
end

--
-- Executors
--

--- An executor: threads that run what is submitted, one task after the other.
-- ThreadPoolExecutor{max_workers=, thread_name_prefix=, initializer=, initargs=, on_exit=,
-- memory=}. It is the same object in all threads, and tasks may use it, too. Threads start as they
-- are needed, at most max_workers, by default four more than there are processors, and 32 at most.
-- Each calls initializer(initargs[1], ...) first. At the end of the main state what was submitted
-- is done; with on_exit = "cancel" what has not begun is cancelled. `memory` is how many bytes each
-- of the threads may have at most: a task that wants more fails. Follows
-- concurrent.futures.ThreadPoolExecutor.
-- @class ThreadPoolExecutor
local ThreadPoolExecutor = { __name = "ThreadPoolExecutor" }
ThreadPoolExecutor.__index = ThreadPoolExecutor
futures.ThreadPoolExecutor = ThreadPoolExecutor

local executor_options = {
  max_workers = true, thread_name_prefix = true, initializer = true, initargs = true,
  on_exit = true, memory = true,
}

-- Packed once: each worker makes it for itself.
local function packed_initializer(options)
  local initializer, initargs = options.initializer, options.initargs or {}
  if initializer == nil then return nil end
  local count = initargs.n or #initargs
  return core.task(function() initializer(table.unpack(initargs, 1, count)) end)
end

local function new_executor(class, options)
  local call = "ThreadPoolExecutor"
  if math.type(options) == "integer" then options = { max_workers = options } end
  options = options or {}
  check_names(options, executor_options, call)
  if options.max_workers ~= nil then check_positive(options.max_workers, call, "max_workers") end
  if options.memory ~= nil then check_positive(options.memory, call, "memory") end
  check_type(options.thread_name_prefix, "string", call, "thread_name_prefix")
  check_type(options.initargs, "table", call, "initargs")
  if options.on_exit ~= nil and options.on_exit ~= "cancel" and options.on_exit ~= "wait" then
    refuse(_thread.ValueError, 3, call, "on_exit must be 'wait' or 'cancel', got '%s'",
      tostring(options.on_exit))
  end
  local tasks = queue.Queue()
  local count = _thread.add(registry, "futures_executors", 1)
  local pool = _thread.shared {
    tasks = tasks, lock = _thread.RLock(), idle = _thread.Semaphore(0), workers = {}, running = 0,
    max_workers = options.max_workers or math.min(32, _thread.cpu_count() + 4),
    prefix = options.thread_name_prefix or "ThreadPoolExecutor-" .. count - 1,
    initializer = packed_initializer(options), on_exit = options.on_exit, memory = options.memory,
  }
  return _thread.shared({ _pool = pool, _keeper = core.QueueKeeper(tasks) }, class)
end

setmetatable(ThreadPoolExecutor, { __call = new_executor })

local function refuse_task(pool, level)
  if pool.broken then raise(core.BrokenThreadPool, level + 1, "%s", pool.broken) end
  raise(_thread.RuntimeError, level + 1, "%s",
    pool.refusal or "cannot schedule new futures after shutdown")
end

local function schedule(pool, future)
  if pool.refusal then refuse_task(pool, 3) end
  local ok, problem = pcall(pool.tasks.put, pool.tasks, future)
  if not ok then
    if isinstance(problem, queue.ShutDown) then refuse_task(pool, 3) end
    error(problem, 0)
  end
  if pool.idle:acquire(false) or pool.running >= pool.max_workers then return end
  ok, problem = pcall(shield, start_worker, pool)
  if not ok and pool.running == 0 then
    future:cancel()
    error(problem, 0)
  end
end

--- Has f(...) called by a thread of the pool. f and its arguments are copied now, with the globals
-- that f names. Returns its future. Raises RuntimeError after `shutdown`, BrokenThreadPool,
-- TypeError for what can't be called or transferred. Follows Executor.submit.
function ThreadPoolExecutor:submit(f, ...)
  check_callable(f, "submit")
  local future = core.prepare(f, ...)
  schedule(self._pool, future)
  return future
end

local shutdown_options = { wait = true, cancel_futures = true }

--- No more tasks are taken. Names: wait (true by default: until all are done), cancel_futures
-- (false by default: whether those that have not begun are cancelled). Follows Executor.shutdown.
function ThreadPoolExecutor:shutdown(wait, cancel_futures)
  if type(wait) == "table" then
    check_names(wait, shutdown_options, "shutdown")
    wait, cancel_futures = wait.wait, wait.cancel_futures
  end
  local pool = self._pool
  shield(close_pool, pool, "cannot schedule new futures after shutdown")
  if cancel_futures then shield(cancel_tasks, pool) end
  if wait == false then return end
  for _, handle in ipairs(_thread.copy(pool.workers)) do
    if handle.ident ~= _thread.get_ident() then handle:join() end
  end
end

-- At the end of a scope: what has not begun is cancelled if an error passes.
function ThreadPoolExecutor:__close(problem)
  self:shutdown(true, problem ~= nil)
end

function ThreadPoolExecutor:__tostring()
  local pool = _thread.rawget(self, "_pool")
  return ("<ThreadPoolExecutor: %d of %d threads, %d tasks wait%s>"):format(pool.running,
    pool.max_workers, pool.tasks:qsize(), pool.refusal and ", shut down" or "")
end

--
-- Maps
--

-- What a worker does with a chunk. The results of an item lie in 'results', several in a list,
-- whose place 'several' has. Whatever fails ends the chunk; what is meant for the thread passes.
function futures._run_chunk(f, items, count)
  local results, several, done = {}, nil, 0
  local function keep(...)
    done = done + 1
    local width = select("#", ...)
    if width == 1 then
      results[done] = (...)
    else
      several = several or {}
      several[done] = true
      results[done] = table.pack(...)
    end
  end
  local ok, problem = try(function()
    for i = 1, count do keep(f(items[i])) end
  end)
  return results, several, done, ok, problem
end

-- Gives list[first], list[first + 1] and so on as chunks: a list and how many it has, or nil.
local function chunks_of_list(list, chunksize)
  local last, first = list.n or #list, 1
  return function()
    if first > last then return nil end
    local count = math.min(chunksize, last - first + 1)
    local chunk = table.move(list, first, first + count - 1, 1, {})
    first = first + count
    return chunk, count
  end
end

local function chunks_of_iterator(iterate, chunksize)
  local over = false
  return function()
    local chunk, count = {}, 0
    while not over and count < chunksize do
      local item = iterate()
      over = item == nil
      if not over then
        count = count + 1
        chunk[count] = item
      end
    end
    if count > 0 then return chunk, count end
  end
end

local map_options = { timeout = true, chunksize = true, buffersize = true, ordered = true }

-- A walk: the futures of its chunks by their numbers, and the place before the first item of each.
local function new_walk(pool, f, items, options, most_out)
  local chunks = type(items) == "table" and chunks_of_list or chunks_of_iterator
  return {
    pool = pool, f = f, most_out = most_out, deadline = deadline_of(options.timeout),
    next_chunk = chunks(items, options.chunksize or 1),
    futures = {}, before = {}, submitted = 0, given = 0, places = 0,
    finished = options.ordered == false and queue.SimpleQueue() or nil,
  }
end

local function submit_chunks(walk)
  while walk.next_chunk and walk.submitted - walk.given < walk.most_out do
    local chunk, count = walk.next_chunk()
    if not chunk then
      walk.next_chunk = nil
      return
    end
    local number = walk.submitted + 1
    local future = core.prepare(futures._run_chunk, walk.f, chunk, count)
    walk.futures[number], walk.before[number] = future, walk.places
    walk.submitted, walk.places = number, walk.places + count
    if walk.finished then future:notify(walk.finished, number) end
    schedule(walk.pool, future)
  end
end

-- The number of the next chunk whose results are given.
local function await_chunk(walk)
  if not walk.finished then return walk.given + 1 end
  local timeout = left_until(walk.deadline)
  local ok, message = pcall(walk.finished.get, walk.finished, { timeout = timeout })
  if ok then return message[2] end
  if isinstance(message, queue.Empty) then
    raise(_thread.TimeoutError, 3, "%d chunks are not done", walk.submitted - walk.given)
  end
  error(message, 0)
end

local function take_chunk(walk)
  local number = await_chunk(walk)
  local future = walk.futures[number]
  walk.results, walk.several, walk.done, walk.ok, walk.problem =
    future:result(left_until(walk.deadline))
  walk.futures[number] = nil
  walk.place, walk.position = walk.before[number], 0
  walk.given = walk.given + 1
  submit_chunks(walk)
end

-- The next place and its results; nil at the end.
local function next_result(walk)
  while true do
    local position = walk.position
    if position < walk.done then
      position = position + 1
      walk.position = position
      local result, several = walk.results[position], walk.several
      if several and several[position] then
        return walk.place + position, table.unpack(result, 1, result.n)
      end
      return walk.place + position, result
    end
    if not walk.ok then error(walk.problem, 0) end
    if walk.given == walk.submitted then return nil end
    take_chunk(walk)
  end
end

local function cancel_walk(walk)
  for _, future in pairs(walk.futures) do future:cancel() end
  walk.next_chunk, walk.given, walk.done, walk.ok = nil, walk.submitted, 0, true
end

--- `for i, result, ... in executor:map(f, items[, options]) do`: f(item) for each item of a list,
-- or of a function that gives one after the other and nil at the end, called by the pool's
-- threads. i is the item's place. Options: timeout (seconds, from now on: TimeoutError), chunksize
-- (1 by default: how many items go as one task), buffersize (how many chunks are out at most: for
-- functions four for each thread by default, for lists all), ordered (false: results come as they
-- are done). Leaving the loop cancels what has not begun. What f raises is raised in its place,
-- and the walk is over. Follows Executor.map.
function ThreadPoolExecutor:map(f, items, options)
  local call = "map"
  check_callable(f, call)
  options = options or {}
  check_names(options, map_options, call)
  if type(items) ~= "table" and type(items) ~= "function" then
    refuse(_thread.TypeError, 2, call, "a list or a function that gives items expected, got %s",
      type_name(items))
  end
  check_type(options.timeout, "number", call, "timeout")
  check_type(options.ordered, "boolean", call, "ordered")
  if options.chunksize ~= nil then check_positive(options.chunksize, call, "chunksize") end
  if options.buffersize ~= nil then check_positive(options.buffersize, call, "buffersize") end
  local pool = self._pool
  local most_out = options.buffersize
    or (type(items) == "function" and 4 * pool.max_workers or math.huge)
  local walk = new_walk(pool, f, items, options, most_out)
  walk.position, walk.done, walk.ok = 0, 0, true
  submit_chunks(walk)
  local guard = setmetatable({}, { __close = function() cancel_walk(walk) end })
  return next_result, walk, nil, guard
end

--
-- Waiting for several
--

-- The distinct futures of the list, in its order, each of which tells the queue when it is done.
local function watch(list, call, finished)
  if type(list) ~= "table" then
    refuse(_thread.TypeError, 3, call, "a list of futures expected, got %s", type_name(list))
  end
  local distinct, seen = {}, {}
  for i, future in ipairs(list) do
    if not isinstance(future, core.Future) then
      refuse(_thread.TypeError, 3, call, "a list of futures expected, got %s at place %d",
        type_name(future), i)
    end
    if not seen[future] then
      seen[future] = true
      distinct[#distinct + 1] = future
    end
  end
  for _, future in ipairs(distinct) do future:notify(finished) end
  return distinct
end

--- `for future in as_completed(list[, timeout]) do`: the futures as they are done, each once.
-- Raises TimeoutError when not all are done after so many seconds from the call. Follows
-- concurrent.futures.as_completed.
function futures.as_completed(list, timeout)
  check_type(timeout, "number", "as_completed", "timeout")
  local finished, deadline = queue.SimpleQueue(), deadline_of(timeout)
  local total = #watch(list, "as_completed", finished)
  local given = 0
  return function()
    if given == total then return nil end
    local ok, message = pcall(finished.get, finished, { timeout = left_until(deadline) })
    if not ok then
      if isinstance(message, queue.Empty) then
        raise(_thread.TimeoutError, 2, "%d (of %d) futures unfinished", total - given, total)
      end
      error(message, 0)
    end
    given = given + 1
    return message[1]
  end
end

local function ends_wait(future, return_when)
  return return_when == futures.FIRST_COMPLETED
    or return_when == futures.FIRST_EXCEPTION and not future:cancelled()
      and future:exception() ~= false
end

--- Waits until all futures of the list are done, at most `timeout` seconds; with FIRST_COMPLETED
-- until one is, with FIRST_EXCEPTION until one has raised an error. Returns two lists: those that
-- are done, and the others. Follows concurrent.futures.wait.
function futures.wait(list, timeout, return_when)
  check_type(timeout, "number", "wait", "timeout")
  return_when = return_when or futures.ALL_COMPLETED
  if futures[return_when] ~= return_when then
    refuse(_thread.ValueError, 2, "wait", "return_when is '%s', it must be FIRST_COMPLETED, "
      .. "FIRST_EXCEPTION or ALL_COMPLETED", tostring(return_when))
  end
  local finished, deadline = queue.SimpleQueue(), deadline_of(timeout)
  local distinct = watch(list, "wait", finished)
  for _ = 1, #distinct do
    local ok, message = pcall(finished.get, finished, { timeout = left_until(deadline) })
    if not ok then
      if isinstance(message, queue.Empty) then break end
      error(message, 0)
    end
    if ends_wait(message[1], return_when) then break end
  end
  local done, not_done = {}, {}
  for _, future in ipairs(distinct) do
    local part = future:done() and done or not_done
    part[#part + 1] = future
  end
  return done, not_done
end

return setmetatable(futures, {
  __newindex = function(_, key)
    raise(_thread.AttributeError, 2, "lthread.futures has no field '%s' to be set", tostring(key))
  end,
})
