-- Counts are of the whole process, so those that look at all of them are processes of their own.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local threads = require "support.threads"
local held, await_blocked = threads.held, threads.await_blocked

local function address(object)
  return (tostring(object):match "at (0x%x+)")
end

-- The entry of an object, or nil.
local function entry(list, what, object)
  for _, each in ipairs(list) do
    if each.what == what and each.address == address(object) then
      return each
    end
  end
end

local function line_of(f)
  return debug.getinfo(f, "S").linedefined
end

describe("contention", function()
  before_each(_thread.contention_start)
  after_each(_thread.contention_stop)

  it("tells how often and how long threads waited for a lock, who had it, and where", function()
    local lock <const> = _thread.lock()
    local function wait() lock:acquire() lock:release() end
    lock:acquire()
    local waiter = threads.start(wait)
    await_blocked(waiter.ident)
    lock:release()
    waiter:join()
    local found = entry(_thread.contention(), "lock", lock)
    assert.equal(1, found.waits)
    assert.equal("MainThread", found.held_by)
    assert.is_true(found.seconds > 0)
    assert.is_true(found.longest > 0 and found.longest < found.seconds + 1e-6)
    assert.equal(1, #found.places)
    assert.matches("contention_spec%.lua:" .. line_of(wait) .. "$", found.places[1].place)
    assert.equal(1, found.places[1].waits)
    assert.equal(found.seconds, found.places[1].seconds)
  end)

  it("has the costliest thing and the costliest two places first", function()
    local function wait_at(lock, place)
      if place == 1 then
        lock:acquire(true, 0.03)
      elseif place == 2 then
        lock:acquire(true, 0.2)
      else
        lock:acquire(true, 0.001)
      end
    end
    local costly, cheap = held(), held()
    for place = 1, 3 do wait_at(costly, place) end
    cheap:acquire(true, 0.001)
    local list = _thread.contention()
    local found = entry(list, "lock", costly)
    assert.equal(found, list[1])
    assert.is_truthy(entry(list, "lock", cheap))
    assert.equal(3, found.waits)
    assert.equal(2, #found.places)
    assert.matches(":" .. line_of(wait_at) + 4 .. "$", found.places[1].place)
    assert.matches(":" .. line_of(wait_at) + 2 .. "$", found.places[2].place)
    for i = 2, #list do
      assert.is_true(list[i - 1].seconds >= list[i].seconds)
    end
  end)

  it("tells queues, in which it was waited for messages and for room", function()
    local bounded = queue.Queue(1)
    pcall(bounded.get, bounded, true, 0.01)
    bounded:put(1)
    pcall(bounded.put, bounded, 1, true, 0.01)
    local list = _thread.contention()
    assert.equal(1, entry(list, "queue get", bounded).waits)
    assert.equal(1, entry(list, "queue put", bounded).waits)
  end)

  it("tells shared tables that threads change at the same time", function()
    local shared <const> = _thread.shared { n = 0 }
    local stop <const> = _thread.Event()
    local function write()
      repeat
        for i = 1, 1000 do shared.n = i end
      until stop:is_set()
    end
    local writers = {}
    for i = 1, 4 do writers[i] = threads.start(write) end
    assert.is_true(threads.eventually(function()
      return entry(_thread.contention(), "shared table", shared) ~= nil
    end))
    stop:set()
    for _, writer in ipairs(writers) do writer:join() end
    local place = entry(_thread.contention(), "shared table", shared).places[1].place
    assert.matches("contention_spec%.lua:" .. line_of(write) + 2 .. "$", place)
  end)

  it("finds the place in a coroutine", function()
    local lock <const> = held()
    local function wait() lock:acquire(true, 0.001) end
    coroutine.wrap(function() coroutine.wrap(wait)() end)()
    local places = entry(_thread.contention(), "lock", lock).places
    assert.matches(":" .. line_of(wait) .. "$", places[1].place)
  end)

  it("counts a wait once that an answer to a dump or an interrupt has broken off", function()
    local lock <const> = held()
    local waiter = threads.start(function()
      _thread.on_interrupt(function() end)
      lock:acquire()
    end)
    await_blocked(waiter.ident)
    for _ = 1, 3 do
      waiter:interrupt()
      _thread.dump_traceback { write = function() end }
    end
    await_blocked(waiter.ident)
    lock:release()
    waiter:join()
    assert.equal(1, entry(_thread.contention(), "lock", lock).waits)
  end)

  it("forgets at a start, and counts no more after a stop", function()
    local lock = held()
    lock:acquire(true, 0.001)
    assert.is_truthy(entry(_thread.contention(), "lock", lock))
    _thread.contention_stop()
    lock:acquire(true, 0.001)
    assert.equal(1, entry(_thread.contention(), "lock", lock).waits)
    _thread.contention_start()
    assert.is_nil(entry(_thread.contention(), "lock", lock))
  end)

  it("counts no waits that are none: what is there at once, and tries", function()
    local lock = _thread.lock()
    lock:acquire()
    lock:acquire(false)
    assert.is_nil(entry(_thread.contention(), "lock", lock))
  end)

  it("is a table to read", function()
    local lock = held()
    lock:acquire(true, 0.001)
    local text = tostring(_thread.contention())
    local header, rest = text:match "^([^\n]*)\n(.*)$"
    assert.matches("waited for +times +in all +at most +held by +at", header)
    local line = " +1 +0%.%d+ s +0%.%d+ s +MainThread +[^\n]*:%d+ %(100 %%%)\n"
    assert.matches("lock " .. address(lock) .. line, rest)
  end)

  it("survives more things than it has room for, and says so", function()
    local text = child [[
      local _thread = require "lthread"
      _thread.contention_start()
      local kept = {}
      for i = 1, 1500 do
        kept[i] = _thread.lock()
        kept[i]:acquire()
        kept[i]:acquire(true, 1e-9)
      end
      local list = _thread.contention()
      local waits = 0
      for _, each in ipairs(list) do waits = waits + each.waits end
      local others = tostring(list):match "and (%d+) waits for others\n$"
      print(#list <= 1024, waits + others)
    ]]
    assert.equal("true\t1500\nstatus 0\n", text)
  end)

  it("is empty where nobody has waited", function()
    assert.equal("0\tnobody has waited for a lock, queue or table\n\nstatus 0\n", child [[
      local _thread = require "lthread"
      print(#_thread.contention(), _thread.contention())
    ]])
  end)

  it("is printed at the end with LTHREAD_CONTENTION=1", function()
    local script = [[
      local lock = require("lthread").lock()
      lock:acquire()
      lock:acquire(true, 0.01)
      print "done"
    ]]
    assert.matches("^done\nwaited for [^\n]*\nlock 0x%x+ +1 [^\n]*:3 %(100 %%%)\nstatus 0\n$",
      child(script, "LTHREAD_CONTENTION=1"))
    assert.equal("done\nstatus 0\n", child(script, "LTHREAD_CONTENTION=0"))
  end)
end)
