-- Counts that a script can make large: what Lua's stack and memory hold arrives, of the rest an
-- error tells the number.
local _thread = require "lthread"
local queue = require "lthread.queue"
local threads = require "support.threads"
local setups = require "support.setups"

local call, raises, start = threads.call, threads.raises, threads.start

setups.alone()

-- Around the limits of a short, signed or not; and far beyond.
local all = { 32766, 32767, 32768, 32769, 32770, 65534, 65535, 65536, 65537, 200000 }
local some = { 32768, 65536, 200000 }

local function numbers(count)
  local list = { n = count }
  for i = 1, count do
    list[i] = i
  end
  return list
end

-- The number of values, and the last one.
local function ends(list)
  return { list.n, list[list.n] }
end

-- Calls f() with so many values on the stack.
local function above(count, f)
  local function full(...)
    local first = ...
    f(first)
  end
  full(table.unpack({}, 1, count))
end

local function each(counts, what, f)
  for _, count in ipairs(counts) do
    it(count .. " " .. what, function() f(count) end)
  end
end

describe("there may be", function()
  each(all, "arguments", function(count)
    local handle = _thread.start_joinable_thread(function(...)
      return select("#", ...), ..., (select(-1, ...))
    end, { args = numbers(count) })
    assert.same({ count, 1, count }, { handle:result() })
  end)

  each(some, "arguments of start_new_thread and keyword arguments behind them", function(count)
    local done = queue.SimpleQueue()
    _thread.start_new_thread(function(...)
      done:put(select("#", ...))
      done:put((select(-2, ...)))
      done:put((select(-1, ...)).last)
    end, numbers(count), { last = "keyword" })
    local function result()
      return done:get { timeout = threads.LONG }
    end
    assert.same({ count + 1, count, "keyword" }, { result(), result(), result() })
  end)

  each({ 32768, 999990 }, "keyword arguments", function(count)
    local kwargs = {}
    for i = 1, count do
      kwargs["name" .. i] = i
    end
    local found, last = _thread.start_joinable_thread(function(names)
      local found = 0
      for _ in pairs(names) do
        found = found + 1
      end
      return found, names["name" .. found]
    end, { kwargs = kwargs }):result()
    assert.same({ count, count }, { found, last })
  end)

  each({ 900000, table.unpack(all) }, "results", function(count)
    local handle = start(function(n) return table.unpack({ [n] = "last" }, 1, n) end, count)
    assert.same({ count, "last" }, ends(table.pack(handle:result())))
    assert.same({ count, "last" }, ends(table.pack(handle:result())))
  end)

  each({ 32768, 999990 }, "elements of a table in an upvalue", function(count)
    local list = numbers(count)
    local length, sum = call(function()
      local sum = 0
      for _, number in ipairs(list) do
        sum = sum + number
      end
      return #list, sum
    end)
    assert.same({ count, count * (count + 1) // 2 }, { length, sum })
  end)

  each({ 999990, table.unpack(some) }, "messages in put_many and get_many", function(count)
    for _, class in ipairs { queue.SimpleQueue, queue.LifoQueue, queue.PriorityQueue } do
      local q = class()
      q:put_many(numbers(count))
      local list = q:get_many(math.maxinteger)
      assert.equal(count, list.n)
      assert.equal(count, #list)
      assert.same({ 1, count }, { math.min(list[1], list[count]), math.max(list[1], list[count]) })
    end
  end)

  each({ 900000, table.unpack(some) }, "arguments of an exception, in a message", function(count)
    local q = queue.SimpleQueue()
    q:put(_thread.ValueError(table.unpack(numbers(count), 1, count)))
    local e = q:get()
    assert.same({ count, count, count }, { e.args.n, #e.args, e.args[count] })
  end)

  each(some, "arguments and results of lock:with", function(count)
    for _, lock in ipairs { _thread.allocate_lock(), _thread.RLock() } do
      local list = numbers(count)
      assert.same({ count, count },
        ends(table.pack(lock:with(function(...) return ... end, table.unpack(list, 1, count)))))
      assert.is_false(lock:locked())
    end
  end)

  each({ 999000, table.unpack(some) }, "elements of a shared table", function(count)
    local t = _thread.shared(numbers(count))
    assert.same({ count, count }, { #t, t[count] })
    assert.same({ count, count }, ends(table.pack(table.unpack(t, 1, count))))
    assert.same({ count, count }, { call(function() return #t, t[#t] end) })
    assert.equal(count, #_thread.copy(t))
  end)
end)

-- Also where sizes have 32 bits.
describe("a count that no machine reaches", function()
  local large = { 1 << 31, 1 << 32, (1 << 32) + 1, (1 << 32) + 2, math.maxinteger }

  it("of those who are notified wakes all", function()
    for _, n in ipairs(large) do
      local condition, done = _thread.Condition(), queue.SimpleQueue()
      local handle = start(function()
        condition:acquire()
        done:put "ready"
        local notified = condition:wait(threads.LONG)
        condition:release()
        return notified
      end)
      done:get { timeout = threads.LONG }
      condition:acquire()
      condition:notify(n)
      condition:release()
      assert.is_true((handle:result()))
    end
  end)

  it("of parties keeps those who come", function()
    for _, n in ipairs(large) do
      local barrier = _thread.Barrier(n)
      assert.equal(n, barrier.parties)
      raises(_thread.BrokenBarrierError, "", barrier.wait, barrier, 0.001)
    end
  end)

  it("of units, of messages that fit, or of rounds that a lock is held, is kept", function()
    for _, n in ipairs(large) do
      assert.truthy(tostring(_thread.Semaphore(n)):find(tostring(n), 1, true))
      assert.truthy(tostring(queue.Queue(n)):find("maxsize=" .. n, 1, true))
      local rlock = _thread.RLock()
      rlock:_acquire_restore(n)
      assert.equal(n, rlock:_recursion_count())
    end
  end)
end)

-- What memory and stack can't hold
describe("a ValueError names the number of", function()
  it("arguments", function()
    local count = _thread._count()
    for _, n in ipairs { 999990, 1000000, 1 << 31, 1 << 32, (1 << 32) + 1, math.maxinteger } do
      raises(_thread.ValueError, "too many arguments (" .. n .. ")", _thread.start_new_thread,
        print, { n = n })
      raises(_thread.ValueError, "too many arguments (" .. n .. ")", _thread.start_joinable_thread,
        print, { args = { n = n } })
    end
    assert.equal(count, _thread._count())
  end)

  it("arguments where the caller's stack is nearly full", function()
    above(800000, function()
      raises(_thread.ValueError, "too many arguments (300000)", _thread.start_joinable_thread,
        print, { args = { n = 300000 } })
    end)
  end)

  it("results", function()
    local handle = start(function() return table.unpack({}, 1, 999900) end)
    for _ = 1, 2 do
      raises(_thread.ValueError, "too many results (999900)", handle.result, handle)
    end
  end)

  it("results for which the one who asks has no room, and who may ask again", function()
    local handle = start(function() return table.unpack({ [500000] = "last" }, 1, 500000) end)
    above(600000, function()
      raises(_thread.ValueError, "too many values (500000)", handle.result, handle)
    end)
    assert.same({ 500000, "last" }, ends(table.pack(handle:result())))
  end)

  -- How many results the stack has room for differs from one release of Lua to the next. Up to
  -- 5.4.6 and in 5.5 lock:with has to refuse some that table.unpack could still return.
  it("results of lock:with, and the lock is released", function()
    local function goes(lock, n)
      local ok, e = pcall(function()
        return (select("#", lock:with(function() return table.unpack({}, 1, n) end)))
      end)
      assert.is_false(lock:locked())
      if ok then
        assert.equal(n, e)
      elseif _thread.isinstance(e, _thread.ValueError) then
        assert.truthy(e.message:find("too many results (" .. n .. ")", 1, true), e.message)
      else
        assert.matches("too many results to unpack$", e)
      end
      return ok
    end
    -- A coroutine has a stack of its own, which is empty.
    coroutine.wrap(function()
      for _, lock in ipairs { _thread.allocate_lock(), _thread.RLock() } do
        local most, too_many = 999000, 1001000
        assert.is_true(goes(lock, most))
        assert.is_false(goes(lock, too_many))
        while too_many - most > 1 do
          local n = (most + too_many) // 2
          if goes(lock, n) then most = n else too_many = n end
        end
        -- Lua 5.5 lends a coroutine what it keeps for errors, so that some more may go.
        for n = most, most + 300, 3 do goes(lock, n) end
      end
    end)()
  end)

  it("messages", function()
    local q = queue.Queue()
    for _, n in ipairs { 1 << 31, (1 << 32) + 1, 1 << 40, math.maxinteger } do
      raises(_thread.ValueError, "field 'n' is too large (" .. n .. ")", q.put_many, q, { n = n })
    end
    assert.is_true(q:empty())
  end)

  it("levels that a value is nested, in a TypeError, where the sender has no room", function()
    local q = queue.SimpleQueue()
    local deep = false
    for _ = 1, 600000 do
      deep = { deep }
    end
    local e = raises(_thread.TypeError, "nested more than ", q.put, q, deep)
    assert.is_true(tonumber(e.message:match "more than (%d+) levels deep") > 100000)
    assert.is_true(q:empty())
  end)

  it("levels that a value is nested, where the receiver has no room", function()
    local q = queue.SimpleQueue()
    local deep = false
    for _ = 1, 100000 do
      deep = { deep }
    end
    q:put(deep)
    above(950000, function()
      raises(_thread.ValueError, " levels deep", q.get, q)
    end)
    assert.is_true(q:empty())
  end)
end)
