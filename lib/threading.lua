-- Python's threading, on the threads, locks and shared tables of lthread.
--
-- A thread object is a shared object: the same one in all threads, its fields are in a shared
-- table. What threads know of each other is in the registry of the runtime, under its lock:
-- 'threads' has the object of each ident, 'started' tells how many names have been made.
local _thread, _, core = ...

local threading = {}

local raise, registry = core.raise, core.registry

-- The part of the registry with this name. Whoever comes first makes it.
local function shared_part(name, make)
  return registry[name] or _thread.update(registry, name, function(part) return part or make() end)
end

local lock = shared_part("threading_lock", _thread.RLock)
local known = shared_part("threading", function()
  return _thread.shared { threads = {}, started = 0 }
end)

--
-- Objects: a class is the metatable of its objects, and falls back on the class above it
--

local properties = {}

-- The field of a thread that its table lacks: a method, a property, or an error.
local function index(self, key)
  local value = getmetatable(self)[key]
  if value ~= nil then return value end
  local property = properties[key]
  if property then return property.get(self) end
  raise(_thread.AttributeError, 3, "a %s has no field '%s'; assign it before it is read",
    getmetatable(self).__name, tostring(key))
end

local function newindex(self, key, value)
  local property = properties[key]
  if not property then
    _thread.rawset(self, key, value)
  elseif property.set then
    property.set(self, value)
  else
    raise(_thread.AttributeError, 3, "the field '%s' of a thread can't be set", key)
  end
end

local function to_string(self)
  local handle = self._handle
  local state = handle.ident == 0 and "initial" or handle:is_done() and "stopped" or "started"
  return ("<%s(%s, %s%s%s)>"):format(getmetatable(self).__name, self.name, state,
    self.daemon and " daemon" or "", handle.ident ~= 0 and " " .. handle.ident or "")
end

-- The functions of a class are in the module: so they cross by their names, with all classes of a
-- script that are below these.
local function make_class(name, base, make)
  local class = { __name = name, __index = index, __newindex = newindex, __tostring = to_string }
  return setmetatable(class, { __index = base, __call = make })
end

-- What an object is to call, where it was made: by the object.
local calls = setmetatable({}, { __mode = "k" })

local function check_option(class, name, value, expected)
  if value ~= nil and type(value) ~= expected then
    raise(_thread.TypeError, 4, "%s{%s=}: %s expected, got %s", class.__name, name, expected,
      type(value))
  end
end

local option_types = {
  name = "string", args = "table", kwargs = "table", daemon = "boolean", report = "boolean",
  memory = "number", seconds = "number",
}

local function check_options(class, options)
  for name, value in pairs(options) do
    if name ~= "target" and not option_types[name] then
      raise(_thread.TypeError, 3,
        "%s has no option '%s' (target, args, kwargs, name, daemon, report, memory, seconds)",
        class.__name, tostring(name))
    end
    check_option(class, name, value, option_types[name] or type(value))
  end
end

local function next_name()
  return "Thread-" .. _thread.add(known, "started", 1)
end

function threading._make_thread(class, options)
  options = options or {}
  if type(options) ~= "table" then
    raise(_thread.TypeError, 3, "a table expected, %s{target = f}, got %s", class.__name,
      type(options))
  end
  check_options(class, options)
  local self = _thread.shared({
    _handle = _thread._ThreadHandle(),
    _name = options.name or next_name(),
    _report = options.report ~= false,
    _memory = options.memory, _seconds = options.seconds,
  }, class)
  local daemon = options.daemon
  if daemon == nil then daemon = threading.current_thread().daemon end
  _thread.rawset(self, "_daemon", daemon)
  calls[self] = { target = options.target, args = options.args, kwargs = options.kwargs }
  return self
end

--- A thread, which runs `target(args[1], ..., args[n] [, kwargs])` once it is started.
-- Thread{target=, args=, kwargs=, name=, daemon=, report=, memory=, seconds=}. The object is the
-- same in all threads; what is assigned to its fields is seen by all. `daemon` is that of the
-- thread that makes it by default: the end of the main state waits for those that are none. With
-- `report = false` what it dies of is not printed; `result` raises it in any case. `memory` is how
-- many bytes its state may have at most, `seconds` how long it may run. Follows threading.Thread.
-- @class Thread
local Thread = make_class("Thread", nil, threading._make_thread)
threading.Thread = Thread

--- A class of threads below this one: `local Worker = Thread:subclass "Worker"`, then
-- `function Worker:run() ... end`. Its objects are made as Worker{...}.
-- @param name a string
-- @return the class
function Thread:subclass(name)
  if type(name) ~= "string" then
    raise(_thread.TypeError, 2, "bad argument #1 to 'subclass' (string expected, got %s)",
      type(name))
  end
  return make_class(name, self, getmetatable(self).__call)
end

-- The methods of the handle, with Python's words for a thread that is not started.

--- Waits until the thread has ended, with a timeout (seconds) at most so long.
-- Returns whether it has. Raises RuntimeError before the start, and in the thread itself. Follows
-- Thread.join.
function Thread:join(timeout)
  if self._handle.ident == 0 then
    raise(_thread.RuntimeError, 2, "cannot join thread before it is started")
  end
  return self._handle:join(timeout)
end

--- What `run` has returned; raises what the thread has died of, and TimeoutError. Joins first.
-- @param timeout seconds
function Thread:result(timeout)
  return self._handle:result(timeout)
end

--- Raises an exception in the thread, SystemExit by default; returns whether it will see it.
function Thread:interrupt(exception)
  return self._handle:interrupt(exception)
end

--- Whether the thread has been started and has not ended. Follows Thread.is_alive.
function Thread:is_alive()
  return self._handle.ident ~= 0 and not self._handle:is_done()
end

--- What the thread does: calls the target. Classes of one's own have another. Follows Thread.run.
function Thread:run()
  local call = calls[self]
  if not call or call.target == nil then return end
  local args = call.args or {}
  local count = args.n or #args
  if call.kwargs == nil then return call.target(table.unpack(args, 1, count)) end
  args = table.move(args, 1, count, 1, {})
  args[count + 1] = call.kwargs
  return call.target(table.unpack(args, 1, count + 1))
end

local current

-- What each of these threads begins with.
function threading._bootstrap(self, call)
  current = self
  calls[self] = call
  local _ <close> = setmetatable({}, { __close = function()
    lock:with(function() known.threads[self._handle.ident] = nil end)
  end })
  return self:run()
end

--- Starts the thread. Raises RuntimeError if it has been, if its target was given in another
-- thread, or "can't start new thread"; TypeError for what can't be transferred. Follows
-- Thread.start.
function Thread:start()
  if self._handle.ident ~= 0 then
    raise(_thread.RuntimeError, 2, "threads can only be started once")
  end
  if not calls[self] and getmetatable(self).run == Thread.run then
    raise(_thread.RuntimeError, 2, "a thread with a target is started where it was made")
  end
  _thread.shield(lock.with, lock, function()
    _thread.start_joinable_thread(threading._bootstrap, {
      handle = self._handle, daemon = self._daemon, name = self._name, report = self._report,
      memory = _thread.rawget(self, "_memory"), seconds = _thread.rawget(self, "_seconds"),
      args = { self, calls[self], n = 2 },
    })
    known.threads[self._handle.ident] = self
  end)
end

properties.name = {
  get = function(self) return self._name end,
  set = function(self, name)
    if type(name) ~= "string" then
      raise(_thread.TypeError, 4, "the name of a thread is a string, got %s", type(name))
    end
    _thread.rawset(self, "_name", name)
    if self._handle.ident == _thread.get_ident() then _thread.set_name(name) end
  end,
}

properties.daemon = {
  get = function(self) return self._daemon end,
  set = function(self, daemon)
    if type(daemon) ~= "boolean" then
      raise(_thread.TypeError, 4, "daemon is a boolean, got %s", type(daemon))
    end
    if self._handle.ident ~= 0 then
      raise(_thread.RuntimeError, 4, "cannot set daemon status of active thread")
    end
    _thread.rawset(self, "_daemon", daemon)
  end,
}

properties.ident = {
  get = function(self)
    local ident = self._handle.ident
    if ident ~= 0 then return ident end
  end,
}

properties.native_id = { get = function(self) return self._handle.native_id end }

--
-- Which threads there are
--

-- The object of a thread that was not started by this module; with the lock.
local function object_of(ident)
  local self = known.threads[ident]
  if self then return self end
  local handle = _thread._make_thread_handle(ident)
  self = _thread.shared({ _handle = handle, _name = handle.name, _daemon = handle.daemon,
    _report = true }, Thread)
  if not handle:is_done() then known.threads[ident] = self end
  return self
end

--- The object of the calling thread. Follows threading.current_thread.
function threading.current_thread()
  if not current then
    current = lock:with(object_of, _thread.get_ident())
  end
  return current
end

--- The object of the main thread. Follows threading.main_thread.
function threading.main_thread()
  return lock:with(object_of, _thread._get_main_thread_ident())
end

-- Objects of threads that others have started are forgotten here, once those have ended.
local function list_threads()
  local list, alive = {}, {}
  for _, info in ipairs(_thread.enumerate()) do
    list[#list + 1] = object_of(info.ident)
    alive[info.ident] = true
  end
  for ident in pairs(known.threads) do
    if not alive[ident] then known.threads[ident] = nil end
  end
  return list
end

--- The objects of all threads that are alive, the main thread's first. Follows threading.enumerate.
function threading.enumerate()
  return lock:with(list_threads)
end

--- How many threads are alive, with the main one. Follows threading.active_count.
function threading.active_count()
  return #_thread.enumerate()
end

--
-- Timers
--

function threading._make_timer(class, interval, f, args, kwargs)
  if type(interval) ~= "number" then
    raise(_thread.TypeError, 2,
      "bad argument #1 to 'Timer' (number of seconds expected, got %s)", type(interval))
  end
  local self = threading._make_thread(class, { target = f, args = args, kwargs = kwargs })
  _thread.rawset(self, "interval", interval)
  _thread.rawset(self, "finished", _thread.Event())
  return self
end

--- A thread that calls `f(args[1], ...)` after so many seconds, unless it is cancelled before.
-- Timer(interval, f [, args [, kwargs]]). Follows threading.Timer.
-- @class Timer
local Timer = make_class("Timer", Thread, threading._make_timer)
threading.Timer = Timer
--- Ends the wait: the function is not called, unless that has begun. Follows Timer.cancel.
function Timer:cancel()
  self.finished:set()
end

--- Waits, then calls the function.
function Timer:run()
  if self.finished:wait(self.interval) then return end
  self.finished:set()
  return Thread.run(self)
end

--
-- What there is by the same names in lthread
--

--- See the reference of lthread: locks, events and all else that threads share.
threading.Lock = _thread.LockType
threading.RLock = _thread.RLock
threading.Condition = _thread.Condition
threading.Semaphore = _thread.Semaphore
threading.BoundedSemaphore = _thread.BoundedSemaphore
threading.Event = _thread.Event
threading.Barrier = _thread.Barrier
threading.BrokenBarrierError = _thread.BrokenBarrierError
threading.ThreadError = _thread.error
threading.Local = _thread._local
threading["local"] = _thread._local
threading.TIMEOUT_MAX = _thread.TIMEOUT_MAX
threading.get_ident = _thread.get_ident
threading.get_native_id = _thread.get_native_id
threading.stack_size = _thread.stack_size
threading.set_excepthook = _thread.set_excepthook
threading._register_atexit = _thread._register_atexit

return setmetatable(threading, {
  __newindex = function(_, key)
    if key == "excepthook" then
      raise(_thread.AttributeError, 2, "say threading.set_excepthook(f)")
    end
    raise(_thread.AttributeError, 2, "lthread.threading has no field '%s' to be set",
      tostring(key))
  end,
})
