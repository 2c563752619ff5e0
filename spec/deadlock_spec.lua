-- Each case is a process of its own. Those that hang are killed from outside after a while.
local child = require "fixtures.child"

local prelude = [[
local _thread = require "lthread"
local threads = require "support.threads"
local held = threads.held
local function alarm(seconds)
  os.execute("(sleep " .. seconds .. "; kill -KILL $PPID) >/dev/null 2>&1 &")
end
]]

local function run(code, environment)
  return child(prelude .. code, environment or "LTHREAD_DEADLOCK=1")
end

local function reports(text)
  return select(2, text:gsub("lthread: deadlock:", ""))
end

-- The process hangs, says so once, and is killed.
local function deadlocked(code, environment)
  local text = run("alarm(3)\n" .. code, environment)
  assert.equal(1, reports(text), text)
  assert.falsy(text:find("status 0", 1, true), text)
  return text
end

local function fine(code, environment)
  local text = run(code, environment)
  assert.equal("status 0\n", text)
end

describe("the deadlock check", function()
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
    assert.truthy(text:find("one %(ident %d+%) waits for lock 0x%x+ held by thread other")
      or text:find("other %(ident %d+%) waits for lock 0x%x+ held by thread one"), text)
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
      "MainThread %(ident 1%) waits for lock 0x%x+ held by thread MainThread %(ident 1%)\n"), text)
  end)

  it("reports a lock that nobody will release", function()
    local text = deadlocked [[
      local lock = _thread.allocate_lock()
      _thread.start_joinable_thread(function() lock:acquire() end):join()
      lock:acquire()
    ]]
    assert.truthy(text:find("MainThread %(ident 1%) waits for lock 0x%x+"), text)
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
    deadlocked [[
      local lock = held()
      for _ = 1, 5 do
        _thread.start_new_thread(function() lock:acquire() end, {})
      end
      lock:acquire()
    ]]
  end)

  it("is off without being asked for", function()
    local text = run("alarm(2) held():acquire()", "LTHREAD_DEADLOCK=0")
    assert.equal(0, reports(text), text)
    text = run("alarm(2) held():acquire()", "env -u LTHREAD_DEADLOCK")
    assert.equal(0, reports(text), text)
  end)

  it("can be turned on and off by set_deadlock_check", function()
    deadlocked("_thread.set_deadlock_check(true) held():acquire()", "env -u LTHREAD_DEADLOCK")
    local text = run("alarm(2) _thread.set_deadlock_check(false) held():acquire()")
    assert.equal(0, reports(text), text)
  end)

  it("lets an interrupt still break the wait", function()
    local text = run [[
      os.execute("(sleep 1; kill -INT $PPID) >/dev/null 2>&1 &")
      print(pcall(held().acquire, held()))
    ]]
    assert.equal(1, reports(text), text)
    assert.truthy(text:find("false\t[^\n]*interrupted!\nstatus 0\n$"), text)
  end)
end)

describe("no deadlock is", function()
  it("a wait with a timeout", function()
    fine [[
      local lock = held()
      local handle = threads.start(function() lock:acquire() end)
      assert(not lock:acquire(true, 1))
      lock:release()
      handle:join()
    ]]
  end)

  it("a thread that sleeps", function()
    fine [[
      local lock = held()
      local handle = threads.start(function() _thread.sleep(1) lock:release() end)
      lock:acquire()
      handle:join()
    ]]
  end)

  it("a thread that computes", function()
    fine [[
      local lock = held()
      threads.start(function()
        local limit = _thread.monotonic() + 1
        while _thread.monotonic() < limit do end
        lock:release()
      end)
      lock:acquire()
    ]]
  end)

  it("a main thread in a system call", function()
    fine [[
      local lock = held()
      local handle = threads.start(function() lock:acquire() end)
      os.execute "sleep 1"
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
        if i <= 3 then _thread.sleep(0.3) end -- the other one has time to look
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
      _thread.sleep(0.4)
      baton:release()
      for i = 1, 8 do handles[i]:join() end
    ]]
  end)

  it("the wait for threads at the end", function()
    fine [[
      _thread.start_joinable_thread(function() _thread.sleep(1) end, {daemon = false})
    ]]
  end)
end)
