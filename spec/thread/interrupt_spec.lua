local _thread = require "lthread"
local child = require "fixtures.child"
local raised = require "support.raised"
local activities = require "support.activities"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start, ended_by = threads.held, threads.await, threads.start, threads.ended_by
local computing, waiting = activities.computing, activities.waiting

setups.alone()
setups.quiet()

describe("interrupt", function()
  for what, f in pairs(computing) do
    it("breaks " .. what, function()
      local there = held()
      local handle = start(f, there)
      assert.is_true(await(there))
      assert.is_true(_thread.interrupt(handle.ident, _thread.ValueError))
      ended_by(_thread.ValueError, handle)
    end)
  end

  for what, f in pairs(waiting) do
    it("breaks " .. what, function()
      local never, rlock = held(), _thread.RLock()
      local endless = start(function() _thread.sleep(1e6) end)
      rlock:acquire()
      local handle = start(f, never, endless, rlock)
      assert.is_true(threads.await_blocked(handle.ident))
      assert.is_true(_thread.interrupt(handle.ident, _thread.ValueError))
      ended_by(_thread.ValueError, handle)
      -- Nobody has got the lock, and everything still works.
      assert.is_true(never:locked())
      never:release()
      assert.is_true(never:acquire(false))
      assert.is_true(rlock:_is_owned())
      assert.equal(1, rlock:_recursion_count())
      rlock:release()
      assert.is_false(rlock:locked())
      assert.is_false(endless:is_done())
      endless:interrupt()
      ended_by(_thread.SystemExit, endless)
    end)
  end

  it("raises SystemExit by default, which ends the thread silently", function()
    local text = child [[
      local _thread = require "lthread"
      local handle = _thread.start_joinable_thread(function() while true do end end)
      print(_thread.interrupt(handle.ident))
      handle:join()
      local ok, e = pcall(handle.result, handle)
      print(ok, _thread.isinstance(e, _thread.SystemExit))
    ]]
    assert.equal("true\nfalse\ttrue\nstatus 0\n", text)
  end)

  it("goes to the excepthook with any other exception", function()
    local text = child [[
      local _thread = require "lthread"
      local there = _thread.allocate_lock()
      there:acquire()
      local handle = _thread.start_joinable_thread(function()
        there:release()
        while true do end
      end, {name = "spinner"})
      there:acquire()
      handle:interrupt(_thread.KeyboardInterrupt)
      handle:join()
    ]]
    assert.truthy(text:find("spinner", 1, true), text)
    assert.truthy(text:find("KeyboardInterrupt", 1, true), text)
    assert.truthy(text:find("stack traceback:", 1, true), text)
    assert.truthy(text:find("status 0\n", 1, true), text)
  end)

  it("raises a copy of an exception object", function()
    local Stop = _thread.Exception:subclass "Stop"
    local there, list = held(), { 1, 2 }
    local handle = start(computing["an empty loop"], there)
    assert.is_true(await(there))
    assert.is_true(_thread.interrupt(handle.ident, Stop("enough", list)))
    local e = ended_by(Stop, handle)
    assert.equal("enough", e.message)
    assert.same(list, e.args[2])
  end)

  it("tells where a class was raised", function()
    local there = held()
    local handle = start(function()
      there:release()
      while true do end
    end)
    local line = debug.getinfo(1, "l").currentline - 2
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    local e = ended_by(_thread.ValueError, handle)
    -- release() may not have returned yet
    assert.truthy(e.where:find(":" .. line .. ": ", 1, true) or
                  e.where:find(":" .. line - 1 .. ": ", 1, true), e.where)
    assert.truthy(e.traceback:find("interrupt_spec.lua", 1, true), e.traceback)
  end)

  it("reaches the calling thread at once", function()
    local reached = false
    raised(_thread.ValueError, function()
      _thread.interrupt(_thread.get_ident(), _thread.ValueError)
      reached = true
    end)
    assert.is_false(reached)
  end)

  it("returns false for a thread that has ended, and for idents of none", function()
    local handle = start(function() end)
    handle:join()
    assert.is_false(_thread.interrupt(handle.ident))
    assert.is_false(handle:interrupt())
    assert.is_false(_thread.interrupt(0))
    assert.is_false(_thread.interrupt(-1))
    assert.is_false(_thread.interrupt(math.maxinteger))
    assert.is_false(_thread._ThreadHandle():interrupt())
    assert.is_false(_thread._make_thread_handle(handle.ident):interrupt())
  end)

  it("refuses what is no exception", function()
    local me = _thread.get_ident()
    for _, value in ipairs { 42, "no", {}, print, true, _thread.lock, _thread.allocate_lock() } do
      local e = raised(_thread.TypeError, function() _thread.interrupt(me, value) end)
      assert.truthy(e.message:find("bad argument #2 to 'interrupt'", 1, true), e.message)
      assert.truthy(e.message:find("exception", 1, true), e.message)
    end
    raised(_thread.TypeError, _thread.interrupt, "me")
    raised(_thread.TypeError, _thread.interrupt)
    local co = coroutine.create(print)
    local e = raised(_thread.TypeError, _thread.interrupt, me, _thread.ValueError("x", co))
    assert.truthy(e.message:find("cannot transfer a coroutine (exception.args[2])", 1, true),
      e.message)
  end)

  it("also reaches a thread that has not run its first instruction", function()
    for _ = 1, 50 do
      local ran = held()
      local handle = start(function() ran:release() while true do end end)
      assert.is_true(handle:interrupt(_thread.ValueError))
      ended_by(_thread.ValueError, handle)
    end
  end)

  it("that was accepted comes to pass, also when the thread is just ending", function()
    local accepted, round = 0, 0
    assert.is_true(threads.eventually(function()
      round = round + 1
      local go = held()
      local handle = start(function() await(go) return 1 end)
      go:release()
      for _ = 1, round % 20 * 20 do end
      if handle:interrupt(_thread.ValueError) then
        accepted = accepted + 1
        ended_by(_thread.ValueError, handle)
      else
        assert.equal(1, handle:result())
      end
      return round >= 300 and accepted > 0
    end))
  end)

  it("that comes while the function's modules are loaded is no error of theirs", function()
    local there, go, home = held(), held(), _thread.get_ident()
    package.preload["lt_spec.careful"] = function()
      local loaded = _thread.get_ident() == home or pcall(function()
        there:release()
        await(go)
      end)
      return { loaded = loaded }
    end
    finally(function()
      package.preload["lt_spec.careful"], package.loaded["lt_spec.careful"] = nil, nil
    end)
    local careful = require "lt_spec.careful"
    local handle = start(function() return careful.loaded end)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.ValueError))
    go:release()
    ended_by(_thread.ValueError, handle)
  end)

  it("that comes during the thread's last call of C is its end", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo '" .. path .. "'"))
    finally(function() os.remove(path) end)
    local handle = start(os.execute, ("read line <'%s'"):format(path))
    local writer <close> = io.open(path, "w") -- waits for the command, which waits for its end
    assert.is_true(handle:interrupt(_thread.ValueError))
    writer:close()
    ended_by(_thread.ValueError, handle)
  end)

  it("may be caught, and the thread goes on", function()
    local there, go = held(), held()
    local handle = start(function()
      local caught = {}
      for i = 1, 100 do
        local ok, e = pcall(function()
          there:release()
          while true do end
        end)
        caught[i] = not ok and e.args[1]
        go:acquire()
      end
      return caught
    end)
    for i = 1, 100 do
      assert.is_true(await(there))
      assert.is_true(handle:interrupt(_thread.ValueError(i)))
      -- It is delivered before the loop is left, so the next one is not mistaken for it.
      assert.is_true(threads.await_blocked(handle.ident))
      go:release()
    end
    local caught = threads.result(handle)
    for i = 1, 100 do
      assert.equal(i, caught[i])
    end
  end)

  it("that is caught leaves a later wait alone", function()
    local first, never, last = held(), held(), held()
    local handle = start(function()
      local caught = not pcall(first.acquire, first)
      return caught, never:acquire(true, 0.01), last:acquire()
    end)
    assert.is_true(threads.await_blocked(handle.ident))
    handle:interrupt(_thread.ValueError)
    assert.is_true(threads.await_blocked(handle.ident))
    last:release()
    assert.same({ true, false, true }, { threads.result(handle) })
  end)
end)

describe("handle:interrupt", function()
  it("raises in the handle's thread", function()
    local there = held()
    local handle = start(computing["an empty loop"], there)
    assert.is_true(await(there))
    assert.is_true(handle:interrupt(_thread.KeyboardInterrupt("stop")))
    assert.equal("stop", ended_by(_thread.KeyboardInterrupt, handle).message)
  end)

  it("refuses what is no exception, or no handle", function()
    local handle = _thread._ThreadHandle()
    local e = raised(_thread.TypeError, handle.interrupt, handle, 42)
    assert.truthy(e.message:find("exception", 1, true), e.message)
    raised(_thread.TypeError, handle.interrupt, 42)
  end)
end)
