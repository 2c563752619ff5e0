-- Waiting for one of several things, of which none is taken.
local _thread = require "lthread"
local futures = require "lthread.futures"
local queue = require "lthread.queue"
local threading = require "lthread.threading"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"
local waiting = require "support.waiting"
local with_fifo = require "support.with_fifo"
local raises = threads.raises
local wait_any = _thread.wait_any

setups.alone()
setups.quiet()

-- A thread that waits for one of the list, and tells the place; it is blocked by now.
local function looker(list, timeout)
  local handle = waiting.start(function(things, limit)
    local _, place = _thread.wait_any(things, limit)
    return place
  end, list, timeout)
  assert.is_true(waiting.blocks(handle))
  return handle
end

describe("wait_any", function()
  local a, b

  before_each(function()
    a, b = queue.Queue(), queue.SimpleQueue()
  end)

  it("returns the first that is ready, and its place, and takes nothing", function()
    b:put "b"
    local object, place = wait_any { a, b }
    assert.equal(b, object)
    assert.equal(2, place)
    a:put "a"
    assert.equal(a, (wait_any { a, b }))
    assert.equal(1, a:qsize())
    assert.equal(1, b:qsize())
  end)

  it("returns nil when the time is up", function()
    assert.is_nil(wait_any({ a, b }, 0))
    assert.is_nil(wait_any({ a, b }, -1))
    assert.is_nil(wait_any({ a, b }, { timeout = 0.001 }))
    assert.is_nil(wait_any({}, 0.001))
    assert.equal(1, select("#", wait_any({ a }, 0)))
  end)

  it("waits until a message is put, or the queue is shut down", function()
    local handle = looker { a, b }
    b:put(1)
    assert.equal(2, handle:result(threads.LONG))
    b:get()
    handle = looker { b, a }
    a:shutdown()
    assert.equal(2, handle:result(threads.LONG))
  end)

  it("waits for a bounded queue as for others", function()
    local bounded = queue.Queue(1)
    local handle = looker { a, bounded }
    bounded:put(1)
    assert.equal(2, handle:result(threads.LONG))
    local putter = waiting.start(function(q) q:put(2) end, bounded)
    assert.is_true(waiting.blocks(putter))
    assert.equal(bounded, (wait_any { bounded }))
    assert.equal(1, bounded:get())
    assert.equal(2, bounded:get(true, threads.LONG))
  end)

  it("waits for events, semaphores, handles, threads and futures", function()
    local event, semaphore = _thread.Event(), _thread.Semaphore(0)
    local gate = threads.held()
    local handle = threads.start(function() gate:acquire() end)
    local second = threads.held()
    local thread = threading.Thread { target = function() second:acquire() end }
    thread:start()
    local future = futures.Future()
    local list = { event, semaphore, handle, thread, future }
    assert.is_nil(wait_any(list, 0))
    local acts = {
      function() event:set() end, function() semaphore:release() end,
      function() gate:release() end, function() second:release() end,
      function() future:set_result(1) end,
    }
    for place, act in ipairs(acts) do
      local waiter = looker({ table.unpack(list, place) })
      act()
      assert.equal(1, waiter:result(threads.LONG))
      if place < #list then
        assert.equal(list[place], (wait_any { list[place] }))
      end
    end
    assert.is_true(semaphore:acquire(false))
    assert.equal(thread, (wait_any { thread }))
  end)

  it("sees an event that was cleared again", function()
    local event = _thread.Event()
    local handle = looker { a, event }
    event:set()
    event:clear()
    assert.equal(2, handle:result(threads.LONG))
  end)

  it("waits for descriptors among the rest, and objects that have one", function()
    with_fifo(function(path)
      local pipe <close> = io.open(path, "r+")
      pipe:setvbuf "no"
      assert.is_nil(wait_any({ a, pipe }, 0.001))
      local handle = waiting.start(function(list, name)
        list[3] = io.open(name, "r+")
        local _, place = _thread.wait_any(list)
        return place
      end, { a, b }, path)
      assert.is_true(waiting.blocks(handle))
      pipe:write "x"
      assert.equal(3, handle:result(threads.LONG))
      assert.equal(pipe, (wait_any { a, pipe }))
      b:put(1)
      assert.equal(b, (wait_any { a, b, pipe }))
      assert.equal(pipe, (wait_any { a, pipe, b }))
      local object = { getfd = function() return -1 end }
      raises(_thread.ValueError, "list[2]: no descriptor has the number -1", wait_any,
        { a, object })
    end)
  end)

  it("is woken by an object while it polls", function()
    with_fifo(function(path)
      local handle = waiting.start(function(list, name)
        local pipe <close> = io.open(name, "r+")
        list[2] = pipe
        local _, place = _thread.wait_any(list)
        return place
      end, { a }, path)
      assert.is_true(waiting.blocks(handle))
      a:put(1)
      assert.equal(1, handle:result(threads.LONG))
    end)
  end)

  it("takes the same object twice, and very many", function()
    local handle = looker { a, a, b, a }
    a:put(1)
    assert.equal(1, handle:result(threads.LONG))
    local list = {}
    for i = 1, 10000 do
      list[i] = i % 100 == 0 and queue.SimpleQueue() or b
    end
    assert.is_nil(wait_any(list, 0.001))
    handle = looker(list)
    list[9900]:put(1)
    assert.equal(9900, handle:result(threads.LONG))
  end)

  it("is no getter: a put wakes one of those, and all who look", function()
    local getters, lookers = {}, {}
    for i = 1, 2 do
      lookers[i] = looker({ b, a })
    end
    for i = 1, 2 do
      getters[i] = waiting.start(function(q) return q:get() end, a)
      assert.is_true(waiting.blocks(getters[i]))
    end
    for i = 3, 4 do
      lookers[i] = looker({ b, a })
    end
    a:put "first"
    assert.equal("first", getters[1]:result(threads.LONG))
    a:put "second"
    assert.equal("second", getters[2]:result(threads.LONG))
    a:put "third"
    for i = 1, 4 do
      assert.equal(2, lookers[i]:result(threads.LONG))
    end
    assert.equal("third", a:get_nowait())
  end)

  it("loses nothing where many look, take and put", function()
    local COUNT, stop = 2000, _thread.Event()
    local function work(queues, finish)
      local list, got = { queues[1], queues[2], finish }, 0
      while true do
        local object = _thread.wait_any(list)
        if object == finish then
          return got
        elseif object:try_get() then
          got = got + 1
          queues[3]:put(true)
        end
      end
    end
    local done = queue.SimpleQueue()
    local first = waiting.start(work, { a, b, done }, stop)
    local second = waiting.start(work, { b, a, done }, stop)
    for i = 1, COUNT do
      (i % 3 == 0 and a or b):put(i)
      if i % 7 == 0 then
        done:get(true, threads.LONG)
        done:put(true)
      end
    end
    for _ = 1, COUNT do
      done:get(true, threads.LONG)
    end
    stop:set()
    assert.equal(COUNT, first:result(threads.LONG) + second:result(threads.LONG))
  end)

  it("is interrupted, and leaves nothing behind", function()
    local handle = looker { a, b }
    handle:interrupt(_thread.ValueError)
    raises(_thread.ValueError, "", handle.result, handle, threads.LONG)
    a:put(1)
    assert.equal(1, a:get())
  end)

  it("keeps what it waits for, whoever forgets it", function()
    local handle = looker { queue.Queue(), a }
    collectgarbage()
    collectgarbage()
    a:put(1)
    assert.equal(2, handle:result(threads.LONG))
  end)

  it("ends with the program", function()
    assert.equal("status 0\n", child [[
      local _thread = require "lthread"
      local waiting = require "support.waiting"
      local q = require "lthread.queue".Queue()
      local handle = _thread.start_joinable_thread(function() _thread.wait_any { q } end,
        { daemon = true })
      assert(waiting.blocks(handle))
    ]])
  end)

  it("refuses what it can't wait for", function()
    raises(_thread.TypeError,
      "list[2]: a lock is not waited for without taking it: acquire it with a timeout", wait_any,
      { a, _thread.allocate_lock() })
    raises(_thread.TypeError, "acquire it with a timeout", wait_any, { _thread.RLock() })
    raises(_thread.TypeError, "semaphore or descriptor expected, got _thread.Condition", wait_any,
      { _thread.Condition() })
    raises(_thread.TypeError, "descriptor expected, got string", wait_any, { "x" })
    raises(_thread.TypeError, "list[2] is nil", wait_any, { a, nil, b, n = 3 })
    raises(_thread.TypeError, "table expected", wait_any, a)
    raises(_thread.ValueError, "the list is empty", wait_any, {})
    raises(_thread.RuntimeError, "not started", wait_any, { _thread._ThreadHandle() })
    raises(_thread.ValueError, "1000000 is not open", wait_any, { 1000000 })
  end)
end)
