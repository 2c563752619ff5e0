-- What threads of the chance test do: see chance.lua. Each has a context 'c': the world, which all
-- have in common, and a ledger of its own of what it has put and got.
local _thread = require "lthread"
local queue = require "lthread.queue"
local class_kinds = require "support.class_kinds"
local doors = require "support.doors"
local native = require "support.native"
local pace = require "support.pace"

local chances = {}

local random = math.random

local function chance(n) return random(n) == 1 end

local function any(list) return list[random(#list)] end

local SHORT <const> = 0.003

function chances.fault(world, ...)
  world.faults:put(string.format(...))
end

-- Calls f(...) where no interrupt strikes: in a handler.
local function shield(f, ...)
  local arguments = table.pack(...)
  local _ <close> = setmetatable({}, { __close = function()
    f(table.unpack(arguments, 1, arguments.n))
  end })
end

-- What an operation may raise.
local function is_expected(e)
  return _thread.isinstance(e, { _thread.SystemExit, chances.Strike, queue.Empty, queue.Full,
    queue.ShutDown })
end

--
-- Messages: each has a number of its own
--

local FINALIZERS <const> = -1 -- of a message that a finalizer has put, which no ledger knows

local function new_number(c)
  c.count = c.count + 1
  return c.ledger.number * 1000000 + c.count
end

local function message_of(c, number, kind)
  local what = random(8)
  if what == 1 then
    return { number, text = ("x"):rep(random(100)), list = { { 1 }, { number } } }
  elseif what == 2 then
    return { number, f = function() return number, c.world end }
  elseif what == 3 then
    return { number, any(c.world.queues), any(c.world.locks), c.world.shared, io.stdout }
  elseif what == 4 then
    local list = { number }
    list.self, list[list] = list, { list }
    return list
  elseif what == 5 and chance(3) then
    return { number, ("long"):rep(random(20000)) }
  elseif what == 6 and kind ~= "PriorityQueue" then
    return number .. ":" .. ("x"):rep(random(0, 100))
  end
  return number
end

local function number_of(message)
  local number = message
  if type(message) == "table" then
    number = message[1]
    if message.f then assert(message.f() == number, "another upvalue") end
    if message.self then assert(message.self == message and message[message][1] == message) end
    if message.list then assert(message.list[2][1] == number) end
  elseif type(message) == "string" then
    number = tonumber(message:match "^(%d+):x*$")
  end
  assert(math.type(number) == "integer", "not what was put")
  return number
end

-- How to wait: the arguments 'block' and 'timeout'. Without bound it may be until the round ends,
-- for which neither the main thread nor those that end by themselves may wait.
local function patience(c)
  local what = random(20)
  if what == 1 and not c.is_main and c.depth < 3 then return end
  if what < 10 then return false end
  return true, SHORT * random(0, 2)
end

function chances.put(c, q, kind, ...)
  local number = new_number(c)
  local message = message_of(c, number, kind)
  c.ledger.tried[number] = q
  q:put(message, ...)
  c.ledger.put[number] = q
end

local function put_many(c, q, kind, ...)
  local numbers, list = {}, {}
  for i = 1, random(0, 20) do
    numbers[i] = new_number(c)
    list[i] = message_of(c, numbers[i], kind)
    c.ledger.tried[numbers[i]] = q
  end
  local ok, e = pcall(q.put_many, q, list, ...)
  for i = 1, ok and #list or type(e) == "table" and e.put or 0 do
    c.ledger.put[numbers[i]] = q
  end
  if not ok then error(e, 0) end
end

-- What 'take' has put into the box when it ends, in whatever way, is entered as got.
local function got(c, q, kind, take)
  local box = {}
  local _ <close> = setmetatable({}, { __close = function()
    for i = 1, box.list and box.list.n or box.message ~= nil and 1 or 0 do
      local number = number_of(box.list and box.list[i] or box.message)
      if number ~= FINALIZERS and c.ledger.got[number] then
        chances.fault(c.world, "message %d came twice", number)
      end
      c.ledger.got[number] = q
      if kind ~= "SimpleQueue" then q:task_done() end
    end
  end })
  take(box)
end

local function get(c, q, kind, ...)
  local block, timeout = ...
  got(c, q, kind, function(box)
    if chance(2) then
      box.message = q:get(block, timeout)
    else
      box.message = q:get { block = block, timeout = timeout }
    end
  end)
end

function chances.get_many(c, q, kind, ...)
  local max, timeout = ...
  got(c, q, kind, function(box) box.list = q:get_many(max, timeout) end)
end

local function any_queue(world)
  local i = random(#world.queues)
  return world.queues[i], world.kinds[i]
end

--
-- Operations
--

local operations = {}

-- How often each is chosen.
local weights = {}

local function operation(weight, f)
  operations[#operations + 1] = f
  for _ = 1, weight do weights[#weights + 1] = #operations end
end

function chances.step(c)
  operations[any(weights)](c)
end

operation(8, function(c)
  local q, kind = any_queue(c.world)
  chances.put(c, q, kind, patience(c))
end)

operation(2, function(c)
  local q, kind = any_queue(c.world)
  put_many(c, q, kind, patience(c))
end)

operation(8, function(c)
  local q, kind = any_queue(c.world)
  get(c, q, kind, patience(c))
end)

operation(3, function(c)
  local q, kind = any_queue(c.world)
  chances.get_many(c, q, kind, random(20), any { 0, SHORT })
end)

-- Nobody else is where one is who has the lock.
local function alone(c, key)
  local places, me = c.world.places, c.ledger.number
  if places[key] ~= nil then
    chances.fault(c.world, "thread %d is where thread %s has the lock", me, places[key])
  end
  local _ <close> = setmetatable({}, { __close = function() places[key] = nil end })
  places[key] = me
  for _ = 1, random(20) do
    if places[key] ~= me then chances.fault(c.world, "thread %d lost its lock", me) end
  end
  if chance(10) then collectgarbage "step" end
end

operation(4, function(c)
  local i = random(#c.world.locks)
  local lock = c.world.locks[i]
  if chance(2) then
    lock:with(alone, c, i)
  else
    local _ <close> = lock:hold()
    alone(c, i)
  end
end)

operation(4, function(c)
  local i = random(#c.world.rlocks)
  local rlock = c.world.rlocks[i]
  local _ <close> = rlock:hold()
  local _ <close> = rlock:hold()
  rlock:with(alone, c, -i)
end)

-- An interrupt between acquire and release would leave it locked.
operation(3, function(c)
  if c.struck then return end
  local i = random(#c.world.locks)
  local lock = c.world.locks[i]
  local arguments = any { { false }, { true, 0 }, { true, SHORT }, { true } }
  if lock:acquire(table.unpack(arguments)) then
    alone(c, i)
    lock:release()
  end
end)

operation(2, function(c)
  if c.struck then return end
  local i = random(#c.world.rlocks)
  local rlock = c.world.rlocks[i]
  for _ = 1, 3 do rlock:acquire() end
  alone(c, -i)
  local count, owner = rlock:_release_save()
  if chance(2) then _thread.sleep(0) end
  rlock:_acquire_restore(count, owner)
  alone(c, -i)
  for _ = 1, 3 do rlock:release() end
end)

local function any_key()
  return chance(2) and random(30) or "k" .. random(30)
end

local writes = {
  function(t) t[any_key()] = random(1000) end,
  function(t) t[any_key()] = ("x"):rep(random(200)) end,
  function(t) t[any_key()] = nil end,
  function(t) t[any_key()] = { random(9), { up = { t } } } end,
  function(t, other) t[any_key()] = other end,
  function(t, _, c) t[any_key()] = any(c.world.queues) end,
  function(t) t.f = function() return t end end,
  function(t) if t.f then assert(_thread.isinstance(t.f(), _thread.shared)) end end,
  function(t) -- an object whose class leads to another one, and back to the table
    local class = { __len = function() return 7 end }
    class.__index = class
    local first = _thread.shared(nil, class)
    class.first = first
    function class.get() return first, t end
    t.o = _thread.shared({ up = t }, class)
  end,
  function(t)
    local o = t.o
    if o then
      assert(#o == 7 and o.get() == o.first and _thread.isinstance(o.up, _thread.shared))
      t.o = _thread.shared({ up = t }, getmetatable(o))
    end
  end,
  function(t) _thread.swap(t, any_key(), { random(5) }) end,
  function(t) local key = any_key() _thread.cas(t, key, t[key], random(5)) end,
  function(t) _thread.update(t, "u", function(n) return (n or 0) + 1 end) end,
  function(t)
    local key = any_key()
    for k in pairs(t) do
      if k == key then t[k] = nil end
    end
  end,
  function() -- a cycle that is garbage at once
    local t = _thread.shared { text = "cycle", inner = {} }
    t.inner.up, t[t] = t, t
    t.f = function() return t end
  end,
  function()
    local t = _thread.shared { { 1, 2 }, { 3, text = ("x"):rep(random(1000)) } }
    assert(_thread.copy(t)[2][1] == 3)
  end,
}

operation(10, function(c)
  local tables = c.world.tables
  any(writes)(any(tables), any(tables), c)
end)

operation(3, function(c)
  c.ledger.adds_tried = c.ledger.adds_tried + 1
  _thread.add(c.world.shared, "sum", 1)
  c.ledger.adds = c.ledger.adds + 1
end)

-- Threads

local function echo(...) return ... end

local class_makers = {}
for _, make in pairs(class_kinds) do class_makers[#class_makers + 1] = make end

-- Objects of classes, of which some have rules and constants.
operation(3, function(c)
  if _thread._count() > c.world.most then return end
  local base, derived, new, is_a = any(class_makers)()
  if chance(2) then
    _thread.register_transfer(derived, function(o) return new, derived, o.n end)
    if chance(2) then rawset(derived, "zero", new(derived, 0)) end
  end
  local handle = _thread.start_joinable_thread(echo, {
    args = { new(base, 1), { new(derived, 2) }, derived },
    daemon = c.world.only_daemons or chance(2),
  })
  local one, list, class = handle:result()
  assert(is_a(one, base) and is_a(list[1], derived) and one.n + list[1].n == 3
    and class == derived, "another class")
end)

local function fail(class, ...) error(class(...)) end

operation(3, function(c)
  if _thread._count() > c.world.most then return end
  local list = { random(100), { "nested" }, lock = any(c.world.locks), q = any(c.world.queues) }
  list.self = list
  local handle = _thread.start_joinable_thread(echo,
    { args = { list, nil, 3, n = 3 }, daemon = c.world.only_daemons or chance(2) })
  if chance(3) then handle:join(SHORT) end
  if chance(3) then return end
  local back, none, three = handle:result()
  assert(back.self == back and back[1] == list[1] and back.lock == list.lock and back.q == list.q
    and none == nil and three == 3, "another result")
end)

operation(2, function(c)
  if _thread._count() > c.world.most then return end
  local number = random(1000)
  local handle = _thread.start_joinable_thread(fail,
    { args = { any { _thread.ValueError, chances.Strike, _thread.SystemExit }, "sent",
      { number } } })
  local strike = chance(4)
  if strike then handle:interrupt(chances.Strike("early", { number })) end
  local ok, e = pcall(handle.result, handle)
  if not ok and is_expected(e) and e.message ~= "sent" and e.message ~= "early" then
    error(e, 0) -- this one is for the thread itself
  end
  assert(not ok and e.args and e.args[2][1] == number, "another error")
end)

operation(3, function(c)
  if _thread._count() > c.world.most or c.depth > 2 then return end
  local struck = chance(2)
  local handle = _thread.start_joinable_thread(chances.work, {
    args = { c.world, random(0), struck, random(30), c.depth + 1 },
    daemon = c.world.only_daemons or chance(2),
  })
  for _ = 1, struck and random(0, 3) or 0 do
    if chance(2) then _thread.sleep(SHORT * random()) end
    handle:interrupt(any { chances.Strike, chances.Strike("by its starter"), _thread.SystemExit })
  end
  if chance(2) then handle:join((c.is_main or chance(2)) and SHORT or nil) end
end)

operation(2, function(c)
  local ident = c.world.idents[random(20)]
  local Strike = chances.Strike
  if ident then _thread.interrupt(ident, any { Strike, Strike(random(100), {}) }) end
end)

-- Coroutines

operation(4, function(c)
  if c.depth > 4 then return end
  c.depth = c.depth + 1
  local _ <close> = setmetatable({}, { __close = function() c.depth = c.depth - 1 end })
  local co = coroutine.wrap(function()
    chances.step(c)
    coroutine.yield()
    chances.step(c)
  end)
  co()
  if chance(2) then co() end
end)

-- Finalizers

local cache = { count = 0 } -- which they trim and fill

local finalizers = {
  function(c)
    local q = any(c.world.queues)
    q:put({ FINALIZERS, any(c.world.locks), {}, ("x"):rep(random(100)) }, false)
  end,
  function(c) any(writes)(any(c.world.tables), any(c.world.tables), c) end,
  function() for i = 1, cache.count do cache[i] = nil end end,
  function()
    cache.count = random(20)
    for i = 1, cache.count do cache[i] = { i } end
  end,
  function() collectgarbage "step" end,
  function() error "in a finalizer" end,
  function(c) if any(c.world.locks):locked() then _thread.sleep(0) end end,
  function() local _ = { _thread.allocate_lock(), _thread.shared { {} }, queue.Queue() } end,
  function(c) if c.struck then _thread.interrupt(c.ident, chances.Strike) end end,
  function(c)
    if _thread._count() < c.world.most then _thread.start_new_thread(echo, { c.world }) end
  end,
}

operation(6, function(c)
  for _ = 1, random(5) do
    local f = any(finalizers)
    setmetatable({}, { __gc = function() f(c) end })
  end
end)

-- And the rest

operation(1, function()
  local what = random(5)
  if what == 1 then collectgarbage "generational" end
  if what == 2 then
    collectgarbage "incremental"
    pace.set("pause", any { 1, 50, 100, 200 })
    pace.set("stepmul", any { 100, 400 })
  end
  if what == 3 then collectgarbage() end
  if what == 4 then _thread.collect() end
  if what == 5 then _thread.shared_memory() end
end)

operation(1, function(c) _thread.sleep(SHORT * random()) c.object[random(5)] = { random() } end)

operation(1, function(c)
  if not chance(10) then return end
  local text = ""
  _thread.dump_traceback { write = function(_, more) text = text .. more end }
  assert(text:find("ident " .. _thread.get_ident(), 1, true))
  assert(#_thread.enumerate() > 0)
  _thread.set_name("by chance " .. c.count)
end)

operation(1, function(c)
  if c.struck or not chance(20) then return end
  local _, how, status = os.execute "exit 3"
  assert(status == 3, how)
  local file <close> = io.popen "echo text 2>/dev/null" -- nobody may be left who reads it
  local text, e = file:read "l"
  assert(text == "text", e)
end)

operation(1, function(c)
  local q = any_queue(c.world)
  if c.world.kinds[1] ~= "SimpleQueue" then c.world.queues[1]:join(SHORT * random(0, 1)) end
  assert(not pcall(q.put, q, { 1, coroutine.create(print) }, false), "a coroutine has crossed")
end)

-- A coroutine that is dropped gives back what it holds.
operation(1, function()
  local lock = _thread.allocate_lock()
  do
    coroutine.wrap(function()
      local _ <close> = lock:hold()
      coroutine.yield()
    end)()
  end
  collectgarbage()
  assert(not lock:locked(), "a lock is held by nobody")
end)

-- Blocking sections, which are woken only while they last.
local sections = {
  function(door, fails) doors.linger(door, random(3), fails) end,
  function(door, fails) coroutine.wrap(doors.linger)(door, random(3), fails) end,
  function(door, fails)
    local ok, e = coroutine.resume(coroutine.create(doors.linger), door, random(3), fails)
    if not ok then error(e, 0) end
  end,
  function(door) doors.around(door, function() doors.linger(door, 1) end) end,
  function(door) shield(doors.linger, door, random(3)) end,
}

operation(2, function(c)
  local door = doors.claim()
  doors.make(door)
  local fails = chance(3)
  do
    local _ <close> = setmetatable({}, { __close = function() doors.be_gone(door) end })
    local ok, e = pcall(any(sections), door, fails)
    if not ok and not tostring(e):find("left", 1, true) then error(e, 0) end
  end
  if chance(2) then _thread.sleep(SHORT * random()) end
  local _, _, wakes = doors.see(door)
  if wakes > 2 then chances.fault(c.world, "a section was woken %d times", wakes) end
end)

-- SIGURG would end a system call of the main thread.
operation(1, function() native.send(native.SIGWINCH, any { "process", "thread" }) end)

operation(1, function(c)
  if c.struck or c.depth > 1 or c.world.only_daemons or not chance(10) then return end
  local state = native.state()
  local ok, fault = state:run(([[
    package.path, package.cpath = %q, %q
    return require "support.chances".run_runtime(%d)
  ]]):format(package.path, package.cpath, random(0)), chance(2))
  state:close(chance(2))
  if not ok or fault ~= "nil" then chances.fault(c.world, "in another runtime: %s", fault) end
end)

--
-- Threads that do all this
--

function chances.context(world, struck, depth)
  chances.Strike = world.Strike
  local ledger = { number = _thread.add(world.shared, "number", 1), tried = {}, put = {}, got = {},
    adds_tried = 0, adds = 0 }
  return { world = world, ledger = ledger, struck = struck, depth = depth, count = 0,
    object = _thread._local(), ident = _thread.get_ident(),
    is_main = _thread.get_ident() == _thread._get_main_thread_ident() }
end

local function report(e)
  return is_expected(e) and e or debug.traceback(tostring(e), 2)
end

-- One step, after which all is as it was but for what the step does.
function chances.try(c)
  local ok, e = xpcall(chances.step, report, c)
  if not ok and not is_expected(e) then
    shield(chances.fault, c.world, "%s", e)
  end
end

function chances.work(world, seed, struck, steps, depth)
  math.randomseed(seed)
  local c = chances.context(world, struck, depth)
  local _ <close> = setmetatable({}, { __close = function() world.ledgers:put(c.ledger) end })
  if chance(3) then collectgarbage "generational" end
  if chance(3) then pace.set("pause", 1) end
  for _ = 1, steps do
    if world.shared.stop then return end
    chances.try(c)
  end
end

--
-- What they have in common
--

function chances.make_world()
  local world = {
    queues = {}, kinds = {}, locks = {}, rlocks = {}, tables = {}, most = random(5, 30),
    shared = _thread.shared(), places = _thread.shared(),
    idents = _thread.shared(), Strike = _thread.Exception:subclass "Strike",
    ledgers = queue.SimpleQueue(), faults = queue.SimpleQueue(),
  }
  local kinds = { "SimpleQueue", "Queue", "LifoQueue", "PriorityQueue" }
  for i = 1, random(2, 6) do
    local kind = kinds[random(#kinds)]
    world.kinds[i] = kind
    world.queues[i] = kind == "SimpleQueue" and queue.SimpleQueue()
      or queue[kind](random(3) == 1 and 0 or random(10))
  end
  for i = 1, random(3) do
    world.locks[i], world.rlocks[i] = _thread.allocate_lock(), _thread.RLock()
  end
  for i = 1, random(2, 8) do world.tables[i] = _thread.shared() end
  return world
end

function chances.start_workers(world, daemon)
  local handles = {}
  for i = 1, random(2, 6) do
    local struck = random(2) == 1
    handles[i] = _thread.start_joinable_thread(chances.work,
      { args = { world, random(0), struck, math.huge, 1 }, daemon = daemon or random(2) == 1 })
    if struck then world.idents[i] = handles[i].ident end
  end
  return handles
end

-- A runtime of its own, which the caller closes while all are at work. Returns what went wrong.
function chances.run_runtime(seed)
  math.randomseed(seed)
  _thread.set_excepthook(function() end)
  local world = chances.make_world()
  world.only_daemons = true
  local c = chances.context(world, false, 3)
  chances.start_workers(world, true)
  for _ = 1, random(30) do chances.try(c) end
  local faults = world.faults:get_many(10, 0)
  return faults.n > 0 and table.concat(faults, "\n") or nil
end

return chances
