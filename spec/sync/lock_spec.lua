local _thread = require "lthread"
local child = require "fixtures.child"
local raised = require "support.raised"
local waiting = require "support.waiting"
local LONG = require "support.threads".LONG

local isinstance = _thread.isinstance
local start, blocks = waiting.start, waiting.blocks

local function acquire_and_release(lock)
  local acquired = lock:acquire()
  lock:release()
  return acquired
end

for _, class in ipairs { _thread.LockType, _thread.RLock } do
  local new, name = class, class.__name__:match("%w+$")

  describe("any " .. name, function()
    local lock

    -- Another thread's attempt to acquire the lock; it keeps nothing.
    local function is_free()
      return start(function()
        local acquired = lock:acquire(false)
        if acquired then
          lock:release()
        end
        return acquired
      end):result()
    end

    before_each(function()
      lock = new()
    end)

    it("is unlocked when it is new", function()
      assert.is_false(lock:locked())
      assert.is_true(is_free())
    end)

    it("is locked between acquire and release", function()
      assert.is_true(lock:acquire())
      assert.is_true(lock:locked())
      assert.is_false(is_free())
      assert.equal(0, select("#", lock:release()))
      assert.is_false(lock:locked())
      assert.is_true(is_free())
    end)

    it("says in its string whether it is locked", function()
      local pattern = "^<%s _thread%%.%s object .*at 0x%%x+>$"
      assert.matches(pattern:format("unlocked", name), tostring(lock))
      lock:acquire()
      assert.matches(pattern:format("locked", name), tostring(lock))
      lock:release()
      assert.matches(pattern:format("unlocked", name), tostring(lock))
    end)

    it("is acquired without waiting while it is free", function()
      for _, flag in ipairs { false, 0, 0.0, true, 1 } do
        assert.is_true(lock:acquire(flag))
        lock:release()
      end
    end)

    it("is not waited for with a flag of false or zero", function()
      lock:acquire()
      assert.same({ false, false, false, false }, {
        start(function()
          return lock:acquire(false), lock:acquire(0), lock:acquire { blocking = false },
            lock:acquire { waitflag = 0 }
        end):result(),
      })
    end)

    it("lets all waiting threads through one after the other", function()
      local threads = {}
      lock:acquire()
      for i = 1, 5 do
        threads[i] = start(acquire_and_release, lock)
      end
      for i = 1, 5 do
        assert.is_true(blocks(threads[i]))
      end
      lock:release()
      for i = 1, 5 do
        assert.is_true(threads[i]:join(LONG))
        assert.is_true(threads[i]:result())
      end
      assert.is_false(lock:locked())
    end)

    it("serves many threads in turn", function()
      for _ = 1, 15 do
        assert.is_true(start(acquire_and_release, lock):result())
      end
      assert.is_false(lock:locked())
    end)

    it("waits at least as long as the timeout says", function()
      lock:acquire()
      local results = {
        start(function()
          local from = _thread.monotonic()
          local first = lock:acquire(true, 0.05)
          local between = _thread.monotonic()
          local second = lock:acquire { timeout = 0.05 }
          return first, between - from, second, _thread.monotonic() - between
        end):result(),
      }
      assert.is_false(results[1])
      assert.is_true(results[2] >= 0.05)
      assert.is_false(results[3])
      assert.is_true(results[4] >= 0.05)
    end)

    it("does not wait with a timeout of zero", function()
      lock:acquire()
      local contended = start(function()
        return lock:acquire(true, 0), lock:acquire { timeout = 0 }
      end)
      assert.is_true(contended:join(LONG))
      assert.same({ false, false }, { contended:result() })
      lock:release()
      assert.is_true(lock:acquire(true, 0))
    end)

    it("waits without a bound for a negative timeout", function()
      for _, timeout in ipairs { -1, -100, -0.5, -math.huge } do
        lock:acquire()
        local waiter = start(function()
          local acquired = lock:acquire(true, timeout)
          lock:release()
          return acquired
        end)
        assert.is_true(blocks(waiter))
        lock:release()
        assert.is_true(waiter:result())
      end
    end)

    it("waits for a release up to TIMEOUT_MAX", function()
      assert.is_true(lock:acquire { timeout = _thread.TIMEOUT_MAX })
      local waiter = start(function()
        local acquired = lock:acquire(true, _thread.TIMEOUT_MAX)
        lock:release()
        return acquired
      end)
      assert.is_true(blocks(waiter))
      lock:release()
      assert.is_true(waiter:result())
    end)

    it("can be acquired after an acquire that timed out", function()
      lock:acquire()
      assert.is_false(start(function()
        return lock:acquire(true, 0.01)
      end):result())
      lock:release()
      assert.is_false(lock:locked())
      assert.is_true(lock:acquire { blocking = false })
    end)

    it("refuses a timeout that is not one", function()
      local nan = raised(_thread.ValueError, lock.acquire, lock, true, 0 / 0)
      assert.matches("timeout is not a number", nan.message, 1, true)
      raised(_thread.ValueError, lock.acquire, lock, { timeout = 0 / 0 })
      raised(_thread.OverflowError, lock.acquire, lock, true, 1e100)
      raised(_thread.OverflowError, lock.acquire, lock, true, math.huge)
      raised(_thread.OverflowError, lock.acquire, lock, { timeout = _thread.TIMEOUT_MAX * 2 })
      assert.is_false(lock:locked())
    end)

    it("refuses a timeout for an acquire that does not wait", function()
      for _, timeout in ipairs { 1, 0, 0.5 } do
        local exception = raised(_thread.ValueError, lock.acquire, lock, false, timeout)
        assert.equal("can't specify a timeout for a non-blocking call", exception.message)
        raised(_thread.ValueError, lock.acquire, lock, { blocking = 0, timeout = timeout })
      end
      assert.is_false(lock:locked())
      assert.is_true(lock:acquire(false, -1))
    end)

    it("refuses unknown arguments by name", function()
      local unknown = raised(_thread.TypeError, function()
        lock:acquire { tiemout = 1 }
      end)
      assert.equal("bad argument #1 to 'acquire' (unexpected keyword argument 'tiemout')",
        unknown.message)
      raised(_thread.TypeError, lock.acquire, lock, { true })
      assert.is_false(lock:locked())
    end)

    it("says which argument has the wrong type as Lua does", function()
      local timeout = raised(_thread.TypeError, function()
        lock:acquire(true, "soon")
      end)
      assert.equal("bad argument #2 to 'acquire' (number expected, got string)", timeout.message)
      local callee = raised(_thread.TypeError, function()
        lock:with(12)
      end)
      assert.equal("bad argument #1 to 'with' (function expected, got number)", callee.message)
      local self = raised(_thread.TypeError, function()
        lock.acquire()
      end)
      local message = "bad argument #1 to 'acquire' (_thread.%s expected, got no value)"
      assert.equal(message:format(name), self.message)
      raised(_thread.TypeError, lock.release, {})
      raised(_thread.TypeError, lock.locked, io.stdout)
      raised(_thread.TypeError, lock.hold, "lock")
      assert.equal("hold takes no arguments (1 given)",
        raised(_thread.TypeError, lock.hold, lock, false).message)
      raised(_thread.TypeError, lock.with, nil, print)
      assert.is_false(lock:locked())
    end)

    it("is held until the end of the scope", function()
      do
        local _ <close> = lock:hold()
        assert.is_false(is_free())
      end
      assert.is_true(is_free())
    end)

    it("is released when an error leaves the scope", function()
      local exception = raised(_thread.TypeError, function()
        local _ <close> = lock:hold()
        error(_thread.TypeError("left"))
      end)
      assert.equal("left", exception.message)
      assert.is_true(is_free())
    end)

    it("is held by hold only when its holder lets go", function()
      lock:acquire()
      local waiter = start(function()
        local _ <close> = lock:hold()
        return "held"
      end)
      assert.is_true(blocks(waiter))
      lock:release()
      assert.equal("held", waiter:result())
      assert.is_true(is_free())
    end)

    it("is held by one scope after the other, and by scopes of coroutines", function()
      local function scope(inside)
        local _ <close> = lock:hold()
        assert.is_false(is_free())
        inside()
      end
      for _ = 1, 3 do
        scope(collectgarbage)
        assert.is_true(is_free())
        coroutine.wrap(scope)(function() end)
        assert.is_true(is_free())
      end
    end)

    -- Coroutines that are dropped within a scope, each made by a function that is called here.
    local function drop_in_scopes()
      local function drop(f)
        collectgarbage "stop"
        coroutine.wrap(f)()
        assert.is_false(is_free())
        collectgarbage "restart"
      end
      drop(function()
        local _ <close> = lock:hold()
        coroutine.yield()
      end)
      collectgarbage()
      assert.is_true(is_free(), "by hold")
      drop(function()
        lock:with(coroutine.yield)
      end)
      collectgarbage()
      assert.is_true(is_free(), "by with")
      lock:hold()
      collectgarbage()
      assert.is_true(is_free(), "by a guard without a variable")
    end

    it("is released when a coroutine that holds it is dropped and collected", function()
      drop_in_scopes()
      drop_in_scopes()
    end)

    it("is released then in generational mode too", function()
      local before = collectgarbage "generational"
      drop_in_scopes()
      collectgarbage(before)
    end)

    it("is released when a thread ends while a coroutine of it holds it", function()
      local suspended = start(function()
        local worker = coroutine.create(function()
          local _ <close> = lock:hold()
          coroutine.yield()
        end)
        coroutine.resume(worker)
        return lock:locked(), worker and nil
      end)
      assert.is_true(suspended:result())
      assert.is_true(is_free())
    end)

    it("is left to those who have acquired it when a guard of before is dropped", function()
      local worker = coroutine.wrap(function()
        local _ <close> = lock:hold()
        coroutine.yield()
      end)
      worker()
      lock:release()
      local go = _thread.allocate_lock()
      go:acquire()
      local other = start(function()
        lock:acquire()
        go:acquire()
        lock:release()
      end)
      assert.is_true(blocks(other))
      worker = nil -- luacheck: ignore
      collectgarbage()
      assert.is_true(lock:locked())
      go:release()
      other:result()
      assert.is_true(is_free())
    end)

    it("is not released for another thread at the end of a scope", function()
      local go = _thread.allocate_lock()
      go:acquire()
      local other
      local exception = raised(_thread.RuntimeError, function()
        local _ <close> = lock:hold()
        lock:release()
        other = start(function()
          lock:acquire()
          go:acquire()
          lock:release()
        end)
        assert.is_true(blocks(other))
      end)
      assert.matches("^release of a lock that another thread has$", (exception.message:gsub(
        "^cannot release un%-acquired lock$", "release of a lock that another thread has")))
      assert.is_true(lock:locked())
      go:release()
      other:result()
    end)

    it("may be released and acquired again within a scope", function()
      do
        local _ <close> = lock:hold()
        lock:release()
        assert.is_true(is_free())
        lock:acquire()
      end
      assert.is_true(is_free())
    end)

    it("says how to hold it when it is closed itself", function()
      local go, held = _thread.allocate_lock(), _thread.allocate_lock()
      go:acquire()
      held:acquire()
      local owner = start(function()
        local _ <close> = lock:hold()
        held:release()
        go:acquire()
      end)
      held:acquire()
      local exception = raised(_thread.TypeError, function()
        local _ <close> = lock
      end)
      assert.matches("say local _ <close> = lock:hold()", exception.message, 1, true)
      assert.is_true(lock:locked())
      go:release()
      owner:result()
      assert.is_true(is_free())
    end)

    it("is held in finalizers too while a state is being closed", function()
      local output = child(([[
        local _thread = require "lthread"
        local lock = _thread.%s()
        local function finalize()
          for _ = 1, 2 do
            local _ <close> = lock:hold()
            io.write(tostring(lock:locked()), " ")
          end
        end
        local function leave()
          lock = lock
          LEFT = setmetatable({}, { __gc = finalize })
        end
        do local _ <close> = lock:hold() end
        _thread.start_joinable_thread(leave):join()
        io.write(tostring(lock:locked()), " ")
        leave()
      ]]):format(name))
      assert.equal("true true false true true status 0\n", output)
    end)

    it("is held while with calls a function", function()
      local results = table.pack(lock:with(function(...)
        return is_free(), ...
      end, 1, nil, "three", nil))
      assert.same({ n = 5, false, 1, nil, "three", nil }, results)
      assert.is_true(is_free())
      assert.equal(0, select("#", lock:with(function() end)))
    end)

    it("is waited for by with", function()
      lock:acquire()
      local waiter = start(function()
        return lock:with(function(value)
          return value
        end, "held")
      end)
      assert.is_true(blocks(waiter))
      lock:release()
      assert.equal("held", waiter:result())
    end)

    it("is released when the function of with raises an error", function()
      local failure = {}
      local ok, exception = pcall(lock.with, lock, function()
        error(failure)
      end)
      assert.is_false(ok)
      assert.equal(failure, exception)
      assert.is_true(is_free())
    end)

    it("lets with call anything that can be called", function()
      local callable = setmetatable({}, {
        __call = function(_, value)
          return value, is_free()
        end,
      })
      assert.same({ "called", false }, { lock:with(callable, "called") })
      assert.is_true(is_free())
    end)

    it("stays held while a coroutine yields inside with", function()
      local worker = coroutine.create(function(...)
        return lock:with(function(...)
          local sent = coroutine.yield("yielded", ...)
          return "returned", sent
        end, ...)
      end)
      assert.same({ true, "yielded", "first" }, { coroutine.resume(worker, "first") })
      assert.is_false(is_free())
      assert.same({ true, "returned", "second" }, { coroutine.resume(worker, "second") })
      assert.is_true(is_free())
    end)

    it("is released when a coroutine fails after it yielded inside with", function()
      local worker = coroutine.wrap(function()
        lock:with(function()
          coroutine.yield()
          error(_thread.ValueError("after the yield"))
        end)
      end)
      worker()
      assert.is_false(is_free())
      assert.equal("after the yield", raised(_thread.ValueError, worker).message)
      assert.is_true(is_free())
    end)

    it("is released when a coroutine that is inside with is closed", function()
      local worker = coroutine.create(function()
        lock:with(coroutine.yield)
      end)
      assert.is_true(coroutine.resume(worker))
      assert.is_false(is_free())
      assert.is_true(coroutine.close(worker))
      assert.is_true(is_free())
    end)

    it("is entered and left by the names of Python's with statement", function()
      assert.is_true(lock:__enter__())
      assert.is_false(is_free())
      lock:__exit__(nil, nil, nil)
      assert.is_true(is_free())
      raised(_thread.RuntimeError, lock.__exit__, lock)
    end)

    it("is equal to itself when a thread hands it back", function()
      local back, list = start(function(argument)
        return lock, { argument }
      end, lock):result()
      assert.equal(lock, back)
      assert.equal(lock, list[1])
      assert.not_equal(new(), back)
      assert.equal("by key", ({ [lock] = "by key" })[back])
    end)

    it("is the same lock in every thread", function()
      assert.is_true(start(function(argument)
        return argument == lock and argument:acquire() and lock:locked()
      end, lock):result())
      assert.is_true(lock:locked())
    end)

    it("is collected though it is held", function()
      local weak = setmetatable({}, { __mode = "k" })
      for _ = 1, 10 do
        local held = new()
        held:acquire()
        weak[held] = true
      end
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end)

    it("lives on in a thread when the state that made it has collected it", function()
      local gate = _thread.allocate_lock()
      gate:acquire()
      local thread
      do
        local lent = new()
        lent:acquire()
        thread = start(function(mine)
          gate:acquire()
          return mine:locked(), mine
        end, lent)
      end
      collectgarbage()
      collectgarbage()
      gate:release()
      local was_locked, back = thread:result()
      assert.is_true(was_locked)
      assert.is_true(back:locked())
      back:release()
      assert.is_false(back:locked())
    end)

    it("lets one thread in at a time", function()
      local inside = _thread.allocate_lock()
      local threads = {}
      for i = 1, 4 do
        threads[i] = start(function()
          local alone = 0
          for _ = 1, 2000 do
            lock:acquire()
            if inside:acquire(false) then
              for _ = 1, 20 do
                alone = alone + 0.05
              end
              inside:release()
            end
            lock:release()
          end
          return alone
        end)
      end
      for i = 1, 4 do
        assert.is_near(2000, threads[i]:result(), 0.001)
      end
      assert.is_false(lock:locked())
    end)

    it("comes to a thread that waits though another one takes it again and again", function()
      local run, first = _thread.allocate_lock(), _thread.allocate_lock()
      run:acquire()
      first:acquire()
      local greedy = start(function()
        local rounds = 0
        while run:locked() do
          local _ <close> = lock:hold()
          rounds = rounds + 1
          if rounds == 1 then
            first:release()
          end
        end
        return rounds
      end)
      assert.is_true(first:acquire(true, LONG))
      local patient = start(function()
        for _ = 1, 20 do
          lock:acquire()
          lock:release()
        end
        return "served"
      end)
      local served = patient:join(LONG)
      run:release()
      assert.is_true(greedy:result() > 0)
      assert.is_true(served)
      assert.equal("served", patient:result())
    end)

    it("is handed to a thread that has waited for long, ahead of newcomers", function()
      local go = _thread.allocate_lock()
      go:acquire()
      lock:acquire()
      local patient = start(function()
        lock:acquire()
        go:acquire()
        lock:release()
      end)
      assert.is_true(blocks(patient))
      _thread.sleep(0.01)
      lock:release()
      local overtaken = lock:acquire(false)
      if overtaken then
        lock:release()
      end
      go:release()
      patient:result()
      assert.is_false(overtaken)
    end)

    -- If each acquire were handed over, nearly all would be by another than the last two: those may
    -- run at the same time, and take turns.
    it("is acquired by each many times in a row though hundreds wait", function()
      local threads, acquires = 400, 500000
      local go, last = _thread.allocate_lock(), _thread.shared { left = acquires }
      local function work()
        local switches, me = 0, _thread.get_ident()
        go:acquire()
        go:release()
        repeat
          lock:acquire()
          local left = last.left - 1
          last.left = left
          if last.ident ~= me then
            switches = switches + (last.before ~= me and 1 or 0)
            last.before, last.ident = last.ident, me
          end
          lock:release()
        until left <= 0
        return switches
      end
      local handles, switches = {}, 0
      go:acquire()
      for i = 1, threads do
        handles[i] = start(work)
      end
      assert.is_true(blocks(handles[threads]))
      go:release()
      for i = 1, threads do
        switches = switches + handles[i]:result()
      end
      assert.equal(1 - threads, last.left)
      assert.is_true(switches < acquires / 2, "switches: " .. switches)
    end)

    it("is waited for no longer when the main state closes", function()
      local output = child(([[
        local _thread = require "lthread"
        local lock = _thread.%s()
        lock:acquire()
        local ident = _thread.start_new_thread(function()
          local _ <close> = setmetatable({}, {
            __close = function() print("left", lock:locked()) end,
          })
          print(lock:acquire())
        end, {})
        local state
        repeat
          for _, info in ipairs(_thread.enumerate()) do
            state = info.ident == ident and info.state or state
          end
        until state == "blocked"
      ]]):format(name))
      assert.equal("left\ttrue\nstatus 0\n", output)
    end)

    it("is not harmed by a script that calls its finalizer", function()
      local finalize = getmetatable(lock).__gc
      lock:acquire()
      finalize(lock)
      finalize(lock)
      assert.is_true(lock:locked())
      lock:release()
      assert.is_false(lock:locked())
    end)

    it("has no fields of its own and can't be written", function()
      assert.is_nil(lock.missing)
      assert.is_false(pcall(function()
        lock.field = 1
      end))
      assert.is_nil(lock.field)
    end)
  end)
end

describe("a lock", function()
  local lock

  before_each(function()
    lock = _thread.allocate_lock()
  end)

  it("is made under several names", function()
    for _, make in ipairs { _thread.allocate, _thread.LockType, _thread.lock } do
      local made = make()
      assert.is_true(isinstance(made, _thread.LockType))
      assert.is_true(made:acquire(false))
      assert.is_false(made:acquire(false))
    end
    assert.equal(_thread.LockType, _thread.lock)
    assert.is_false(isinstance(_thread.RLock(), _thread.LockType))
  end)

  it("is waited for by the thread whose dropped coroutine has it", function()
    local done = start(function()
      for _ = 1, 3 do
        coroutine.wrap(function()
          local _ <close> = lock:hold()
          coroutine.yield()
        end)()
        lock:acquire()
        lock:release()
      end
    end)
    assert.is_true(done:join(60))
    assert.is_true(lock:acquire(false))
  end)

  it("can't be acquired twice, by its own thread either", function()
    lock:acquire()
    assert.is_false(lock:acquire(false))
    assert.is_false(lock:acquire(true, 0.01))
    assert.is_true(lock:locked())
  end)

  it("can't be released while it is not locked", function()
    local exception = raised(_thread.RuntimeError, lock.release, lock)
    assert.equal("release unlocked lock", exception.message)
    lock:acquire()
    lock:release()
    raised(_thread.error, lock.release, lock)
    assert.is_true(lock:acquire(false))
  end)

  it("is released by any thread", function()
    lock:acquire()
    start(function()
      lock:release()
    end):result()
    assert.is_true(lock:acquire(false))
  end)

  it("makes a thread wait that acquires it again until another one releases it", function()
    local first = _thread.allocate_lock()
    first:acquire()
    local thread = start(function()
      lock:acquire()
      first:release()
      return lock:acquire()
    end)
    first:acquire()
    assert.is_true(blocks(thread))
    lock:release()
    assert.is_true(thread:result())
    assert.is_true(lock:locked())
  end)

  -- A thread that sends signals to this one, while it waits, and then calls f.
  local function send_signals(f)
    local me = _thread.get_ident()
    return start(function()
      local function waits()
        for _, info in ipairs(_thread.enumerate()) do
          if info.ident == me then
            return info.state == "blocked"
          end
        end
      end
      while lock:locked() and not waits() do
        _thread.sleep(0)
      end
      for _ = 1, 20 do
        os.execute "kill -URG $PPID"
      end
      f()
    end)
  end

  it("is waited for however often a signal comes", function()
    lock:acquire()
    local signaller = send_signals(function() lock:release() end)
    assert.is_true(lock:acquire())
    signaller:result()
  end)

  it("is waited for up to the timeout however often a signal comes", function()
    local timed_out = _thread.allocate_lock()
    timed_out:acquire()
    lock:acquire()
    local signaller = send_signals(function()
      if not timed_out:acquire(true, LONG) then
        lock:release()
      end
    end)
    assert.is_false(lock:acquire(true, 0.2))
    timed_out:release()
    signaller:result()
  end)

  it("stays locked when the thread that acquired it ends", function()
    start(function()
      lock:acquire()
    end):result()
    assert.is_false(lock:acquire(false))
    lock:release()
    assert.is_true(lock:acquire(false))
  end)

  it("has Python's old names for its methods", function()
    assert.is_true(lock:acquire_lock())
    assert.is_true(lock:locked_lock())
    assert.is_false(lock:acquire_lock(false))
    assert.is_false(lock:acquire_lock { timeout = 0 })
    lock:release_lock()
    assert.is_false(lock:locked_lock())
    raised(_thread.RuntimeError, lock.release_lock, lock)
  end)

  it("raises an error at the end of a scope that has released it already", function()
    local exception = raised(_thread.RuntimeError, lock.with, lock, function()
      lock:release()
    end)
    assert.equal("release unlocked lock", exception.message)
    raised(_thread.RuntimeError, function()
      local _ <close> = lock:hold()
      lock:release()
    end)
  end)

  it("is no RLock", function()
    local exception = raised(_thread.TypeError, function()
      lock.acquire(_thread.RLock())
    end)
    assert.equal("bad argument #1 to 'acquire' (_thread.lock expected, got _thread.RLock)",
      exception.message)
  end)

  it("gives signals to and fro between two threads", function()
    local ping, pong = _thread.allocate_lock(), _thread.allocate_lock()
    ping:acquire()
    pong:acquire()
    local echo = start(function()
      local count = 0
      for _ = 1, 500 do
        ping:acquire()
        count = count + 1
        pong:release()
      end
      return count
    end)
    for _ = 1, 500 do
      ping:release()
      assert.is_true(pong:acquire(true, LONG))
    end
    assert.equal(500, echo:result())
  end)
end)
