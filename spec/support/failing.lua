-- Runs an operation with the first allocation failing, with the second, and so on until none fails:
-- lua failing.lua name. It must raise what tells of it, leave all usable and leak nothing.
--
-- The collector stands still: a finalizer that Lua cannot call for want of memory, in the middle
-- of a program, is never called again, and what it would have released stays.
local memory = require "memory"

local operations = {}

operations.open = [[
  _thread = require "lthread"
  assert(_thread._count() == 0 and not _thread.allocate_lock():locked())
]]

operations.locks = [[
  local lock, rlock = _thread.allocate_lock(), _thread.RLock()
  assert(lock:acquire() and not lock:acquire{ blocking = false } and not lock:acquire(true, 0))
  lock:release()
  assert(not pcall(lock.release, lock) and tostring(lock):find("unlocked", 1, true))
  do
    local _ <close> = lock:hold()
    assert(rlock:acquire() and rlock:acquire(true, 1))
  end
  assert(lock:with(function(...) return select("#", ...) end, 1, 2, 3) == 3)
  rlock:_acquire_restore(rlock:_release_save())
  assert(rlock:_recursion_count() == 2 and not lock:locked())
]]

operations.events = [[
  local event, semaphore = _thread.Event(), _thread.Semaphore(0)
  local bounded = _thread.BoundedSemaphore(2)
  assert(not event:wait(0) and not event:wait { timeout = 0.0001 })
  event:set()
  assert(event:wait() and tostring(event):find ": set>")
  assert(not semaphore:acquire(false) and not semaphore:acquire { timeout = 0.0001 })
  semaphore:release { n = 2 }
  assert(semaphore:acquire() and tostring(semaphore):find "value=1>")
  do
    local _ <close> = bounded:hold()
    assert(bounded:with(function(...) return select("#", ...) end, 1, 2, 3) == 3)
  end
  local ok, e = pcall(bounded.release, bounded)
  if type(e) == "string" then error(e, 0) end
  assert(not ok and _thread.isinstance(e, _thread.ValueError) and bounded:acquire())
]]

operations.sections = [[
  local doors = require "support.doors"
  doors.make(1)
  doors.open(1)
  assert(doors.wait(1) == "open" and doors.around(1, function() end) == 0)
  local ok, e = pcall(doors.fail, 1)
  assert(not ok)
  if not e:find "left" then error(e, 0) end
  coroutine.wrap(function() assert(doors.wait(1) == "open") end)()
  assert(doors.wait(1) == "open")
]]

operations.tokens = [[
  local crossing = require "support.crossing"
  local way = require "lthread.queue".SimpleQueue()
  crossing.set_transfer "box"
  way:put { crossing.box(1), crossing.pair(way, way), crossing.pair(way, way, true) }
  local values = way:get()
  assert(crossing.unbox(values[1]) == 1 and crossing.objects(values[2]) == way)
  crossing.set_transfer "none"
]]

operations.conditions = [[
  local lock = _thread.allocate_lock()
  local condition, other = _thread.Condition(lock), _thread.Condition()
  condition:with(function()
    assert(not condition:wait(0) and not condition:wait { timeout = 0.0001 })
    assert(condition:wait_for(function() return true end) and lock:locked())
    condition:notify { n = 2 }
    condition:notify_all()
  end)
  local _ <close> = other:hold()
  other:wait(0.0001)
  assert(not lock:locked() and tostring(other):find "0 waiting>")
  local ok, e = pcall(condition.wait, condition)
  if type(e) == "string" then error(e, 0) end
  assert(not ok and _thread.isinstance(e, _thread.RuntimeError))
]]

operations.barriers = [[
  local box = _thread.shared { calls = 0 }
  local one = _thread.Barrier(1, function() box.calls = box.calls + 1 end)
  assert(one:wait() == 0 and box.calls == 1 and not one.broken and one.n_waiting == 0)
  local two = _thread.Barrier { parties = 2, timeout = 0.0001 }
  local ok, e = pcall(two.wait, two)
  if type(e) == "string" then error(e, 0) end
  assert(not ok and _thread.isinstance(e, _thread.BrokenBarrierError) and two.broken)
  two:reset()
  assert(not two.broken)
]]

operations.futures = [[
  local futures = require "lthread.futures"
  local future = futures.Future()
  local box = _thread.shared { calls = 0 }
  local done = require "lthread.queue".SimpleQueue()
  future:add_done_callback(function() box.calls = box.calls + 1 end)
  future:notify(done, { 1 })
  future:set_result({ 1, "x" }, 2)
  assert(#future:result() == 2 and future:done() and not future:cancel())
  local failed = futures.Future()
  failed:set_exception(_thread.ValueError "no")
  assert(not pcall(failed.result, failed) and failed:traceback() == nil)
  local task = futures.task(function() return 5 end)
  assert(task() == 5)
]]

operations.exceptions = [[
  local class = _thread.ValueError:subclass "Wrong"
  local ok, e = pcall(function() error(class("no", { 1 }, 2)) end)
  if type(e) == "string" then error(e, 0) end
  assert(not ok and e.message == "no" and e.args.n == 3 and e.args[3] == 2)
  assert(_thread.isinstance(e, { _thread.SystemExit, class }) and tostring(e):find("Wrong: no"))
  assert(not _thread.isinstance(e, _thread.TypeError) and e.traceback)
  local refused, reason = pcall(_thread.sleep, "x")
  if type(reason) == "string" then error(reason, 0) end
  assert(not refused and _thread.isinstance(reason, _thread.TypeError))
  local queue = require "lthread.queue"
  local one = queue.SimpleQueue()
  local polled, empty = pcall(one.get, one, false)
  if type(empty) == "string" then error(empty, 0) end
  assert(not polled and empty.args[1] == empty.message and empty.where == "")
  local fields = {}
  for name in pairs(empty) do fields[name] = true end
  assert(fields.args and fields.message and fields.traceback)
]]

operations.rules = [[
  local queue = require "lthread.queue"
  local Point = {}
  Point.__index = Point
  local function make(x, y)
    return setmetatable({ x = x, y = y, text = ("x"):rep(100) }, Point)
  end
  _thread.register_transfer(Point, function(p) return make, p.x, { p.y } end)
  local q = queue.SimpleQueue()
  local p = make(1, make(2, 3))
  q:put { p, { p } }
  local got = q:get()
  assert(got[1] == got[2][1] and got[1].y[1].x == 2 and q:empty())
  local none = setmetatable({}, { __transfer = function() return make end, __gc = make })
  q:put(none)
  assert(q:get().text)
  local ok, e = pcall(q.put, q, { setmetatable({}, { __gc = type }) })
  if type(e) == "string" then error(e, 0) end
  assert(not ok and _thread.isinstance(e, _thread.TypeError) and q:empty())
]]

operations.constants = [[
  local Point = {}
  Point.__index = Point
  function Point.new(x) return setmetatable({ x = x }, Point) end
  function Point.__transfer(p) return Point.new, p.x end
  local origin = Point.new(0)
  function Point.origin() return origin end
  Point.one, Point.list = Point.new(1), { Point.new(2) }
  local q = require "lthread.queue".SimpleQueue()
  q:put(Point.new(5))
  assert(q:get().origin().x == 0)
  for i = 3, 4 do
    q:put(Point.new(i))
    Point.limit = i
  end
  local a, b, c = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    local p, r = q:get(), q:get()
    assert(p.limit == r.limit and getmetatable(p) == getmetatable(r))
    return p.x, r.one.x, r.list[1].x + r.origin().x
  end):result()
  assert(a == 3 and b == 1 and c == 2)
]]

operations.start = [[
  local lock = _thread.allocate_lock()
  lock:acquire()
  _thread.start_new_thread(function(t, kwargs)
    collectgarbage "stop"
    if t[3] == 3 and kwargs.name == "x" then lock:release() end
  end, { { 1, 2, 3, nested = { true } } }, { name = "x" })
  while _thread._count() > 0 do _thread.sleep(0) end
]]

-- A state with less than Lua's libraries, and with fields and a searcher of its own.
operations.sandbox = [[
  os.execute, io.popen = nil, function() return "own" end
  package.searchers[3] = function(name) return name == "made" and function() return { 5 } end end
  package.searchers[4] = nil
  local handle = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    return io.popen, os.execute, #package.searchers, require "made"[1]
  end)
  local popen, execute, count, made = handle:result()
  assert(popen() == "own" and execute == nil and count == 3 and made == 5)
]]

operations.per_thread = [[
  local open = _thread.shared { count = 0 }
  local object = _thread.per_thread(function()
    local value = { text = ("x"):rep(100) }
    function value.close() _thread.add(open, "count", -1) end
    _thread.add(open, "count", 1)
    return value
  end, { close = true })
  assert(object().text == object().text and object() == object())
  local handle = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    return object().text == ("x"):rep(100)
  end)
  assert(handle:result())
]]

operations.join = [[
  local handle = _thread._ThreadHandle()
  local values = { 1, 2, 3, text = ("x"):rep(1000) }
  _thread.start_joinable_thread(function(...)
      collectgarbage "stop"
      return select("#", ...), ...
    end,
    { args = { values, "two" }, handle = handle, name = "counter" })
  local _ = #_thread.enumerate()
  assert(handle:join() and handle:join(1) and handle:is_done())
  local count, back, two = handle:result()
  assert(count == 2 and back[3] == 3 and back.text == values.text and two == "two")
]]

operations.transfer = [[
  local lock = _thread.allocate_lock()
  local cycle = { lock, io.stdout, string.format, lock.release, 2.5 }
  setmetatable(cycle, { __index = {} })
  cycle.self, cycle[cycle] = cycle, { cycle, getmetatable(cycle) }
  local counter = 0
  local function up() counter = counter + 1 return counter end
  local function get() return counter, up, helper end
  function helper(n) return n == 0 and limit or helper(n - 1) end
  limit = 7
  local wide = {}
  for i = 1, 40 do wide[i] = { i, tostring(i), [("k"):rep(i)] = i } end
  local f, g, t, w = _thread.start_joinable_thread(function(...)
    collectgarbage "stop"
    assert(helper(3) == 7 and up() == 1 and (get()) == 1)
    return ...
  end, { args = { up, get, cycle, wide } }):result()
  assert(f() == 2 and g() == 2 and t.self == t and t[t][1] == t and t[4] == lock.release)
  assert(t[1] == lock and getmetatable(t) == t[t][2] and #w == 40 and w[40][2] == "40")
]]

operations.classes = [[
  local queue = require "lthread.queue"
  local private = setmetatable({}, { __mode = "k" })
  local Base = {}
  Base.__index = Base
  function Base.get(self) return private[self] end
  local Class = setmetatable({ limit = 1 }, Base)
  Class.__index = Class
  local function new(n)
    local object = setmetatable({}, Class)
    private[object] = n
    return object
  end
  _thread.register_class("failing " .. tostring(Class), Class)
  local q = queue.SimpleQueue()
  for i = 1, 2 do
    q:put(new(i))
    local got = q:get()
    assert(getmetatable(got) == Class and got:get() == i)
  end
  q:put(new(3))
  Class.limit, Class.more = 2, {}
  q:put(new(4))
  local a, b = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    local one = q:get()
    assert(one:get() == 3 and one.limit == 1 and not one.more)
    local other = q:get()
    assert(getmetatable(one) == getmetatable(other) and one.limit == 2 and one.more)
    return one, other
  end):result()
  assert(getmetatable(a) == Class and getmetatable(b) == Class and b:get() == 4)
]]

operations.modules = [[
  package.preload.core = function() return { one = function() return 1 end } end
  package.preload.whole = function()
    local module = require "core"
    function module.two() return 2 end
    return module
  end
  package.preload.part = function()
    local module = require "core"
    function module.three() return 3 end
  end
  local whole = require "whole"
  require "part"
  local handle = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    return whole.one() + whole.two() + whole.three()
  end)
  assert(handle:result() == 6)
  for name in pairs(package.preload) do package.loaded[name] = nil end
  _thread = require "lthread"
]]

operations.changed = [[
  package.preload.settings = function() return { limit = 1, handlers = {} } end
  local settings = require "settings"
  settings.limit, settings.extra = 9, { 1 }
  function settings.handlers.get() return settings.limit + settings.extra[1] end
  for _ = 1, 2 do
    local handle = _thread.start_joinable_thread(function()
      collectgarbage "stop"
      return settings.handlers.get()
    end)
    assert(handle:result() == 10)
  end
  for name in pairs(package.preload) do package.loaded[name] = nil end
  _thread = require "lthread"
]]

operations.offers = [[
  local module = { limit = 1, part = {}, stuck = coroutine.create(print) }
  function module.get() return module.limit end
  package.loaded.by_hand = module
  for limit = 1, 2 do
    module.limit = limit
    local handle = _thread.start_joinable_thread(function()
      collectgarbage "stop"
      return require "by_hand" == module and module.get()
    end)
    assert(handle:result() == limit)
  end
  package.loaded.by_hand = nil
]]

operations.errors = [[
  local handle = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    error(_thread.ValueError("gone", { "wrong" }))
  end)
  local ok, e = pcall(handle.result, handle)
  if not _thread.isinstance(e, _thread.ValueError) then error(e, 0) end
  assert(not ok and e.message == "gone" and e.args[2][1] == "wrong")
]]

operations.hook = [[
  local seen = _thread.allocate_lock()
  seen:acquire()
  _thread.set_excepthook(function(args)
    if args.exc_value == "error" then seen:release() end
  end)
  _thread.start_joinable_thread(function()
    collectgarbage "stop"
    error("error", 0)
  end):join()
  _thread.set_excepthook(function() end)
]]

operations.reports = [[
  _thread._excepthook { exc_value = { code = 42, 1, list = { 1 } }, exc_traceback = "traceback" }
  _thread._excepthook { exc_value = setmetatable({}, { __tostring = error }) }
  _thread._excepthook { exc_value = _thread.ValueError "no" }
]]

operations["local"] = [[
  local object = _thread._local()
  object.field, object[1] = { "value" }, 2
  assert(object.field[1] == "value" and object[1] == 2)
  for _ in pairs(object) do end
  local there = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    local before = object.field
    object.field = 1
    return before == nil and object.field
  end):result()
  assert(there == 1 and object.field[1] == "value")
]]

operations.commands = [[
  local ok, what, code = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    local file <close> = assert(io.popen("echo text"))
    assert(file:read("l") == "text")
    return os.execute("exit 3")
  end):result()
  assert(not ok and what == "exit" and code == 3)
]]

operations.descriptors = [[
  local count = 0
  local function taken() count = count + 1 end
  local ok, e = pcall(function()
    local file <close> = io.tmpfile() or error("no memory", 0)
    assert(_thread.wait_fd(file, "rw", 1) == "rw")
    local object = { getfd = _thread.interrupt_fileno, dirty = function() return false end }
    assert(_thread.wait_fd(object, "r", 0.0001) == nil)
    local refused, reason = pcall(_thread.wait_fd, {}, "r")
    if type(reason) == "string" then error(reason, 0) end
    assert(not refused and _thread.isinstance(reason, _thread.TypeError))
    _thread.on_interrupt(taken)
  end)
  memory.stop()
  _thread.on_interrupt(taken)
  _thread.interrupt_main()
  for _ = 1, 1000 do end
  assert(_thread.on_interrupt(nil) == taken and count == 1)
  if not ok then error(e, 0) end
]]

-- A shield in which memory has run out is over: it holds no interrupt.
operations.calls = [[
  local ok, e = pcall(function()
    local count, list = _thread.shield(function(...)
      return _thread.shield(select, "#", ...), { ... }
    end, 1, 2, 3)
    assert(count == 3 and #list == 3)
    local tried, value = _thread.try(function() error({ "value" }) end)
    assert(not tried)
    if type(value) == "string" then error(value, 0) end
    assert(value[1] == "value")
    local failure
    tried, value, failure = pcall(_thread.try, _thread.exit)
    if tried then error(failure, 0) end
    if not _thread.isinstance(value, _thread.SystemExit) then error(value, 0) end
  end)
  memory.stop()
  local reached = pcall(function()
    _thread.interrupt_main()
    for _ = 1, 1000 do end
  end)
  assert(not reached)
  if not ok then error(e, 0) end
]]

operations.queues = [[
  local queue = require "lthread.queue"
  local lock, long = _thread.allocate_lock(), ("x"):rep(100)
  for _, new in ipairs { queue.SimpleQueue, queue.Queue, queue.LifoQueue } do
    local q, many = new(), {}
    for i = 1, 40 do
      many[i] = i % 3 == 0 and { i, { long } } or i % 3 == 1 and long .. i or lock
    end
    for _, message in ipairs { 1, long, { { 1 } }, lock, function() return lock end } do
      q:put(message)
    end
    q:put_many(many)
    assert(q:qsize() == 45)
    q:get()
    assert(q:get_many(10).n == 10 and q:get_many(100).n == 34 and q:empty())
  end
  local p, last = queue.PriorityQueue(), -1
  for i = 1, 20 do p:put { i % 7, long } end
  p:put_many { 3, { 2, lock }, 1.5 }
  for _ = 1, 23 do
    local message = p:get()
    local key = type(message) == "table" and message[1] or message
    assert(key >= last)
    last = key
  end
  local bounded = queue.Queue { maxsize = 1 }
  bounded:put { long }
  local ok, e = pcall(bounded.put, bounded, { long }, { timeout = 0.0001 })
  if not _thread.isinstance(e, queue.Full) then error(e, 0) end
  assert(not ok and bounded:qsize() == 1)
]]

-- What the receiver has is replaced as a whole or not at all.
operations.globals = [[
  local queue = require "lthread.queue"
  local q = queue.SimpleQueue()
  local function get(t)
    local g, h = _G, t or _G
    return one, g.two, (function() return h.three end)()
  end
  one, two, three = 1, { 1 }, function() return two[1] end
  q:put(get)
  q:put(get, { globals = { "one", "two", "three" } })
  local handle = _thread.start_joinable_thread(function()
    collectgarbage "stop"
    local f = q:get()
    q:get()
    assert(f() == 1 and three() == 1)
    one, two = 2, { 2 }
    return f
  end, { globals = false })
  one, two, three = 0, 0, 0
  local ok, f = pcall(handle.result, handle)
  if not ok then
    assert(one == 0 and two == 0 and three == 0)
    error(f, 0)
  end
  assert(f() == 2 and two[1] == 2 and three == 0)
]]

-- The thread lends what it puts, and closes its state while that is on its way.
operations.loans = [[
  local queue = require "lthread.queue"
  local q, long = queue.SimpleQueue(), ("x"):rep(40000)
  q:put(long)
  q:put_many { long, { long, { long } } }
  assert(q:get() == long and q:get() == long and q:get()[2][1] == long)
  local handle = _thread.start_joinable_thread(function(text)
    collectgarbage "stop"
    q:put(text .. "y")
    q:put { text }
    return #text
  end, { args = { long } })
  assert(handle:result() == #long)
  assert(q:get() == long .. "y" and q:get()[1] == long)
  assert(not pcall(q.put, q, { long, coroutine.create(print) }))
  q:put(long)
]]

operations.seeing = [[
  pcall(_thread.trace_stop) -- of the try before
  pcall(_thread.profile_stop, "/dev/null")
  local lock = _thread.lock()
  lock:acquire()
  _thread.contention_start()
  _thread.trace_start "/dev/null"
  _thread.profile_start(1)
  lock:acquire(true, 0.0001)
  assert(_thread.span("span", function(...) return select("#", ...) end, 1, 2, 3) == 3)
  assert(coroutine.wrap(function() return _thread.span("loose", lock.locked, lock) end)())
  assert(#_thread.contention() >= 1 and tostring(_thread.contention()):find "lock")
  _thread.contention_stop()
  _thread.profile_stop "/dev/null"
  _thread.trace_stop()
]]

operations.sockets = [[
  local queue = require "lthread.queue"
  local transfer = require "lthread.transfer.socket"
  local q, full = queue.SimpleQueue(), queue.Queue(1)
  full:put(1)
  local socket = require "socket".udp4()
  if not socket then error "not enough memory" end
  socket:settimeout(3)
  q:put { socket, socket }
  local got = q:get()
  assert(got[1] == got[2] and got[1] ~= socket and got[1]:gettimeout() == 3)
  got[1]:close()
  local ok, e = pcall(full.put, full, transfer.move(socket), false)
  if type(e) == "string" then error(e, 0) end
  if socket:getfd() == -1 then error "not enough memory to give it back" end
  assert(not ok and _thread.isinstance(e, queue.Full))
  q:put(transfer.move(socket))
  assert(socket:getfd() == -1)
  q:get():close()
]]

-- In a state of its own. Results: how many allocations there are to fail.
local trial = [[
  local memory, count, first, last = require "memory", ...
  collectgarbage "stop"
  local function fails_properly(e)
    local text = tostring(e)
    return text:find("not enough memory", 1, true) or text:find("Cannot allocate memory", 1, true)
      or text:find("stack overflow", 1, true) -- of Lua's own functions
      or text:find("no memory", 1, true)
  end
  local function operation()
    OPERATION
  end
  if PREPARE then
    _thread = require "lthread"
    _thread.set_excepthook(function() end)
    operation()
  end
  for n = first, last do
    memory.fail(n, count)
    local ok, e = pcall(operation)
    local failed = memory.stop()
    if not ok and not (failed > 0 and fails_properly(e)) then
      error(("allocation %d: %s"):format(n, tostring(e)), 0)
    end
    ok, e = pcall(operation)
    if not ok then
      error(("after allocation %d: %s"):format(n, tostring(e)), 0)
    end
    if failed == 0 then
      while _thread._count() > 0 do _thread.sleep(0) end
      error("done " .. n, 0)
    end
  end
]]

-- How many sockets the process has; 0 where the system doesn't tell.
local function count_sockets()
  local file <close> = assert(io.popen "exec ls -l /proc/$PPID/fd 2>/dev/null")
  return select(2, file:read("a"):gsub("socket:", ""))
end

local name = arg[1]
local sockets = count_sockets()
local code = trial:gsub("OPERATION", function() return operations[name] end)
  :gsub("PREPARE", name == "open" and "false" or "true")
local step = name == "open" and 1 or math.maxinteger // 2

-- One allocation; that and Lua's second try after a collection; all.
for _, count in ipairs { 1, 2, 0 } do
  memory.in_new_state(code, count, 1000000, 1000000) -- what is made once in a process
  local n, finished = 1
  repeat
    local ok, message, leaked = memory.in_new_state(code, count, n, n + step - 1)
    finished = message:match("^done (%d+)$")
    if leaked ~= 0 or not (ok or finished) then
      print(("allocation %d: %d blocks are left, %s"):format(n, leaked, message))
      os.exit(1)
    end
    n = n + step
  until finished
  print(count == 0 and "all" or count, finished)
end
assert(count_sockets() == sockets, "sockets are left open")
print "passed"
