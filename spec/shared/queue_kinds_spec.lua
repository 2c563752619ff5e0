local _thread = require "lthread"
local queue = require "lthread.queue"
local raised = require "support.raised"
local waiting = require "support.waiting"

local start, blocks = waiting.start, waiting.blocks

local kinds = { queue.Queue, queue.LifoQueue, queue.PriorityQueue }

for _, class in ipairs(kinds) do
  describe("any bounded " .. class.__name__, function()
    local q

    before_each(function()
      q = class(2)
    end)

    local function fill()
      q:put(1)
      q:put(2)
    end

    it("takes its bound by name, and none for 0 or less", function()
      local named = class { maxsize = 1 }
      named:put(1)
      assert.is_true(named:full())
      for _, maxsize in ipairs { 0, -1, math.mininteger } do
        local endless = class(maxsize)
        for i = 1, 100 do
          endless:put(i)
        end
        assert.is_false(endless:full())
      end
      raised(_thread.TypeError, class, "many")
      raised(_thread.TypeError, class, 1.5)
      raised(_thread.TypeError, class, { size = 1 })
    end)

    it("is full at its bound", function()
      assert.is_false(q:full())
      q:put(1)
      assert.is_false(q:full())
      q:put(2)
      assert.is_true(q:full())
      q:get()
      assert.is_false(q:full())
    end)

    it("raises Full when there is no room, at once or when the time is up", function()
      fill()
      local e = raised(queue.Full, q.put_nowait, q, 3)
      assert.matches("the queue is full", tostring(e))
      raised(queue.Full, q.put, q, 3, false)
      raised(queue.Full, q.put, q, 3, true, 0)
      raised(queue.Full, q.put, q, 3, { timeout = 0.001 })
      raised(queue.Full, q.put, q, 3, { block = 0 })
      assert.equal(2, q:qsize())
    end)

    it("makes put wait for a get", function()
      fill()
      local putter = start(function() q:put(3) end)
      assert.is_true(blocks(putter))
      assert.is_number(q:get())
      assert.is_true(putter:join(60))
      assert.equal(2, q:qsize())
    end)

    it("makes put wait with values of every size", function()
      fill()
      local putter = start(function() q:put({ 3, ("x"):rep(100) }, { timeout = 60 }) end)
      assert.is_true(blocks(putter))
      if class == queue.PriorityQueue then
        q:get()
      end
      q:get()
      putter:result()
      local message = class == queue.Queue and q:get() and q:get() or q:get()
      assert.equal(3, message[1])
    end)

    it("wakes as many putters as there is room", function()
      fill()
      local putters = {}
      for i = 1, 2 do
        putters[i] = start(function() q:put(i) end)
      end
      assert.is_true(blocks(putters[1]))
      assert.is_true(blocks(putters[2]))
      q:get_many(2)
      putters[1]:result()
      putters[2]:result()
      assert.is_true(q:full())
    end)

    it("takes more than it holds by put_many, bit by bit", function()
      local list = {}
      for i = 1, 1000 do
        list[i] = i
      end
      local putter = start(function() q:put_many(list) end)
      local sum = 0
      for _ = 1, 1000 do
        local size = q:qsize()
        assert.is_true(size <= 2)
        sum = sum + q:get()
      end
      putter:result()
      assert.equal(500500, sum)
      assert.is_true(q:empty())
    end)

    it("says how many of many were put", function()
      local e = raised(queue.Full, q.put_many, q, { 1, 2, ("x"):rep(100) and 3, 4, 5 }, false)
      assert.equal(2, e.put)
      assert.equal("the queue is full; 2 of 5 messages were put", e.message)
      e = raised(queue.Full, q.put_many, q, { 1, 2, 3 }, { timeout = 0.001 })
      assert.equal(0, e.put)
    end)

    it("forgets no waiter that gave up before", function()
      for _ = 1, 20 do
        raised(queue.Empty, q.get, q, true, 0.0005)
      end
      local getter = start(function() return q:get() end)
      assert.is_true(blocks(getter))
      q:put(1)
      assert.equal(1, getter:result())
    end)
  end)

  it("any " .. class.__name__ .. " has fields that tell its state in every thread", function()
    local q = class(3)
    local function state() return { q.maxsize, q.unfinished_tasks, q.is_shutdown } end
    assert.same({ 3, 0, false }, state())
    q:put(1)
    q:put(2)
    q:get()
    assert.same({ 3, 2, false }, _thread.start_joinable_thread(state):result())
    q:task_done()
    assert.same({ 3, 1, false }, state())
    q:shutdown()
    assert.same({ 3, 1, true }, _thread.start_joinable_thread(state):result())
    assert.equal(0, class().maxsize)
    assert.equal(0, class(-1).maxsize)
    assert.is_nil(q.mutex)
    assert.has_error(function() q.maxsize = 5 end)
  end)

  describe("the tasks of any " .. class.__name__, function()
    it("are done when task_done was called for each", function()
      local q = class()
      assert.is_true(q:join())
      q:put(1)
      q:put(2)
      local joiner = start(function() return q:join() end)
      assert.is_true(blocks(joiner))
      q:get()
      q:task_done()
      q:get()
      assert.is_false(q:join(0.001))
      assert.is_false(q:join { timeout = 0 })
      q:task_done()
      assert.is_true(joiner:result())
      assert.is_true(q:join())
    end)

    it("can't be done twice", function()
      local q = class()
      raised(_thread.ValueError, q.task_done, q)
      q:put(1)
      q:task_done()
      local e = raised(_thread.ValueError, q.task_done, q)
      assert.equal("task_done() called too many times", e.message)
      raised(_thread.ValueError, q.join, q, -1)
    end)

    it("are shared by all workers", function()
      local q, done = class(), queue.SimpleQueue()
      local workers = {}
      for i = 1, 3 do
        workers[i] = start(function()
          while true do
            local ok, n = pcall(q.get, q)
            if not ok then
              return
            end
            done:put(n)
            q:task_done()
          end
        end)
      end
      for i = 1, 300 do
        q:put(i)
      end
      q:join()
      assert.equal(300, done:qsize())
      q:shutdown()
      for i = 1, 3 do
        workers[i]:result()
      end
    end)
  end)

  describe("shutting down any " .. class.__name__, function()
    it("ends putting at once, and getting when it is empty", function()
      local q = class()
      q:put(1)
      q:shutdown()
      local e = raised(queue.ShutDown, q.put, q, 2)
      assert.matches("the queue is shut down", tostring(e))
      raised(queue.ShutDown, q.put_nowait, q, 2)
      assert.equal(0, raised(queue.ShutDown, q.put_many, q, { 2, 3 }).put)
      assert.equal(1, q:get())
      raised(queue.ShutDown, q.get, q)
      raised(queue.ShutDown, q.get_nowait, q)
      raised(queue.ShutDown, q.get, q, true, 1)
      raised(queue.ShutDown, q.get_many, q, 10)
      assert.is_false(q:join(0))
      q:task_done()
      assert.is_true(q:join())
    end)

    it("drops what is left and counts it as done, if immediate", function()
      for _, immediate in ipairs { true, { immediate = true } } do
        local q = class()
        for i = 1, 200 do
          q:put(i)
        end
        q:get()
        q:shutdown(immediate)
        raised(queue.ShutDown, q.get, q)
        assert.equal(0, q:qsize())
        assert.is_false(q:join(0))
        q:task_done()
        assert.is_true(q:join())
        raised(_thread.ValueError, q.task_done, q)
      end
    end)

    it("may be done again, and become immediate", function()
      local q = class()
      q:put(1)
      q:shutdown()
      q:shutdown()
      assert.equal(1, q:qsize())
      q:shutdown(true)
      assert.equal(0, q:qsize())
      q:shutdown(false)
      raised(queue.ShutDown, q.get, q)
    end)

    it("wakes all that wait in get", function()
      for _, immediate in ipairs { false, true } do
        local q = class()
        local getters = {}
        for i = 1, 4 do
          getters[i] = start(function()
            return select(2, pcall(i % 2 == 0 and q.get or q.get_many, q, i % 2 == 0 or 10))
          end)
        end
        for i = 1, 4 do
          assert.is_true(blocks(getters[i]))
        end
        q:shutdown(immediate)
        for i = 1, 4 do
          assert.is_true(_thread.isinstance(getters[i]:result(), queue.ShutDown))
        end
      end
    end)

    it("wakes all that wait in put", function()
      for _, immediate in ipairs { false, true } do
        local q = class(1)
        q:put(1)
        local putters = {}
        for i = 1, 4 do
          putters[i] = start(function()
            local put, message = i % 2 == 0 and q.put or q.put_many, i % 2 == 0 and i or { i, i }
            return select(2, pcall(put, q, message))
          end)
        end
        for i = 1, 4 do
          assert.is_true(blocks(putters[i]))
        end
        q:shutdown(immediate)
        for i = 1, 4 do
          assert.is_true(_thread.isinstance(putters[i]:result(), queue.ShutDown))
        end
        assert.equal(immediate and 0 or 1, q:qsize())
      end
    end)

    it("wakes those that join when nothing is left to do", function()
      local q = class()
      q:put(1)
      q:put(2)
      local joiner = start(function() return q:join() end)
      assert.is_true(blocks(joiner))
      q:shutdown()
      assert.equal("blocked", blocks(joiner) and "blocked")
      q:shutdown(true)
      assert.is_true(joiner:result())
    end)
  end)
end

describe("the order", function()
  it("of a Queue is that of putting", function()
    local q = queue.Queue()
    q:put_many { 3, 1, 2 }
    assert.same({ 3, 1, 2, n = 3 }, q:get_many(3))
  end)

  it("of a LifoQueue is the reverse", function()
    local q = queue.LifoQueue()
    q:put_many { 3, 1, 2 }
    q:put(4)
    assert.same({ 4, 2, 1, 3, n = 4 }, q:get_many(9))
  end)

  it("of a PriorityQueue is that of its messages", function()
    local q = queue.PriorityQueue()
    local numbers = {}
    for i = 1, 1000 do
      numbers[i] = (i * 7919) % 1009 + (i % 3) / 4
      q:put(numbers[i])
    end
    table.sort(numbers)
    for i = 1, 1000 do
      assert.equal(numbers[i], q:get())
    end
  end)
end)

describe("a PriorityQueue", function()
  local q

  before_each(function()
    q = queue.PriorityQueue()
  end)

  it("compares integers and floats exactly", function()
    local sorted = { -math.huge, math.mininteger, math.mininteger + 1, -2 ^ 53, -1.5, -1, -0.5, 0,
      0.5, 1, 2 ^ 53, 2 ^ 53 | 0 + 1, math.maxinteger - 1, math.maxinteger, 2 ^ 63, math.huge }
    for step = 1, #sorted - 1 do
      for i = 0, #sorted - 1 do
        q:put(sorted[(i * (2 * step + 1)) % #sorted + 1])
      end
      local list = q:get_many(100)
      for i = 2, list.n do
        assert.is_false(list[i] < list[i - 1])
      end
    end
  end)

  it("compares strings byte by byte", function()
    q:put_many { "b", "", "a\0b", "a", ("a"):rep(20), "B", "\255", ("a"):rep(19) .. "b" }
    assert.same({ "", "B", "a", "a\0b", ("a"):rep(20), ("a"):rep(19) .. "b", "b", "\255", n = 8 },
      q:get_many(9))
  end)

  it("goes by the first element of a list", function()
    q:put { 2, "two" }
    q:put { 1, { "one" } }
    q:put(1.5)
    q:put { "zero" and 0, function() return "zero" end }
    assert.equal("zero", q:get()[2]())
    assert.equal("one", q:get()[2][1])
    assert.equal(1.5, q:get())
    assert.equal("two", q:get()[2])
  end)

  it("keeps equal ones in the order of putting", function()
    for i = 1, 100 do
      q:put { i % 3, i }
    end
    local last = { 0, 0 }
    for _ = 1, 100 do
      local message = q:get()
      assert.is_true(message[1] > last[1] or message[1] == last[1] and message[2] > last[2])
      last = message
    end
  end)

  it("refuses what has no order", function()
    local comparable = setmetatable({}, { __lt = print })
    for _, message in ipairs { {}, { {} }, true, print, { true }, comparable } do
      raised(_thread.TypeError, q.put, q, message)
    end
    raised(_thread.TypeError, q.put, q, nil)
    raised(_thread.ValueError, q.put, q, 0 / 0)
    raised(_thread.ValueError, q.put, q, { 0 / 0 })
    raised(_thread.TypeError, q.put_many, q, { 1, 2, {} })
    assert.equal(0, q:qsize())
  end)

  it("holds either numbers or strings", function()
    q:put(1)
    raised(_thread.TypeError, q.put, q, "a")
    raised(_thread.TypeError, q.put, q, { "a", 1 })
    assert.equal(1, raised(_thread.TypeError, q.put_many, q, { 2, "a" }).put)
    assert.equal(2, q:get_many(2).n)
    q:put "a"
    raised(_thread.TypeError, q.put, q, 1)
    assert.equal("a", q:get())
  end)

  it("wakes another putter for the room that one does not take", function()
    local bounded = queue.PriorityQueue(2)
    bounded:put_many { 1, 2 }
    local refused = start(function() return pcall(bounded.put, bounded, "a") end)
    assert.is_true(blocks(refused))
    local patient = start(function() bounded:put(3) end)
    assert.is_true(blocks(patient))
    assert.equal(1, bounded:get())
    assert.is_true(patient:join(60))
    assert.is_false((refused:result()))
    assert.same({ 2, 3, n = 2 }, bounded:get_many(2))
  end)

  it("is in order again when get_many had to give back", function()
    package.preload.poisoned = function()
      return { member = {} }
    end
    local member = require "poisoned".member
    q:put_many { 5, 1, { 3, member }, 4, 2 }
    package.preload.poisoned, package.loaded.poisoned = nil, nil
    raised(_thread.RuntimeError, q.get_many, q, 4)
    q:put(3)
    assert.same({ 1, 2, 3, 4, 5, n = 5 }, q:get_many(9))
  end)
end)
