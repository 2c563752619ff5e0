local _thread = require "lthread"
local threading = require "lthread.threading"
local threads = require "support.threads"
local raised = require "support.raised"
local child = require "fixtures.child"

local Thread = threading.Thread

local function started(target, ...)
  local thread = Thread { target = target, args = table.pack(...) }
  thread:start()
  return thread
end

describe("a Thread", function()
  it("runs its target with its arguments, and has the results", function()
    local thread = Thread { target = function(...) return select("#", ...), ... end,
      args = { 1, nil, 3, n = 3 } }
    thread:start()
    assert.same({ 3, 1, nil, 3 }, { thread:result() })
    thread = Thread { target = function(...) return ... end, args = { 1 }, kwargs = { x = 2 } }
    thread:start()
    assert.same({ 1, { x = 2 } }, { thread:result() })
  end)

  it("goes through its states", function()
    local event = threading.Event()
    local thread = Thread { target = function() event:wait() end }
    assert.is_nil(thread.ident)
    assert.is_nil(thread.native_id)
    assert.is_false(thread:is_alive())
    assert.matches("initial", tostring(thread))
    thread:start()
    assert.is_true(thread:is_alive())
    assert.equal("integer", math.type(thread.ident))
    assert.matches("started", tostring(thread))
    assert.is_false(thread:join(0.01))
    event:set()
    assert.is_true(thread:join())
    assert.is_false(thread:is_alive())
    assert.matches("stopped", tostring(thread))
  end)

  it("is started once, and joined by others after that", function()
    local thread = Thread { target = function() return threading.current_thread():join() end,
      report = false }
    raised(_thread.RuntimeError, thread.join, thread)
    thread:start()
    local e = raised(_thread.RuntimeError, thread.start, thread)
    assert.matches("started once", e.message)
    e = raised(_thread.RuntimeError, thread.result, thread)
    assert.matches("Cannot join current thread", e.message)
  end)

  it("has a name of its own, or the one it is given", function()
    local one, two = Thread {}, Thread {}
    assert.matches("^Thread%-%d+$", one.name)
    assert.not_equal(one.name, two.name)
    local named = Thread { name = "worker", target = function()
      return threading.current_thread().name, _thread.enumerate()
    end }
    assert.equal("worker", named.name)
    named:start()
    local name, infos = named:result()
    assert.equal("worker", name)
    assert.equal("worker", infos[#infos].name)
    named.name = "retired"
    assert.equal("retired", named.name)
    raised(_thread.TypeError, function() named.name = 1 end)
  end)

  it("is a daemon as who makes it, unless it is told", function()
    assert.is_false(Thread {}.daemon)
    assert.is_true(Thread { daemon = true }.daemon)
    local daemon = Thread { daemon = true, target = function()
      return threading.Thread {}.daemon, threading.current_thread().daemon
    end }
    daemon:start()
    assert.same({ true, true }, { daemon:result() })
    raised(_thread.RuntimeError, function() daemon.daemon = false end)
    local thread = Thread {}
    thread.daemon = true
    assert.is_true(thread.daemon)
    raised(_thread.TypeError, function() thread.daemon = 1 end)
    raised(_thread.AttributeError, function() thread.ident = 1 end)
  end)

  it("is the same object in all threads, and in a thread the current one", function()
    local thread = started(function() return threading.current_thread() end)
    assert.equal(thread, (thread:result()))
    local other = started(function(t) return t, t.name end, thread)
    assert.equal(thread, (other:result()))
    assert.equal(thread.name, (select(2, other:result())))
  end)

  it("has fields that all threads see, and no others", function()
    local thread = Thread { target = function()
      local self = threading.current_thread()
      self.count = self.count + 1
    end }
    thread.count = 1
    thread:start()
    thread:join()
    assert.equal(2, thread.count)
    local e = raised(_thread.AttributeError, function() return thread.cuont end)
    assert.matches("cuont", e.message)
    assert.matches("thread_spec.lua", e.where)
  end)

  it("raises from result what it has died of, and is silent where it is told to be", function()
    local script = [[
      local threading = require "lthread.threading"
      local thread = threading.Thread { report = %s, target = function() error "the end" end }
      thread:start()
      print(pcall(thread.result, thread))
    ]]
    local silent, loud = child(script:format "false"), child(script:format "true")
    assert.matches("^false%s[^\n]*the end\nstatus 0\n$", silent)
    assert.matches("Exception in thread Thread%-1", loud)
  end)

  it("can be interrupted", function()
    local thread = Thread { report = false, target = function() while true do end end }
    thread:start()
    assert.is_true(thread:interrupt(_thread.ValueError))
    raised(_thread.ValueError, thread.result, thread)
    assert.is_false(thread:interrupt())
  end)

  it("says what is wrong with its options", function()
    for problem, options in pairs {
      ["no option 'targt'"] = { targt = print },
      ["name=}: string expected, got number"] = { name = 1 },
      ["daemon=}: boolean expected"] = { daemon = 1 },
      ["args=}: table expected"] = { args = 1 },
    } do
      local e = raised(_thread.TypeError, Thread, options)
      assert.truthy(e.message:find(problem, 1, true), e.message)
    end
    raised(_thread.TypeError, Thread, print)
    local thread = Thread { target = coroutine.create(print) }
    raised(_thread.TypeError, thread.start, thread)
    assert.is_false(thread:is_alive())
  end)

  it("with a target is started where it was made", function()
    local thread = Thread { target = print }
    local other = started(function(t) return pcall(t.start, t) end, thread)
    local ok, e = other:result()
    assert.is_false(ok)
    assert.matches("where it was made", e.message)
  end)

  it("keeps the main state from ending, unless it is a daemon", function()
    local script = [[
      local threading = require "lthread.threading"
      local _thread = require "lthread"
      local go = threading.Event()
      threading.Thread { daemon = %s, target = function()
        go:set()
        _thread.sleep(%s)
        print "slept"
      end }:start()
      go:wait()
      print "main"
    ]]
    assert.equal("main\nslept\nstatus 0\n", child(script:format("false", "0.05")))
    assert.equal("main\nstatus 0\n", child(script:format("true", "300")))
  end)
end)

describe("a class below Thread", function()
  local Worker = Thread:subclass "Worker"

  function Worker:run()
    self.answer = self:double(self.question)
    return self
  end

  function Worker.double(_, n) return n * 2 end

  it("has a run of its own, and methods, in its thread too", function()
    local worker = Worker { name = "w" }
    worker.question = 21
    worker:start()
    assert.equal(worker, (worker:result()))
    assert.equal(42, worker.answer)
    assert.equal(Worker, getmetatable((worker:result())))
    assert.matches("^<Worker%(w, stopped", tostring(worker))
  end)

  it("can be started by another thread than the one that has made it", function()
    local worker = Worker {}
    worker.question = 4
    started(function(w) w:start() w:join() end, worker):join()
    assert.equal(8, worker.answer)
  end)

  it("has classes below it", function()
    local Loud = Worker:subclass "Loud"
    function Loud.double(_, n) return n * 20 end
    local loud = Loud {}
    loud.question = 1
    loud:start()
    loud:join()
    assert.equal(20, loud.answer)
  end)

  it("has a name that is a string", function()
    raised(_thread.TypeError, Thread.subclass, Thread, 1)
  end)
end)

describe("the threads of threading", function()
  it("are listed as long as they are alive, the main one first", function()
    local event = threading.Event()
    local before = threading.active_count()
    local list = {}
    for i = 1, 5 do list[i] = started(function() event:wait() end) end
    local all = threading.enumerate()
    assert.equal(before + 5, threading.active_count())
    assert.equal(threading.main_thread(), all[1])
    local found = {}
    for _, thread in ipairs(all) do found[thread] = true end
    for _, thread in ipairs(list) do assert.is_true(found[thread]) end
    event:set()
    for _, thread in ipairs(list) do thread:join() end
    assert.is_true(threads.eventually(function() return #threading.enumerate() <= before end))
  end)

  it("have an object each, also where others have started them", function()
    local handle = _thread.start_joinable_thread(function()
      return threading.current_thread(), threading.main_thread()
    end, { name = "raw" })
    local thread, main = handle:result()
    assert.equal("raw", thread.name)
    assert.equal(handle.ident, thread.ident)
    assert.is_true(thread.daemon)
    assert.equal(threading.main_thread(), main)
    assert.equal("MainThread", main.name)
    assert.is_false(main.daemon)
    assert.is_true(main:is_alive())
  end)

  it("are told apart where many start and end at once", function()
    local starters = {}
    for i = 1, 4 do
      starters[i] = started(function()
        for _ = 1, 30 do
          local thread = threading.Thread { target = function()
            return threading.current_thread()
          end }
          thread:start()
          threading.enumerate()
          if thread:result() ~= thread then return "another one" end
        end
        return "the same"
      end)
    end
    for i = 1, 4 do assert.equal("the same", (starters[i]:result())) end
  end)
end)

describe("a Timer", function()
  it("calls its function after its time, with arguments", function()
    local begin = _thread.monotonic()
    local timer = threading.Timer(0.02, function(a, b) return a + b end, { 1, 2 })
    assert.equal(0.02, timer.interval)
    timer:start()
    assert.equal(3, (timer:result()))
    assert.is_true(_thread.monotonic() - begin >= 0.02)
    assert.is_true(_thread.isinstance(timer, _thread.shared))
  end)

  it("that is cancelled calls nothing", function()
    local box = _thread.shared { calls = 0 }
    local timer = threading.Timer(threads.LONG, function() _thread.add(box, "calls", 1) end)
    timer:start()
    timer:cancel()
    timer:join()
    assert.equal(0, box.calls)
    timer = threading.Timer(0, function() _thread.add(box, "calls", 1) end)
    timer:cancel()
    timer:start()
    timer:join()
    assert.equal(0, box.calls)
  end)

  it("wants a number of seconds", function()
    raised(_thread.TypeError, threading.Timer, "soon", print)
  end)
end)

describe("the module threading", function()
  it("has what threads share by its names in Python", function()
    assert.equal(_thread.LockType, threading.Lock)
    assert.equal(_thread._local, threading["local"])
    assert.equal(_thread._local, threading.Local)
    for _, name in ipairs { "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event",
      "Barrier", "BrokenBarrierError", "TIMEOUT_MAX" } do
      assert.equal(_thread[name], threading[name])
    end
  end)

  it("refuses to be changed, and names the way to set the hook", function()
    local e = raised(_thread.AttributeError, function() threading.excepthook = print end)
    assert.matches("set_excepthook", e.message)
    raised(_thread.AttributeError, function() threading.Thraed = print end)
  end)

  it("is found where there is no path to search", function()
    assert.matches("^table: .*status 0\n$", child [[
      package.path, package.cpath = "", package.cpath
      print(require "lthread.threading")
    ]])
  end)
end)
