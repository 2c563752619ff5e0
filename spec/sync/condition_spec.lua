local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"
local raises, start = threads.raises, threads.start

describe("a Condition", function()
  it("is of the class that makes it, with a lock of its own or that it is given", function()
    local condition = _thread.Condition()
    assert.is_true(_thread.isinstance(condition, _thread.Condition))
    assert.matches("^<_thread.Condition object at .*: <unlocked _thread.RLock .*>, 0 waiting>$",
      tostring(condition))
    local lock = _thread.allocate_lock()
    for _, each in ipairs { _thread.Condition(lock), _thread.Condition { lock = lock } } do
      assert.is_true(each:acquire())
      assert.is_true(lock:locked())
      each:release()
      assert.is_false(lock:locked())
    end
    raises(_thread.TypeError, "_thread.lock or _thread.RLock expected", _thread.Condition, 1)
    raises(_thread.TypeError, "_thread.Event", _thread.Condition, _thread.Event())
  end)

  it("is the same one in every thread", function()
    local condition = _thread.Condition()
    assert.equal(condition, threads.call(function() return condition end))
  end)
end)

for name, new_lock in pairs { lock = _thread.allocate_lock, RLock = _thread.RLock } do
  describe("a Condition with a " .. name, function()
    local lock, condition

    before_each(function()
      lock = new_lock()
      condition = _thread.Condition(lock)
    end)

    local function waiting()
      return tonumber(tostring(condition):match "(%d+) waiting>$")
    end

    local function await_waiting(count)
      assert.is_true(threads.eventually(function() return waiting() == count end))
    end

    -- So many threads that wait, in the order of the list, and return what wait does.
    local function waiters(count, timeout)
      local handles = {}
      for i = 1, count do
        handles[i] = start(function()
          return condition:with(function() return condition:wait(timeout) end)
        end)
        await_waiting(i)
      end
      return handles
    end

    local function notify(n)
      condition:with(condition.notify, condition, n)
    end

    it("has the methods of its lock", function()
      assert.is_true(condition:acquire())
      assert.is_true(condition:locked())
      assert.is_false(threads.call(function() return condition:acquire(false) end))
      assert.is_false(threads.call(function() return condition:acquire { timeout = 0.001 } end))
      condition:release()
      raises(_thread.RuntimeError, "release", condition.release, condition)
      assert.equal(3, condition:with(function(x) assert.is_true(lock:locked()) return x end, 3))
      do
        local _ <close> = condition:hold()
        assert.is_true(lock:locked())
      end
      assert.is_false(lock:locked())
      raises(_thread.TypeError, "hold()", function() local _ <close> = condition end)
    end)

    it("is for a thread that has the lock", function()
      for _, method in ipairs { "wait", "notify", "notify_all" } do
        raises(_thread.RuntimeError, "does not have", condition[method], condition)
      end
      raises(_thread.RuntimeError, "does not have", condition.wait_for, condition, print)
      lock:acquire()
      threads.call(function()
        local _, e = pcall(condition.notify, condition)
        assert(_thread.isinstance(e, _thread.RuntimeError))
      end)
      lock:release()
    end)

    it("checks arguments before it waits", function()
      lock:acquire()
      raises(_thread.TypeError, "number", condition.wait, condition, "x")
      raises(_thread.ValueError, "", condition.wait, condition, 0 / 0)
      raises(_thread.ValueError, "n is -1", condition.notify, condition, -1)
      raises(_thread.TypeError, "", condition.wait_for, condition, 1)
      assert.is_true(lock:locked())
      lock:release()
    end)

    it("is waited for as long as the timeout says, and the lock is there again", function()
      lock:acquire()
      for _, timeout in ipairs { 0, -1, 0.005 } do
        assert.is_false(condition:wait(timeout))
        assert.is_true(lock:locked())
      end
      assert.is_false(condition:wait { timeout = 0.001 })
      lock:release()
      assert.equal(0, waiting())
    end)

    it("wakes one, so many, or all, those first that came first", function()
      local handles = waiters(6)
      notify()
      assert.is_true(threads.result(handles[1]))
      assert.equal(5, waiting())
      notify(2)
      assert.is_true(threads.result(handles[2]))
      assert.is_true(threads.result(handles[3]))
      notify(0)
      assert.equal(3, waiting())
      condition:with(condition.notify_all, condition)
      for i = 4, 6 do assert.is_true(threads.result(handles[i])) end
      notify()
      notify(math.maxinteger)
      lock:acquire()
      assert.is_false(condition:wait(0))
      lock:release()
    end)

    it("wakes a crowd", function()
      local handles = waiters(100)
      condition:with(condition.notify_all, condition)
      for _, handle in ipairs(handles) do assert.is_true(threads.result(handle)) end
    end)

    it("has whoever was notified return true, even if his time is up", function()
      local handles = {}
      local there = _thread.Event()
      handles[1] = start(function()
        return condition:with(function()
          there:set()
          return condition:wait(0.05)
        end)
      end)
      assert.is_true(there:wait(threads.LONG))
      local was_there
      condition:with(function()
        was_there = waiting() == 1
        condition:notify()
        _thread.sleep(0.1)
      end)
      assert.equal(was_there, threads.result(handles[1]))
    end)

    it("raises an interrupt once the lock is there again", function()
      threads.quiet(finally)
      local caught, go = _thread.Event(), _thread.Event()
      local handle = start(function()
        local ok, e = pcall(condition.with, condition, function()
          local ok, e = pcall(condition.wait, condition)
          caught:set()
          if not go:wait(60) then return false end
          return condition:notify() or (not ok and error(e))
        end)
        return ok, _thread.isinstance(e, _thread.ValueError)
      end)
      await_waiting(1)
      lock:acquire()
      handle:interrupt(_thread.ValueError)
      assert.is_false(caught:wait(0.02))
      lock:release()
      assert.is_true(caught:wait(threads.LONG))
      assert.is_true(lock:locked())
      go:set()
      assert.same({ false, true }, { threads.result(handle) })
      assert.is_false(lock:locked())
      assert.equal(0, waiting())
    end)

    it("passes a notification on that comes with an interrupt", function()
      threads.quiet(finally)
      for _ = 1, 50 do
        local handles = waiters(2)
        lock:acquire()
        condition:notify()
        handles[1]:interrupt(_thread.ValueError)
        lock:release()
        assert.is_true(handles[1]:join(threads.LONG))
        if not pcall(handles[1].result, handles[1]) then
          assert.is_true(threads.result(handles[2]))
        else
          notify()
          assert.is_true(threads.result(handles[2]))
        end
      end
    end)

    it("waits for what a function says", function()
      local state = _thread.shared { n = 0 }
      local handle = start(function()
        return condition:with(condition.wait_for, condition, function()
          return state.n >= 3 and state.n
        end)
      end)
      for i = 1, 3 do
        await_waiting(1)
        condition:with(function()
          state.n = i
          condition:notify()
        end)
      end
      assert.equal(3, threads.result(handle))
    end)

    it("asks the function once more when the time is up, and returns what it says", function()
      lock:acquire()
      local calls = 0
      local function predicate()
        calls = calls + 1
        return calls == 2 and "in the end"
      end
      assert.equal("in the end", condition:wait_for(predicate, 0.001))
      assert.equal(2, calls)
      assert.is_nil(condition:wait_for(function() calls = calls + 1 end, 0))
      assert.is_false(condition:wait_for(function() return false end, { timeout = 0.001 }))
      assert.equal(3, calls)
      raises(_thread.ValueError, "no", condition.wait_for, condition, function()
        error(_thread.ValueError "no")
      end)
      assert.is_true(lock:locked())
      lock:release()
    end)

    it("is told of in a dump", function()
      local handle = waiters(1)[1]
      assert.is_true(threads.await_blocked(handle.ident))
      local text = ""
      _thread.dump_traceback { write = function(_, more) text = text .. more end }
      local part = threads.part_of_dump(text, handle.ident)
      local address = tostring(condition):match "at (%S+):"
      assert.truthy(part:find("blocked on Condition " .. address .. " for ", 1, true), part)
      notify()
      threads.result(handle)
    end)

    it("loses no item between those who wait for them, whoever leaves", function()
      threads.quiet(finally)
      local box, items = _thread.shared { count = 0, taken = 0, stop = false }, 2000
      local handles = {}
      for i = 1, 4 do
        handles[i] = start(function()
          repeat
            pcall(condition.with, condition, function()
              while box.count == 0 and not box.stop do
                condition:wait(i == 1 and 0.0001 or nil)
              end
              -- A step that no interrupt breaks.
              _thread.shield(function()
                if box.count > 0 then
                  box.count = box.count - 1
                  box.taken = box.taken + 1
                end
              end)
            end)
          until box.stop and box.count == 0
        end)
      end
      for i = 1, items do
        condition:with(function()
          box.count = box.count + 1
          condition:notify()
        end)
        if i % 3 == 0 then handles[2 + i % 2]:interrupt(_thread.ValueError(i)) end
      end
      assert.is_true(threads.eventually(function() return box.taken == items end))
      condition:with(function()
        box.stop = true
        condition:notify_all()
      end)
      for _, handle in ipairs(handles) do assert.is_true(handle:join(threads.LONG)) end
      assert.is_false(lock:locked())
      assert.equal(0, waiting())
    end)

    it("is given up at the end of the script, also where the lock is not to be had", function()
      local output = child(([[
        local _thread = require "lthread"
        local lock, there = _thread.%s(), _thread.Event()
        local condition = _thread.Condition(lock)
        _thread.start_new_thread(function()
          condition:with(function()
            there:set()
            condition:wait()
          end)
        end, {})
        there:wait()
        lock:acquire()
      ]]):format(name == "lock" and "allocate_lock" or name))
      assert.equal("status 0\n", output)
    end)
  end)
end

describe("a Condition with an RLock", function()
  it("releases it as often as it was acquired, and has it so again", function()
    local lock = _thread.RLock()
    local condition = _thread.Condition(lock)
    lock:acquire()
    lock:acquire()
    lock:acquire()
    local handle = start(function()
      return condition:with(function()
        condition:notify()
        return true
      end)
    end)
    assert.is_true(condition:wait(threads.LONG))
    assert.equal(3, lock:_recursion_count())
    assert.is_true(threads.result(handle))
    for _ = 1, 3 do lock:release() end
    assert.is_false(lock:locked())
  end)
end)
