-- Each case is a process of its own. Those that hang are ended from outside.
local child = require "fixtures.child"
local threads = require "support.threads"
local watched = require "support.watched"

local prelude = [[
local _thread = require "lthread"
local threads = require "support.threads"
local held = threads.held

-- Waits until a thread has been blocked for longer than it takes to be looked at, by calling 'wait'
-- as often as it takes. By default the main one, and a short sleep.
local function await_look(ident, wait)
  while threads.blocked_for(ident or 1) < 0.4 do
    (wait or _thread.sleep)(0.01)
  end
end
]]

local function reports(text)
  return select(2, text:gsub("lthread: deadlock:", ""))
end

-- The process hangs, and says so once.
local function deadlocked(code, environment)
  local text = watched {
    code = prelude .. code,
    environment = environment or "LTHREAD_DEADLOCK=1",
    ready = function(text) return reports(text) > 0 end,
  }
  assert.equal(1, reports(text), text)
  assert.falsy(text:find("status 0", 1, true), text)
  return text
end

-- The main thread has been blocked for more than a second, and this is said so often.
local function reported(count, code, environment)
  local text = watched {
    code = prelude .. "_thread.dump_traceback_later(0.1, true)\n" .. code,
    environment = environment,
    ready = function(text)
      return reports(text) >= count
        and text:find "Thread MainThread [^\n]*, blocked on lock [^\n]* for [1-9]%d*%.%d+ s:\n"
    end,
  }
  assert.equal(count, reports(text), text)
  assert.falsy(text:find("status 0", 1, true), text)
end

-- Ctrl-C for a process whose main thread has gone to sleep again.
local function interrupt_asleep(process)
  threads.await_system_call(process, process)
  os.execute("kill -INT " .. process)
end

local function fine(code)
  assert.equal("status 0\n", child(prelude .. code, "LTHREAD_DEADLOCK=1"))
end

describe("the deadlock check", function()
  for what, wait in pairs {
    Event = "_thread.Event():wait()",
    Barrier = "_thread.Barrier(3):wait()",
    Condition = "local c = _thread.Condition() c:acquire() c:wait()",
    Semaphore = "_thread.Semaphore(0):acquire()",
  } do
    it("tells of threads that wait for " .. what .. "s of their own", function()
      local text = deadlocked(([[
        _thread.start_new_thread(function() %s end, {})
        %s
      ]]):format(wait, wait))
      assert.matches("waits for " .. what .. " 0x%x+\n", text)
    end)
  end

  it("reports two locks that are taken crosswise", function()
    local text = deadlocked [[
      local a, b = _thread.allocate_lock(), _thread.allocate_lock()
      local has_a, has_b = held(), held()
      _thread.start_joinable_thread(function()
        a:acquire() has_a:release()
        threads.await(has_b)
        b:acquire()
      end, {name = "one"})
      _thread.start_joinable_thread(function()
        b:acquire() has_b:release()
        threads.await(has_a)
        a:acquire()
      end, {name = "other"}):join()
    ]]
    assert.truthy(text:find("one %(ident %d+%) waits for lock 0?x?%x+ held by thread other")
      or text:find("other %(ident %d+%) waits for lock 0?x?%x+ held by thread one"), text)
    -- The cycle is one line, the dump follows.
    assert.truthy(text:find("lthread: deadlock: [^\n]*one[^\n]*other[^\n]*\n"), text)
    assert.truthy(text:find(
      "\nThread MainThread %(ident 1%)[^\n]*, blocked on join of thread other"), text)
    assert.truthy(text:find("in method 'acquire'", 1, true), text)
  end)

  it("reports RLocks that are taken crosswise", function()
    local text = deadlocked [[
      local a, b = _thread.RLock(), _thread.RLock()
      local has_a, has_b = held(), held()
      local function take(first, has, other, second)
        first:acquire() first:acquire() has:release()
        threads.await(other)
        local _ <close> = second:hold()
      end
      local handle = _thread.start_joinable_thread(take, {args = {a, has_a, has_b, b}})
      take(b, has_b, has_a, a)
    ]]
    assert.truthy(text:find("held by thread MainThread", 1, true), text)
  end)

  it("reports threads that join each other", function()
    local text = deadlocked [[
      local handle = _thread._ThreadHandle()
      local main = _thread._make_thread_handle(_thread.get_ident())
      _thread.start_joinable_thread(function() main:join() end, {handle = handle, name = "child"})
      handle:join()
    ]]
    assert.truthy(text:find("join of thread MainThread", 1, true), text)
    assert.truthy(text:find("join of thread child", 1, true), text)
  end)

  it("reports a thread that waits for itself", function()
    local text = deadlocked [[
      local lock = _thread.allocate_lock()
      lock:acquire()
      lock:acquire()
    ]]
    assert.truthy(text:find(
      "MainThread %(ident 1%) waits for lock 0?x?%x+ held by thread MainThread %(ident 1%)\n"),
      text)
  end)

  it("reports a lock that nobody will release", function()
    local text = deadlocked [[
      local lock = _thread.allocate_lock()
      _thread.start_joinable_thread(function() lock:acquire() end):join()
      lock:acquire()
    ]]
    assert.truthy(text:find("MainThread %(ident 1%) waits for lock 0?x?%x+"), text)
  end)

  it("reports coroutines of one thread that block it", function()
    deadlocked [[
      local lock = _thread.allocate_lock()
      coroutine.wrap(function()
        lock:acquire()
        coroutine.wrap(function() lock:acquire() end)()
      end)()
    ]]
  end)

  it("reports once, also when the deadlock goes on", function()
    reported(1, [[
      local lock = held()
      for _ = 1, 5 do
        _thread.start_new_thread(function() lock:acquire() end, {})
      end
      lock:acquire()
    ]], "LTHREAD_DEADLOCK=1")
  end)

  it("is off without being asked for", function()
    reported(0, "held():acquire()", "LTHREAD_DEADLOCK=0")
    reported(0, "held():acquire()", "env -u LTHREAD_DEADLOCK")
  end)

  it("can be turned on and off by set_deadlock_check", function()
    deadlocked("_thread.set_deadlock_check(true) held():acquire()", "env -u LTHREAD_DEADLOCK")
    reported(0, "_thread.set_deadlock_check(false) held():acquire()", "LTHREAD_DEADLOCK=1")
  end)

  it("lets an interrupt still break the wait", function()
    local text = watched {
      code = prelude .. "print(pcall(held().acquire, held()))",
      environment = "LTHREAD_DEADLOCK=1",
      ready = function(text) return reports(text) > 0 end,
      act = interrupt_asleep,
    }
    assert.equal(1, reports(text), text)
    assert.truthy(text:find("false\t[^\n]*interrupted!\nstatus 0\n$"), text)
  end)
end)

describe("no deadlock is", function()
  it("a wait with a timeout", function()
    fine [[
      local lock = held()
      local handle = threads.start(function() lock:acquire() end)
      await_look(handle.ident, function(seconds) assert(not lock:acquire(true, seconds)) end)
      lock:release()
      handle:join()
    ]]
  end)

  it("a thread that sleeps", function()
    fine [[
      local lock = held()
      local handle = threads.start(function() await_look() lock:release() end)
      lock:acquire()
      handle:join()
    ]]
  end)

  it("a thread that computes", function()
    fine [[
      local lock = held()
      threads.start(function()
        await_look(1, function() for _ = 1, 1000000 do end end)
        lock:release()
      end)
      lock:acquire()
    ]]
  end)

  it("a main thread in a system call", function()
    fine [[
      local lock = held()
      local handle = threads.start(function() lock:acquire() end)
      await_look(handle.ident, function() os.execute "sleep 0.05" end)
      lock:release()
      handle:join()
    ]]
  end)

  it("a game of ping-pong", function()
    fine [[
      local ping, pong = held(), held()
      local handle = threads.start(function()
        for _ = 1, 20003 do
          ping:acquire()
          pong:release()
        end
      end)
      for i = 1, 20003 do
        if i <= 3 then await_look(handle.ident) end
        ping:release()
        pong:acquire()
      end
      handle:join()
    ]]
  end)

  it("many threads that take turns", function()
    fine [[
      local baton, handles = held(), {}
      for i = 1, 8 do
        handles[i] = threads.start(function()
          for _ = 1, 2000 do
            local _ <close> = baton:hold()
          end
        end)
      end
      await_look(handles[8].ident)
      baton:release()
      for i = 1, 8 do handles[i]:join() end
    ]]
  end)

  it("the wait for threads at the end", function()
    fine [[
      _thread.start_joinable_thread(function() await_look() end, {daemon = false})
    ]]
  end)
end)
