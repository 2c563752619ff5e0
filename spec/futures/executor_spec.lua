local _thread = require "lthread"
local futures = require "lthread.futures"
local threads = require "support.threads"
local raised = require "support.raised"
local child = require "fixtures.child"

local ThreadPoolExecutor = futures.ThreadPoolExecutor

describe("a ThreadPoolExecutor", function()
  local pool

  before_each(function() pool = ThreadPoolExecutor { max_workers = 3 } end)
  after_each(function() pool:shutdown() end)

  it("runs what is submitted, with arguments and results", function()
    local future = pool:submit(function(...) return select("#", ...), ... end, 1, nil, 3, nil)
    assert.same({ 4, 1, nil, 3, nil }, { future:result() })
    local text = ("x"):rep(100000)
    assert.equal(text, (pool:submit(function(t) return t end, text):result()))
  end)

  it("has what a task raises, with the traceback of its thread, and does not print it", function()
    local output = child [[
      local futures = require "lthread.futures"
      local pool <close> = futures.ThreadPoolExecutor()
      local function deep() error "too deep" end
      local future = pool:submit(function() deep() end)
      print(pcall(future.result, future))
      print(future:traceback():find "in upvalue 'deep'" ~= nil)
    ]]
    assert.matches("^false\t[^\n]*too deep\ntrue\nstatus 0\n$", output)
    local future = pool:submit(function() error { code = 7 } end)
    assert.equal(7, future:exception().code)
    assert.equal("string", type(future:traceback()))
  end)

  it("says what can't be called or sent", function()
    raised(_thread.TypeError, pool.submit, pool)
    raised(_thread.TypeError, pool.submit, pool, 42)
    local e = raised(_thread.TypeError, pool.submit, pool, print, coroutine.create(print))
    assert.matches("argument 1", e.message)
    local future = pool:submit(function() return coroutine.create(print) end)
    raised(_thread.TypeError, future.result, future)
  end)

  it("takes the globals of the moment of submit, and leaves the others", function()
    -- luacheck: globals EXECUTOR_LIMIT EXECUTOR_OWN
    local function initialize() EXECUTOR_OWN = "own" end
    local one = ThreadPoolExecutor { max_workers = 1, initializer = initialize }
    finally(function() one:shutdown() EXECUTOR_LIMIT = nil end)
    for limit = 1, 3 do
      EXECUTOR_LIMIT = limit
      local future = one:submit(function() return EXECUTOR_LIMIT, EXECUTOR_OWN end)
      EXECUTOR_LIMIT = "later"
      assert.same({ limit, "own" }, { future:result() })
    end
  end)

  it("starts threads as they are needed, and no more than it may", function()
    local first
    for _ = 1, 5 do
      local ident = pool:submit(_thread.get_ident):result()
      first = first or ident
      assert.equal(first, ident)
      assert.is_true(threads.await_blocked(ident))
    end
    local event, running = _thread.Event(), {}
    local box = _thread.shared { most = 0, now = 0 }
    for i = 1, 10 do
      running[i] = pool:submit(function()
        local now = _thread.add(box, "now", 1)
        _thread.update(box, "most", function(most) return math.max(most, now) end)
        event:wait()
        _thread.add(box, "now", -1)
      end)
    end
    assert.is_true(threads.eventually(function() return box.now == 3 end))
    event:set()
    futures.wait(running)
    assert.equal(3, box.most)
  end)

  it("calls the initializer once in each thread", function()
    -- luacheck: globals SUM
    local box = _thread.shared { calls = 0 }
    local prepared = ThreadPoolExecutor {
      max_workers = 2, thread_name_prefix = "prepared", initargs = { 5, 6 },
      initializer = function(a, b)
        SUM = a + b
        _thread.add(box, "calls", 1)
      end,
    }
    local event, list = _thread.Event(), {}
    for i = 1, 2 do list[i] = prepared:submit(function() event:wait() return SUM end) end
    event:set()
    for i = 1, 2 do assert.equal(11, (list[i]:result())) end
    prepared:shutdown()
    assert.equal(2, box.calls)
  end)

  it("is broken where an initializer fails", function()
    threads.quiet(finally)
    local function fail() error "no good" end
    local broken = ThreadPoolExecutor { max_workers = 1, initializer = fail }
    local future = broken:submit(print, 1)
    local e = raised(futures.BrokenThreadPool, future.result, future)
    assert.matches("no good", e.message)
    assert.is_true(_thread.isinstance(e, futures.BrokenExecutor))
    assert.is_true(threads.eventually(function()
      return not pcall(broken.submit, broken, print)
    end))
    raised(futures.BrokenThreadPool, broken.submit, broken, print)
    broken:shutdown()
  end)

  it("is the same one in all threads, and its tasks may use it", function()
    local handle = threads.start(function(p)
      return p, p:submit(function() return 1 end):result()
    end, pool)
    local same, one = handle:result()
    assert.equal(pool, same)
    assert.equal(1, one)
    local future = pool:submit(function()
      return pool:submit(function() return "inner" end):result()
    end)
    assert.equal("inner", (future:result()))
  end)

  it("takes nothing after shutdown, and does what it has", function()
    local event, list = _thread.Event(), {}
    for i = 1, 6 do list[i] = pool:submit(function() event:wait() return i end) end
    pool:shutdown { wait = false }
    local e = raised(_thread.RuntimeError, pool.submit, pool, print)
    assert.equal("cannot schedule new futures after shutdown", e.message)
    event:set()
    pool:shutdown()
    for i = 1, 6 do assert.is_true(list[i]:done()) assert.equal(i, (list[i]:result())) end
  end)

  it("cancels what has not begun, if it is told to", function()
    local one, event = ThreadPoolExecutor { max_workers = 1 }, _thread.Event()
    local first = one:submit(function() event:wait() return "first" end)
    assert.is_true(threads.eventually(function() return first:running() end))
    local rest = {}
    for i = 1, 3 do rest[i] = one:submit(print, i) end
    one:shutdown { wait = false, cancel_futures = true }
    for i = 1, 3 do assert.is_true(rest[i]:cancelled()) end
    event:set()
    assert.equal("first", (first:result()))
    one:shutdown()
  end)

  it("is shut down at the end of its scope, after an error with tasks cancelled", function()
    local list, event = {}, _thread.Event()
    do
      local scoped <close> = ThreadPoolExecutor { max_workers = 1 }
      for i = 1, 3 do list[i] = scoped:submit(function() return i end) end
    end
    for i = 1, 3 do assert.is_true(list[i]:done()) end
    list = {}
    local ok = pcall(function()
      local scoped <close> = ThreadPoolExecutor { max_workers = 1 }
      for i = 1, 3 do list[i] = scoped:submit(function() event:wait(threads.LONG) end) end
      threads.eventually(function() return list[1]:running() end)
      pool:submit(function()
        threads.eventually(function() return list[3]:done() end)
        event:set()
      end)
      error "leave"
    end)
    assert.is_false(ok)
    assert.is_true(list[2]:cancelled())
    assert.is_true(list[3]:cancelled())
    assert.is_false(list[1]:cancelled())
  end)

  it("does what was submitted before the main state ends, in the right order", function()
    local script = [[
      local futures, _thread = require "lthread.futures", require "lthread"
      local pool = futures.ThreadPoolExecutor { max_workers = 1 %s }
      local going = _thread.Event()
      pool:submit(function() going:set() _thread.sleep(0.05) print "one" end)
      pool:submit(function() print "two" end)
      pool:submit(function() print(pcall(pool.submit, pool, print)) end)
      going:wait()
      print "main"
    ]]
    local output = child(script:format "")
    assert.matches("^main\none\ntwo\nfalse\t[^\n]*after interpreter shutdown\nstatus 0\n$", output)
    assert.equal("main\none\nstatus 0\n", child(script:format ', on_exit = "cancel"'))
  end)

  it("that nobody has lets its threads end when its tasks are done", function()
    local output = child [[
      local futures, _thread = require "lthread.futures", require "lthread"
      local box = _thread.shared { done = 0 }
      do
        local pool = futures.ThreadPoolExecutor { max_workers = 2 }
        for _ = 1, 5 do pool:submit(function() _thread.add(box, "done", 1) end) end
      end
      for _ = 1, 3000 do
        collectgarbage()
        if _thread._count() == 0 then break end
        _thread.sleep(0.01)
      end
      print(box.done, _thread._count())
    ]]
    assert.equal("5\t0\nstatus 0\n", output)
  end)

  it("says what is wrong with its options", function()
    raised(_thread.ValueError, ThreadPoolExecutor, { max_workers = 0 })
    raised(_thread.TypeError, ThreadPoolExecutor, { max_workers = "many" })
    raised(_thread.TypeError, ThreadPoolExecutor, { workers = 1 })
    raised(_thread.ValueError, ThreadPoolExecutor, { on_exit = "explode" })
    raised(_thread.TypeError, pool.shutdown, pool, { wiat = true })
  end)
end)

describe("a task that is interrupted", function()
  it("fails alone: no other task gets it", function()
    local pool <close> = ThreadPoolExecutor { max_workers = 1 }
    local spinning = pool:submit(function() while true do end end)
    assert.is_true(threads.eventually(function() return spinning:running() end))
    assert.is_true(spinning:interrupt(_thread.ValueError "enough"))
    assert.equal("enough", raised(_thread.ValueError, spinning.result, spinning).message)
    assert.equal(1, (pool:submit(function() return 1 end):result()))
    assert.is_false(spinning:interrupt())
  end)

  it("may end at that very moment, and the next one is left alone", function()
    local ROUNDS <const> = os.getenv "LTHREAD_SANITIZER" and 300 or 2000
    local pool <close> = ThreadPoolExecutor { max_workers = 1 }
    local hit = 0
    for i = 1, ROUNDS do
      local victim = pool:submit(function() return "through" end)
      local next_one = pool:submit(function(n) return n end, i)
      while not victim:done() and not victim:interrupt(_thread.ValueError) do end
      if victim:exception() then hit = hit + 1 end
      assert.equal(i, (next_one:result()))
    end
    assert.is_true(hit <= ROUNDS)
  end)

  it("for want of memory fails alone", function()
    local pool <close> = ThreadPoolExecutor { max_workers = 1 }
    local future = pool:submit(function() return ("x"):rep(1 << 62) end)
    assert.is_truthy(future:exception())
    assert.equal(1, (pool:submit(function() return 1 end):result()))
  end)
end)

describe("a task of futures.task", function()
  it("is packed once, and has a function in each thread, whose variables last", function()
    local count = 0
    local task = futures.task(function() count = count + 1 return count end)
    local pool <close> = ThreadPoolExecutor { max_workers = 1 }
    for i = 1, 3 do assert.equal(i, (pool:submit(task):result())) end
    assert.equal(1, task())
    assert.equal(2, task())
    assert.equal(0, count)
    assert.equal(1, (threads.call(function() return task() end)))
    raised(_thread.TypeError, futures.task, 1)
  end)
end)

describe("_register_atexit", function()
  it("has functions called at the end, the last one first, before threads end", function()
    local output = child [[
      local _thread = require "lthread"
      local stop = _thread.Event()
      _thread.start_joinable_thread(function() stop:wait() print "thread" end, { daemon = false })
      _thread._register_atexit(function() print "first" stop:set() end)
      _thread.start_joinable_thread(function()
        _thread._register_atexit(function() print "second" end)
      end):join()
      _thread._register_atexit(function() error "third" end)
      _thread._register_atexit(function()
        print(pcall(_thread._register_atexit, print))
      end)
      print "main"
    ]]
    local order = "^main\nfalse\t[^\n]*after shutdown\n.*third.*second\nfirst\nthread\nstatus 0\n$"
    assert.matches(order, output)
    raised(_thread.TypeError, _thread._register_atexit, 1)
  end)
end)
