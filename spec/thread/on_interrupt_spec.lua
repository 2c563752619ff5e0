-- A function that takes the interrupts of its thread.
local _thread = require "lthread"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start, raises = threads.held, threads.await, threads.start, threads.raises
local ended_by = threads.ended_by

setups.alone()
setups.quiet()

-- Starts f(seen) in a thread that puts the messages of its interrupts into 'seen', by number.
local function start_taking(f)
  local seen = _thread.shared { count = 0 }
  local ready = held()
  local handle = start(function()
    _thread.on_interrupt(function(e)
      seen[seen.count + 1] = e.message
      seen.count = seen.count + 1
    end)
    ready:release()
    return f(seen)
  end)
  assert(await(ready))
  return handle, seen
end

describe("on_interrupt", function()
  it("calls the function with the exception, and nothing is raised", function()
    local handle, seen = start_taking(function(seen)
      while seen.count < 3 do end
      return "done"
    end)
    for i = 1, 3 do
      assert.is_true(handle:interrupt(_thread.ValueError("message " .. i)))
    end
    assert.equal("done", threads.result(handle))
    assert.equal("message 1 message 2 message 3", table.concat({ seen[1], seen[2], seen[3] }, " "))
  end)

  it("returns the function before, and nil removes it", function()
    local first, second = function() end, function() end
    local one, two, three = threads.call(function()
      return _thread.on_interrupt(first) == nil, _thread.on_interrupt(second) == first,
        _thread.on_interrupt(nil) == second and _thread.on_interrupt(nil) == nil
    end)
    assert.same({ true, true, true }, { one, two, three })
    local ready, go = held(), held()
    local handle = start(function()
      _thread.on_interrupt(function() end)
      _thread.on_interrupt(nil)
      ready:release()
      await(go)
    end)
    assert.is_true(await(ready))
    handle:interrupt(_thread.ValueError)
    ended_by(_thread.ValueError, handle)
  end)

  it("takes only what can be called", function()
    raises(_thread.TypeError, "number", _thread.on_interrupt, 1)
    raises(_thread.TypeError, "", _thread.on_interrupt)
    local called = threads.call(function()
      local called = false
      _thread.on_interrupt(setmetatable({}, { __call = function() called = true end }))
      _thread._make_thread_handle(_thread.get_ident()):interrupt()
      for _ = 1, 1000 do end
      return called
    end)
    assert.is_true(called)
  end)

  local waits = {
    lock = function(lock) return lock:acquire() end,
    sleep = function() _thread.sleep(0.2) return true end,
    ["timed lock"] = function(lock) return lock:acquire(true, threads.LONG) end,
    join = function(lock) return start(function() return lock:acquire() end):join() end,
    ["queue"] = function(lock)
      local queue = require "lthread.queue".SimpleQueue()
      start(function() lock:acquire() queue:put(true) end)
      return queue:get()
    end,
    ["descriptor"] = function(lock)
      start(function() lock:acquire() _thread.globals.lt_go = true end)
      while not _thread.globals.lt_go do
        _thread.wait_fd(_thread.interrupt_fileno(), "r", 0.01)
      end
      _thread.globals.lt_go = nil
      return true
    end,
  }
  for what, wait in pairs(waits) do
    it("lets a wait go on: " .. what, function()
      local lock = held()
      local handle, seen = start_taking(function() return wait(lock) end)
      for i = 1, 5 do
        assert.is_true(threads.await_blocked(handle.ident) or what == "descriptor")
        if handle:interrupt(_thread.ValueError("x")) then
          assert.is_true(threads.eventually(function() return seen.count == i end))
        end
      end
      lock:release()
      assert.is_true(threads.result(handle))
    end)
  end

  it("lets a wait end when its time is up, and no later", function()
    local handle, seen = start_taking(function()
      local begin = _thread.monotonic()
      local acquired = held():acquire(true, 0.2)
      return acquired, _thread.monotonic() - begin
    end)
    while threads.state(handle.ident) and not handle:join(0.01) do
      handle:interrupt(_thread.ValueError)
    end
    local acquired, seconds = threads.result(handle)
    assert.is_false(acquired)
    assert.is_true(seconds >= 0.2)
    assert.is_true(seen.count > 0)
  end)

  for where, f in pairs {
    ["Lua code"] = function() while true do end end,
    ["a wait"] = function() _thread.sleep(threads.LONG) end,
    ["a coroutine"] = function() coroutine.wrap(function() while true do end end)() end,
  } do
    it("raises in " .. where .. " what the function raises", function()
      local ready = held()
      local handle = start(function()
        _thread.on_interrupt(function(e) error(_thread.TypeError("in place of " .. e.message)) end)
        ready:release()
        return f()
      end)
      assert.is_true(await(ready))
      handle:interrupt(_thread.ValueError "this")
      raises(_thread.TypeError, "in place of this", handle.result, handle)
    end)

    it("raises in " .. where .. " the exception, if the function does", function()
      local ready = held()
      local handle = start(function()
        _thread.on_interrupt(error)
        local ok, e = pcall(function()
          ready:release()
          f()
        end)
        return ok, e.message
      end)
      assert.is_true(await(ready))
      handle:interrupt(_thread.ValueError "this")
      local ok, message = threads.result(handle)
      assert.is_false(ok)
      assert.equal("this", message)
    end)
  end

  it("shields the function from further interrupts, which come after it", function()
    local ready, within, go = held(), held(), held()
    local order = _thread.shared { count = 0 }
    local function note(what)
      order[order.count + 1] = what
      order.count = order.count + 1
    end
    local handle = start(function()
      _thread.on_interrupt(function(e)
        note("begin " .. e.message)
        if e.message == "1" then
          within:release()
          await(go)
        end
        for _ = 1, 10000 do end
        note("end " .. e.message)
      end)
      ready:release()
      while order.count < 4 do end
    end)
    assert.is_true(await(ready))
    handle:interrupt(_thread.ValueError "1")
    assert.is_true(await(within))
    handle:interrupt(_thread.ValueError "2")
    go:release()
    threads.result(handle)
    assert.equal("begin 1 end 1 begin 2 end 2",
      table.concat({ order[1], order[2], order[3], order[4] }, " "))
  end)

  it("can't yield", function()
    local message = threads.call(function()
      local message
      local routine = coroutine.wrap(function()
        _thread.on_interrupt(function() coroutine.yield() end)
        local _, e = pcall(function()
          _thread._make_thread_handle(_thread.get_ident()):interrupt()
          while true do end
        end)
        message = e
      end)
      routine()
      return message
    end)
    assert.matches("yield", tostring(message))
  end)

  it("is of its thread alone", function()
    local handle = start_taking(function(seen) while seen.count == 0 do end end)
    local other = start(function() _thread.sleep(threads.LONG) end)
    other:interrupt(_thread.ValueError)
    ended_by(_thread.ValueError, other)
    handle:interrupt(_thread.ValueError)
    threads.result(handle)
    local again = start(function() _thread.sleep(threads.LONG) end) -- on the worker of the first
    again:interrupt(_thread.ValueError)
    ended_by(_thread.ValueError, again)
  end)

  it("takes what comes when the thread's function ends", function()
    for _ = 1, 300 do
      local ready = held()
      local handle = start(function()
        local count = 0
        _thread.on_interrupt(function() count = count + 1 end)
        ready:release()
        return count
      end)
      assert.is_true(await(ready))
      handle:interrupt(_thread.ValueError)
      assert.is_true(handle:join(threads.LONG))
      assert.is_true(pcall(handle.result, handle))
    end
  end)

  it("takes a KeyboardInterrupt in the main thread", function()
    assert.equal("taken\tKeyboardInterrupt\nslept\nfalse\tKeyboardInterrupt\nstatus 0\n", child [[
      local _thread = require "lthread"
      local threads = require "support.threads"
      _thread.on_interrupt(function(e) print("taken", e.__class__.__name__) end)
      threads.start(function() threads.await_blocked(1) _thread.interrupt_main() end)
      _thread.sleep(0.2)
      print "slept"
      _thread.on_interrupt(nil)
      local ok, e = pcall(function() _thread.interrupt_main() while true do end end)
      print(ok, e.__class__.__name__)
    ]])
  end)
end)

describe("on_interrupt at the end of the program", function()
  local function run(f, code)
    return child(([[
      local _thread = require "lthread"
      local threads = require "support.threads"
      local there, stop = threads.held(), threads.held()
      threads.start(function()
        local _ <close> = setmetatable({}, {__close = function() print "closed" end})
        _thread.on_interrupt(%s)
        there:release()
        %s
      end)
      threads.await(there)
    ]]):format(f, code))
  end

  it("is called once, with SystemExit, and the thread ends in its own way", function()
    assert.equal("SystemExit\nin its own way\nclosed\nstatus 0\n", run([[function(e)
      print(e.__class__.__name__)
      stop:release()
    end]], [[stop:acquire() _thread.sleep(0.5) print "in its own way"]]))
  end)

  it("is called once while the thread computes on, too", function()
    assert.equal("SystemExit\nin its own way\nclosed\nstatus 0\n", run([[function(e)
      print(e.__class__.__name__)
      stop:release()
    end]], [[
      stop:acquire()
      local over = _thread.monotonic() + 0.5
      while _thread.monotonic() < over do end
      print "in its own way"
    ]]))
  end)

  it("may take its time", function()
    assert.equal("slept\nclosed\nstatus 0\n", run([[function()
      _thread.sleep(0.6)
      print "slept"
      stop:release()
    end]], "stop:acquire()"))
  end)

  for what, code in pairs {
    waits = "_thread.sleep(1000)",
    computes = "while true do end",
    ["waits again and again"] = "while true do _thread.sleep(0.01) end",
  } do
    it("does not keep a thread that " .. what, function()
      assert.equal("SystemExit\nclosed\nstatus 0\n",
        run("function(e) print(e.__class__.__name__) end", code))
    end)
  end

  it("ends the thread at once if it raises", function()
    assert.equal("closed\nstatus 0\n", run("error", "_thread.sleep(1000)"))
  end)
end)
