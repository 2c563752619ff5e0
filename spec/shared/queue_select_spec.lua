-- Getting from one of several queues; and their descriptors.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"
local waiting = require "support.waiting"
local raises = threads.raises

setups.alone()
setups.quiet()

describe("queue.select", function()
  local a, b

  before_each(function()
    a, b = queue.Queue(), queue.PriorityQueue()
  end)

  it("takes from the first queue that has something", function()
    b:put(2)
    b:put(1)
    a:put(nil)
    local from, message, place = queue.select { a, b }
    assert.equal(a, from)
    assert.is_nil(message)
    assert.equal(1, place)
    from, message, place = queue.select { a, b }
    assert.equal(b, from)
    assert.equal(1, message)
    assert.equal(2, place)
    assert.equal(1, b:qsize())
  end)

  it("returns nil when the time is up", function()
    assert.is_nil(queue.select({ a, b }, 0))
    assert.is_nil(queue.select({ a, b }, { timeout = 0.001 }))
  end)

  it("waits for a message", function()
    local handle = waiting.start(function(list)
      local _, message, place = require "lthread.queue".select(list)
      return message, place
    end, { a, b })
    assert.is_true(waiting.blocks(handle))
    b:put "x"
    assert.same({ "x", 2 }, { handle:result(threads.LONG) })
  end)

  it("raises ShutDown when all queues are shut down and empty, and not before", function()
    a:put(1)
    a:shutdown()
    assert.equal(1, select(2, queue.select { a, b }))
    assert.is_nil(queue.select({ a, b }, 0))
    local handle = waiting.start(function(list) require "lthread.queue".select(list) end, { a, b })
    assert.is_true(waiting.blocks(handle))
    b:shutdown()
    raises(queue.ShutDown, "", handle.result, handle, threads.LONG)
    raises(queue.ShutDown, "", queue.select, { a, b })
  end)

  it("gives each message to one thread, whether it selects or gets", function()
    local COUNT = 1500
    local function select_all(list)
      local got = 0
      local ok = pcall(function()
        while true do
          require "lthread.queue".select(list)
          got = got + 1
        end
      end)
      return got, ok
    end
    local function get_all(q)
      local got = 0
      for i in q:each() do got = i end
      return got
    end
    local workers = {
      waiting.start(select_all, { a, b }), waiting.start(select_all, { b, a }),
      waiting.start(get_all, a), waiting.start(get_all, b),
    }
    for i = 1, COUNT do
      a:put(i)
      b:put(i)
    end
    a:shutdown()
    b:shutdown()
    local sum = 0
    for _, worker in ipairs(workers) do
      sum = sum + worker:result(threads.LONG)
    end
    assert.equal(2 * COUNT, sum)
  end)

  it("refuses other arguments", function()
    raises(_thread.TypeError, "list[2]: queue expected, got number", queue.select, { a, 1 })
    raises(_thread.ValueError, "the list is empty", queue.select, {})
    raises(_thread.ValueError, "non-negative", queue.select, { a }, -1)
  end)
end)

describe("the descriptor of a queue", function()
  local function readable(q)
    return _thread.wait_fd(q, "r", 0) == "r"
  end

  it("is readable while get would not wait", function()
    local kinds = { queue.SimpleQueue, queue.Queue, queue.LifoQueue, queue.PriorityQueue }
    for _, make in ipairs(kinds) do
      local q = make()
      q:put(1)
      local fileno = q:fileno()
      assert.equal(fileno, q:fileno())
      assert.is_true(readable(q))
      q:put(2)
      q:get()
      assert.is_true(readable(q))
      q:get()
      assert.is_false(readable(q))
      q:put_many { 1, 2, 3 }
      assert.is_true(readable(q))
      q:get_many()
      assert.is_false(readable(q))
      if q.shutdown then
        q:put(1)
        q:shutdown()
        q:get()
        assert.is_true(readable(q))
      end
    end
  end)

  it("is right after many threads have put and got", function()
    local q = queue.Queue(3)
    q:fileno()
    local function put(to) for i = 1, 1000 do to:put(i) end end
    local function get(from) for _ = 1, 1000 do from:get() end end
    local handles = {
      waiting.start(put, q), waiting.start(put, q), waiting.start(get, q), waiting.start(get, q),
    }
    for _, handle in ipairs(handles) do
      handle:result(threads.LONG)
    end
    assert.is_false(readable(q))
    q:put(1)
    assert.is_true(readable(q))
  end)

  it("wakes one who polls", function()
    local q = queue.Queue()
    local fileno = q:fileno()
    local handle = waiting.start(function(fd) return _thread.wait_fd(fd, "r") end, fileno)
    assert.is_true(waiting.blocks(handle))
    q:put(1)
    assert.equal("r", handle:result(threads.LONG))
  end)

  it("is closed with the queue", function()
    local q = queue.Queue()
    local fileno = q:fileno()
    q = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    raises(_thread.ValueError, "is not open", _thread.wait_fd, fileno, "r", 0)
  end)

  if not os.getenv "LTHREAD_SANITIZER" then -- whose allocators a fork may leave locked
    it("is another one in the child of a fork", function()
      assert.equal("exit 0\nnil\nr\nstatus 0\n", child [[
        local _thread = require "lthread"
        local native = require "support.native"
        local q = require "lthread.queue".Queue()
        q:fileno()
        local process = native.fork()
        if process == 0 then
          q:put(1)
          os.exit(_thread.wait_fd(q, "r", 0) == "r" and 0 or 1)
        end
        local how, number = native.wait(process)
        print(how .. " " .. number)
        print(_thread.wait_fd(q, "r", 0))
        q:put(1)
        print(_thread.wait_fd(q, "r", 0))
      ]])
    end)
  end
end)
