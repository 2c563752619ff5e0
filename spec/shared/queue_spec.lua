local _thread = require "lthread"
local queue = require "lthread.queue"
local raised = require "support.raised"
local waiting = require "support.waiting"

local start, blocks = waiting.start, waiting.blocks

describe("the module lthread.queue", function()
  it("has Python's names", function()
    local names = {}
    for name in pairs(queue) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown",
      "SimpleQueue", "select" }, names)
  end)

  it("is the same in a thread, where it needs no search", function()
    local same, q = start(function()
      package.path, package.cpath = "", ""
      local module = require "lthread.queue"
      return module.Empty == queue.Empty and module.Queue == queue.Queue, module.Queue()
    end):result()
    assert.is_true(same)
    assert.is_true(_thread.isinstance(q, queue.Queue))
  end)

  it("has exceptions below Exception", function()
    for _, name in ipairs { "Empty", "Full", "ShutDown" } do
      assert.equal(_thread.Exception, queue[name].__base__)
      assert.equal(name, queue[name].__name__)
    end
  end)

  it("has kinds that are a Queue, and a SimpleQueue that is none", function()
    local isinstance = _thread.isinstance
    assert.is_true(isinstance(queue.LifoQueue(), queue.Queue))
    assert.is_true(isinstance(queue.PriorityQueue(), queue.Queue))
    assert.is_false(isinstance(queue.Queue(), queue.LifoQueue))
    assert.is_false(isinstance(queue.SimpleQueue(), queue.Queue))
    assert.is_true(isinstance(queue.SimpleQueue(), queue.SimpleQueue))
  end)
end)

for _, class in ipairs { queue.SimpleQueue, queue.Queue, queue.LifoQueue } do
  describe("any " .. class.__name__, function()
    local q

    before_each(function()
      q = class()
    end)

    it("says what it is in its string", function()
      q:put(1)
      assert.matches("^<" .. class.__name__:gsub("%.", "%%.") ..
        " object qsize=1 maxsize=0 at 0?x?%x+>$", tostring(q))
    end)

    it("gives back what was put, of any type", function()
      local shared, lock = {}, _thread.allocate_lock()
      shared.self = shared
      local light = select(2, pcall(debug.upvalueid, function() return shared end, 1))
      for _, value in ipairs { true, false, 0, -1, math.mininteger, 0.0, 1.5, math.huge, "",
        "short", ("x"):rep(14), ("x"):rep(15), ("long\0"):rep(1000),
        light, lock, q, string.format } do
        q:put(value)
        local back = q:get()
        assert.equal(value, back)
        assert.equal(math.type(value), math.type(back))
      end
      q:put(shared)
      local back = q:get()
      assert.is_true(back ~= shared and back.self == back)
      q:put(function() return lock end)
      assert.equal(lock, q:get()())
    end)

    it("has nil for a message", function()
      q:put(nil)
      assert.equal(1, q:qsize())
      assert.equal(1, select("#", q:get()))
      q:put(nil)
      assert.is_nil(q:get_nowait())
      raised(queue.Empty, q.get_nowait, q)
    end)

    it("counts its messages", function()
      assert.equal(0, q:qsize())
      assert.is_true(q:empty())
      for i = 1, 1000 do
        q:put(i)
        assert.equal(i, q:qsize())
      end
      assert.is_false(q:empty())
      for i = 999, 0, -1 do
        q:get()
        assert.equal(i, q:qsize())
      end
      assert.is_true(q:empty())
    end)

    it("raises Empty where there is nothing, at once or when the time is up", function()
      local e = raised(queue.Empty, q.get_nowait, q)
      assert.matches("the queue is empty", tostring(e))
      raised(queue.Empty, q.get, q, false)
      raised(queue.Empty, q.get, q, 0)
      raised(queue.Empty, q.get, q, { block = false })
      raised(queue.Empty, q.get, q, true, 0)
      raised(queue.Empty, q.get, q, true, 0.001)
      local begin = _thread.monotonic()
      raised(queue.Empty, q.get, q, { timeout = 0.02 })
      assert.is_true(_thread.monotonic() - begin >= 0.02)
    end)

    it("refuses a wrong timeout, but ignores it without block", function()
      local e = raised(_thread.ValueError, q.get, q, true, -1)
      assert.matches("'timeout' must be a non%-negative number", e.message)
      raised(_thread.ValueError, q.get, q, { timeout = -0.5 })
      raised(_thread.ValueError, q.get, q, true, 0 / 0)
      raised(_thread.OverflowError, q.get, q, true, 1e300)
      raised(_thread.TypeError, q.get, q, true, "soon")
      raised(_thread.TypeError, q.get, q, { time = 1 })
      raised(_thread.ValueError, q.put, q, 1, true, -1)
      raised(queue.Empty, q.get, q, false, -1)
      raised(_thread.ValueError, q.get_many, q, 1, -1)
      assert.equal(0, q:qsize())
    end)

    it("refuses what is no message or no queue", function()
      raised(_thread.TypeError, q.put, q)
      raised(_thread.TypeError, q.put, {}, 1)
      raised(_thread.TypeError, q.get)
      raised(_thread.TypeError, q.get, _thread.allocate_lock())
      raised(_thread.TypeError, q.get, io.stdout)
    end)

    it("is unchanged by what can't be transferred", function()
      local function refuses_a_coroutine(path, put, message)
        assert.equal(("cannot transfer a coroutine (%s); send its function and create it there")
          :format(path), raised(_thread.TypeError, put, q, message).message)
      end
      refuses_a_coroutine("message.job.co", q.put, { job = { co = coroutine.create(print) } })
      local list = { 1, "two", ("x"):rep(100), { 4 }, coroutine.create(print) }
      refuses_a_coroutine("list[5]", q.put_many, list)
      list[3] = { name = { coroutine.create(print) } }
      refuses_a_coroutine("list[3].name[1]", q.put_many, list)
      assert.equal(0, q:qsize())
    end)

    it("copies a message when it is put", function()
      local message = { 1 }
      q:put(message)
      message[1] = 2
      assert.same({ 1 }, q:get())
    end)

    it("is the same queue in every thread, and in its own messages", function()
      q:put(q)
      local seen, inner = start(function()
        local got = q:get()
        got:put "from the thread"
        return q, got == q
      end):result()
      assert.equal(q, seen)
      assert.is_true(inner)
      assert.equal("from the thread", q:get())
    end)

    it("makes get wait for a put", function()
      local getter = start(function() return q:get() end)
      assert.is_true(blocks(getter))
      q:put "here"
      assert.equal("here", getter:result())
    end)

    it("makes get with a timeout wait for a put", function()
      local getter = start(function() return q:get { timeout = 60 } end)
      assert.is_true(blocks(getter))
      q:put "here"
      assert.equal("here", getter:result())
    end)

    it("wakes as many as there are messages", function()
      local getters = {}
      for i = 1, 5 do
        getters[i] = start(function() return q:get() end)
      end
      for i = 1, 5 do
        assert.is_true(blocks(getters[i]))
      end
      q:put_many { 1, 2, 3, 4, 5 }
      local sum = 0
      for i = 1, 5 do
        sum = sum + getters[i]:result()
      end
      assert.equal(15, sum)
    end)

    it("puts and gets many at once", function()
      local list = {}
      for i = 1, 1000 do
        list[i] = i % 3 == 0 and { i } or i % 3 == 1 and i or tostring(i)
      end
      q:put_many(list)
      assert.equal(1000, q:qsize())
      local first, rest = q:get_many(10), q:get_many(5000)
      assert.equal(10, first.n)
      assert.equal(10, #first)
      assert.equal(990, rest.n)
      assert.equal(0, q:qsize())
      assert.equal(0, q:get_many(10, 0).n)
      assert.equal(0, q:get_many { max = 10, timeout = 0.001 }.n)
      q:put_many {}
      assert.is_true(q:empty())
    end)

    it("has nil among many", function()
      q:put_many { n = 3 }
      local list = q:get_many(10)
      assert.equal(3, list.n)
      assert.equal(0, #list)
    end)

    it("makes get_many wait for the first message only", function()
      local getter = start(function() return q:get_many(10) end)
      assert.is_true(blocks(getter))
      q:put "one"
      assert.same({ "one", n = 1 }, getter:result())
    end)

    it("refuses a wrong number", function()
      raised(_thread.ValueError, q.get_many, q, 0)
      raised(_thread.TypeError, q.get_many, q, 1.5)
      raised(_thread.TypeError, q.put_many, q)
      raised(_thread.TypeError, q.put_many, q, { n = -1 })
      raised(_thread.TypeError, q.put_many, q, { n = "many" })
    end)

    describe("with a message that can't be received", function()
      local function poison()
        package.preload.poisoned = function()
          return { member = {} }
        end
        q:put { require "poisoned".member }
        package.preload.poisoned = nil
        package.loaded.poisoned = nil
      end

      it("raises in the receiver and goes on", function()
        poison()
        local e = raised(_thread.RuntimeError, q.get, q)
        assert.matches("cannot receive poisoned", e.message)
        assert.equal(0, q:qsize())
        q:put "next"
        assert.equal("next", q:get())
      end)

      it("counts it as done", function()
        if not q.join then
          return
        end
        poison()
        assert.is_false(q:join(0))
        pcall(q.get, q)
        assert.is_true(q:join(0))
        raised(_thread.ValueError, q.task_done, q)
      end)

      it("gives back what get_many took besides", function()
        q:put_many { 1, ("x"):rep(100), { 2 } }
        poison()
        q:put_many { 3, 4 }
        raised(_thread.RuntimeError, q.get_many, q, 10)
        local left = q:get_many(10)
        if class == queue.LifoQueue then
          assert.same({ 4, 3, { 2 }, ("x"):rep(100), 1, n = 5 }, left)
        else
          assert.same({ 1, ("x"):rep(100), { 2 }, 3, 4, n = 5 }, left)
        end
        q:put(5)
        assert.equal(5, q:get())
      end)

      it("wakes others for what get_many gives back", function()
        poison()
        q:put "good"
        pcall(q.get_many, q, 10)
        assert.equal("good", start(function() return q:get() end):result())
      end)
    end)

    it("keeps what its messages refer to, and lets it go with itself", function()
      local finalized
      do
        local inner = class()
        inner:put "deep"
        q:put { inner }
        q:put(inner)
      end
      collectgarbage()
      collectgarbage()
      local list = q:get_many(2)
      finalized = class == queue.LifoQueue and list[1] or list[2]
      assert.equal("deep", finalized:get())
    end)

    it("is freed when queues are nested very deep", function()
      local outer = class()
      for _ = 1, 100000 do
        local next_outer = class()
        next_outer:put(outer)
        outer = next_outer
      end
      outer = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
    end)
  end)
end

describe("a SimpleQueue", function()
  it("gives in the order of putting", function()
    local q = queue.SimpleQueue()
    for i = 1, 2000 do
      q:put(i)
    end
    for i = 1, 1000 do
      assert.equal(i, q:get())
    end
    q:put_many { 2001, 2002 }
    for i = 1001, 2002 do
      assert.equal(i, q:get())
    end
  end)

  it("ignores block and timeout of put, as it never waits", function()
    local q = queue.SimpleQueue()
    q:put(1, false)
    q:put(2, { block = true, timeout = 1 })
    q:put_nowait(3)
    assert.same({ 1, 2, 3, n = 3 }, q:get_many(9))
  end)

  it("lacks what Python's lacks", function()
    local q = queue.SimpleQueue()
    for _, name in ipairs { "full", "task_done", "join", "shutdown" } do
      assert.is_nil(q[name])
    end
  end)
end)

describe("a process", function()
  local child = require "fixtures.child"

  it("may require the queues first", function()
    assert.equal("7\nstatus 0\n", child [[
      local q = require "lthread.queue".SimpleQueue()
      q:put(7)
      print(q:get())
    ]])
  end)

  it("may end with messages in queues, and with queues in messages", function()
    assert.equal("status 0\n", child [[
      require "lthread"
      local queue = require "lthread.queue"
      local q = queue.Queue()
      for i = 1, 1000 do q:put { i, ("x"):rep(i), queue.LifoQueue() } end
    ]])
  end)
end)
