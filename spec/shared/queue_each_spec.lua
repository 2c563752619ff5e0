-- queue:each(): loops over messages. queue:try_get(), and get_many() of all that is there.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start

setups.alone()
setups.quiet()

local Strike = _thread.Exception:subclass "Strike"

local function filled(...)
  local q = queue.Queue()
  for i = 1, select("#", ...) do q:put((select(i, ...))) end
  return q
end

-- All that a queue has been given is done, and no more than that.
local function assert_all_done(q)
  assert.is_true(q:join(0))
  raised(_thread.ValueError, q.task_done, q)
end

describe("each", function()
  for _, class in ipairs { queue.Queue, queue.LifoQueue, queue.PriorityQueue } do
    it("loops over the messages of a " .. class.__name__ .. " until it is shut down and empty",
      function()
        local q = class()
        for i = 1, 5 do q:put(i) end
        q:shutdown()
        local seen = {}
        for i, message in q:each() do seen[i] = message end
        local backward = class == queue.LifoQueue
        assert.same(backward and { 5, 4, 3, 2, 1 } or { 1, 2, 3, 4, 5 }, seen)
        for _ in q:each() do error "there is none" end
      end)
  end

  it("takes nil and false for messages like others", function()
    local q = filled(nil, false, nil)
    q:shutdown()
    local seen = {}
    for i, message in q:each() do seen[i] = tostring(message) end
    assert.same({ "nil", "false", "nil" }, seen)
  end)

  it("waits for messages, and ends when the queue is shut down meanwhile", function()
    local q = queue.Queue()
    local there = held()
    local handle = start(function()
      local seen = {}
      for i, message in q:each() do
        seen[i] = message.value
        there:release()
      end
      return seen
    end)
    for i = 1, 3 do
      assert.is_true(threads.await_blocked(handle.ident))
      q:put { value = i }
      assert.is_true(await(there))
    end
    assert.is_true(threads.await_blocked(handle.ident))
    q:shutdown()
    assert.same({ 1, 2, 3 }, threads.result(handle))
  end)

  it("loops over a SimpleQueue too, which is not shut down", function()
    local q = queue.SimpleQueue()
    q:put_many { 1, 2 }
    local sum = 0
    raised(queue.Empty, function()
      for _, message in q:each { timeout = 0 } do sum = sum + message end
    end)
    assert.equal(3, sum)
    local e = raised(_thread.TypeError, q.each, q, { task_done = true })
    assert.truthy(e.message:find("field 'task_done'", 1, true), e.message)
    assert.truthy(e.message:find("take a Queue", 1, true), e.message)
  end)

  it("raises Empty when no message comes in time, for each anew", function()
    local q = filled(1, 2)
    local rounds = 0
    raised(queue.Empty, function()
      for i in q:each { timeout = 0.001 } do rounds = i end
    end)
    assert.equal(2, rounds)
    raised(queue.Empty, function() for i in q:each(false, 0.001) do rounds = i end end)
    assert.equal(2, rounds)
  end)

  it("refuses wrong arguments", function()
    local q = queue.Queue()
    raised(_thread.TypeError, q.each, q, 5)
    raised(_thread.TypeError, q.each, q, { done = true })
    raised(_thread.TypeError, q.each, q, { timeout = "soon" })
    raised(_thread.ValueError, q.each, q, { timeout = -1 })
    raised(_thread.ValueError, q.each, q, { timeout = 0 / 0 })
    raised(_thread.OverflowError, q.each, q, { timeout = 1e300 })
    raised(_thread.TypeError, q.each)
    local iterator = q:each()
    raised(_thread.TypeError, iterator)
    raised(_thread.TypeError, iterator, q, 0)
    raised(_thread.TypeError, iterator, io.stdout, 0)
  end)

  it("raises what a message can't be received for, which is done then", function()
    package.preload.poisoned = function() return { member = {} } end
    local q = filled({ require "poisoned".member }, "next")
    package.preload.poisoned, package.loaded.poisoned = nil, nil
    raised(_thread.RuntimeError, function()
      for _ in q:each { task_done = true } do error "not reached" end
    end)
    for i, message in q:each { task_done = true } do
      assert.same({ 1, "next" }, { i, message })
      q:shutdown()
    end
    assert_all_done(q)
  end)

  it("shares the messages among threads, each of which ends", function()
    local COUNT <const> = 3000
    local q = queue.Queue(10)
    local function work()
      local sum, last = 0, 0
      for i, message in q:each { task_done = true } do
        assert(i == last + 1)
        last, sum = i, sum + message
      end
      return sum, last
    end
    local workers = {}
    for i = 1, 4 do workers[i] = start(work) end
    for i = 1, COUNT do q:put(i) end
    assert.is_true(q:join(threads.LONG))
    q:shutdown()
    local sum, rounds = 0, 0
    for _, worker in ipairs(workers) do
      local part, count = threads.result(worker)
      sum, rounds = sum + part, rounds + count
    end
    assert.equal(COUNT * (COUNT + 1) // 2, sum)
    assert.equal(COUNT, rounds)
    assert_all_done(q)
  end)

  it("can't cross to another thread", function()
    local _, loop = queue.Queue():each()
    raised(_thread.TypeError, start, function() end, loop)
  end)
end)

describe("each with task_done", function()
  local function rounds_of(q, f)
    for i, message in q:each { task_done = true } do f(i, message) end
  end

  it("says so at the end of each round, and not before", function()
    local q = filled("a", "b")
    rounds_of(q, function(i)
      assert.is_false(q:join(0))
      if i == 2 then q:shutdown() end
    end)
    assert_all_done(q)
  end)

  local ways_out = {
    ["break"] = function(q)
      for i in q:each { task_done = true } do
        if i == 1 then break end
      end
    end,
    ["return"] = function(q)
      local function f()
        for i, message in q:each { task_done = true } do
          if i == 1 then return message end
        end
      end
      assert.equal("a", f())
    end,
    ["goto"] = function(q)
      for i in q:each { task_done = true } do
        if i == 1 then goto out end
      end
      ::out::
    end,
    ["an error"] = function(q)
      local ok, e = pcall(rounds_of, q, function() error("wrong", 0) end)
      assert.same({ false, "wrong" }, { ok, e })
    end,
    ["an error in a coroutine"] = function(q)
      assert.is_false(pcall(coroutine.wrap(rounds_of), q, error))
    end,
    ["coroutine.close"] = function(q)
      local co = coroutine.create(rounds_of)
      assert(coroutine.resume(co, q, coroutine.yield))
      assert.is_false(q:join(0))
      assert(coroutine.close(co))
    end,
    ["a coroutine that is dropped"] = function(q)
      coroutine.wrap(rounds_of)(q, coroutine.yield)
      collectgarbage()
      collectgarbage()
    end,
    ["an interrupt of its own"] = function(q)
      local first = q:get()
      q:task_done()
      q:put(first)
      raised(_thread.KeyboardInterrupt, rounds_of, q, function()
        _thread.interrupt_main()
        for _ = 1, 1000000 do end
      end)
    end,
    ["SystemExit at the end of a thread"] = function(q)
      local there = held()
      local handle = start(function()
        for _ in q:each { task_done = true } do
          there:release()
          _thread.sleep(threads.LONG)
        end
      end)
      assert.is_true(await(there))
      handle:interrupt()
      threads.ended_by(_thread.SystemExit, handle)
    end,
    ["the end of a thread in its round"] = function(q)
      start(function()
        local iterator, loop = q:each { task_done = true }
        iterator(loop, 0)
        package.loaded.kept = loop
      end):join()
    end,
  }

  for way, f in pairs(ways_out) do
    it("says so once where the loop ends by " .. way, function()
      local q = filled("a", "b")
      f(q)
      assert.equal(1, q:qsize())
      assert.is_false(q:join(0))
      q:get()
      q:task_done()
      assert_all_done(q)
    end)
  end

  it("says so for messages of loops within each other", function()
    local outer, inner = filled(1, 2, 3), filled(1, 2, 3)
    for i in outer:each { task_done = true } do
      for k in inner:each { task_done = true } do
        if k == 1 then break end
      end
      if i == 2 then break end
    end
    outer:get() outer:task_done()
    inner:get() inner:task_done()
    assert_all_done(outer)
    assert_all_done(inner)
  end)

  it("raises where the round has said so itself", function()
    local q = filled(1)
    raised(_thread.ValueError, rounds_of, q, function() q:task_done() end)
    q = filled(1)
    raised(_thread.ValueError, function()
      for i in q:each { task_done = true } do
        q:task_done()
        if i == 1 then break end
      end
    end)
  end)

  it("counts a message that is in a round when the queue is shut down at once", function()
    local q = filled(1, 2, 3)
    rounds_of(q, function() q:shutdown { immediate = true } end)
    assert_all_done(q)
  end)
end)

describe("interrupts of a loop over a queue", function()
  -- The first instruction of a round keeps the message, so it is known of each what became of it.
  for _, small in ipairs { true, false } do
    it("lose no message, and count each as done: " .. (small and "small" or "large"), function()
      local STRIKES <const> = os.getenv "LTHREAD_SANITIZER" and 500 or 3000
      local q, given, there = queue.Queue(), queue.SimpleQueue(), held()
      local function work()
        local current
        local _ <close> = setmetatable({}, { __close = function()
          if current then given:put(current) end
        end })
        there:release()
        for _, message in q:each { task_done = true } do
          current = message
          _thread.shield(function()
            given:put(current)
            current = nil
          end)
        end
      end
      -- A worker that were struck while it begins would never come to a round.
      local function begin()
        local worker = start(work)
        assert.is_true(await(there))
        return worker
      end
      local worker, strikes, count = begin(), 0, 0
      while strikes < STRIKES or given:empty() do
        for _ = 1, 1 + strikes % 8 do
          count = count + 1
          q:put(small and count or { count })
        end
        if worker:interrupt(Strike) then
          strikes = strikes + 1
        end
        if worker:is_done() then worker = begin() end
      end
      q:shutdown()
      worker:join()
      for _ in q:each { task_done = true } do count = count - 1 end
      assert_all_done(q)
      local seen = {}
      for _, message in ipairs(given:get_many { timeout = 0 }) do
        local i = small and message or message[1]
        assert.is_nil(seen[i])
        seen[i] = true
        count = count - 1
      end
      assert.equal(0, count)
    end)
  end

  -- The interrupt is pending when the message has been made: a tail call of a function in C is the
  -- last that the module does.
  it("let it reach the variable that the round's first instruction assigns it to", function()
    package.loaded.striking = { member = {} }
    finally(function() package.preload.striking, package.loaded.striking = nil, nil end)
    package.preload.striking = function()
      return _thread.shield(function()
        _thread.interrupt(_thread.get_ident(), Strike)
        return { member = { "made" } }
      end)
    end
    local q = filled { package.loaded.striking.member }
    local got, e = threads.call(function()
      local got
      local _, e = pcall(function()
        for _, message in q:each() do
          got = message
          got = "not interrupted"
        end
      end)
      return got and got[1][1], e
    end)
    assert.is_true(_thread.isinstance(e, Strike))
    assert.equal("made", got)
  end)

  -- Its module waits when it is loaded for the first time, and is interrupted there.
  for kind, fill in pairs {
    Queue = function(q, poison) q:put_many { poison, { "next" } } end,
    LifoQueue = function(q, poison) q:put_many { { "next" }, poison } end,
    PriorityQueue = function(q, poison)
      local key = ("key"):rep(20)
      q:put_many { { key, poison[1] }, { key, "next" } }
    end,
  } do
    for how, get in pairs {
      each = function(q) for _ in q:each { task_done = true } do error "not reached" end end,
      get = function(q) return q:get() end,
      try_get = function(q) return q:try_get() end,
      get_many = function(q) return q:get_many() end,
    } do
      it("leave a message in a " .. kind .. " whose value is being made by " .. how, function()
        local at, never = held(), held()
        package.loaded.slow = { member = {} }
        finally(function() package.preload.slow, package.loaded.slow = nil, nil end)
        package.preload.slow = function()
          at:release()
          never:acquire()
        end
        local q = queue[kind]()
        fill(q, { package.loaded.slow.member })
        local handle = start(get, q)
        assert.is_true(await(at))
        handle:interrupt(Strike)
        threads.ended_by(Strike, handle)
        local messages = q:get_many()
        assert.equal(2, messages.n)
        assert.equal(package.loaded.slow.member, messages[1][#messages[1]])
        q:task_done()
        q:task_done()
        assert_all_done(q)
      end)
    end
  end
end)

describe("a loop over a queue", function()
  it("ends with its runtime", function()
    assert.equal("closed\nstatus 0\n", child [[
      local _thread = require "lthread"
      local q = require "lthread.queue".Queue()
      local there = _thread.allocate_lock()
      there:acquire()
      _thread.start_new_thread(function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        for _ in q:each { task_done = true } do there:release() end
      end, {})
      q:put(1)
      there:acquire()
      local own = require "lthread.queue".Queue()
      KEPT = { own:each { task_done = true } }
      own:put(2)
      KEPT[1](KEPT[2], 0)
    ]])
  end)
end)

describe("try_get", function()
  it("returns true and a message, or false", function()
    local q = filled(1, nil, false)
    assert.same({ true, 1 }, { q:try_get() })
    assert.same(table.pack(true, nil), table.pack(q:try_get()))
    assert.same({ true, false }, { q:try_get() })
    assert.same(table.pack(false), table.pack(q:try_get()))
    assert.same({ false }, { queue.SimpleQueue():try_get() })
  end)

  it("raises ShutDown only", function()
    local q = filled(1)
    q:shutdown()
    assert.same({ true, 1 }, { q:try_get() })
    raised(queue.ShutDown, q.try_get, q)
    raised(_thread.TypeError, q.try_get, q, 5)
    raised(_thread.TypeError, q.try_get)
  end)
end)

describe("get_many without a number", function()
  it("takes all that is there", function()
    local q = queue.Queue()
    local many = {}
    for i = 1, 10000 do many[i] = i end
    q:put_many(many)
    many.n = #many
    assert.same(many, q:get_many())
    assert.is_true(q:empty())
    assert.same({ n = 0 }, q:get_many(nil, 0))
    q:put "one"
    assert.same({ "one", n = 1 }, q:get_many { timeout = 0 })
  end)

  it("waits for the first", function()
    local q = queue.SimpleQueue()
    local handle = start(function() return q:get_many() end)
    assert.is_true(threads.await_blocked(handle.ident))
    q:put "first"
    assert.same({ "first", n = 1 }, threads.result(handle))
  end)
end)
