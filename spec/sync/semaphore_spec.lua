local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"
local raises, start = threads.raises, threads.start

local function value_of(semaphore)
  return tonumber(tostring(semaphore):match "value=(%d+)")
end

-- What all kinds have.
for _, name in ipairs { "Semaphore", "BoundedSemaphore" } do
  local class = _thread[name]

  describe("a " .. name, function()
    it("is of the class that makes it", function()
      local semaphore = class()
      assert.is_true(_thread.isinstance(semaphore, class))
      assert.is_true(_thread.isinstance(semaphore, _thread.Semaphore))
      assert.equal(name == "BoundedSemaphore",
        _thread.isinstance(semaphore, _thread.BoundedSemaphore))
      assert.matches("^<_thread." .. name .. " object at .*: value=1", tostring(semaphore))
    end)

    it("has one unit, or as many as it is given", function()
      assert.equal(1, value_of(class()))
      assert.equal(0, value_of(class(0)))
      assert.equal(7, value_of(class { value = 7 }))
    end)

    it("refuses what is no number of units", function()
      raises(_thread.ValueError, "value is -1", class, -1)
      raises(_thread.ValueError, "value is " .. math.mininteger, class, math.mininteger)
      raises(_thread.TypeError, "", class, "x")
      raises(_thread.TypeError, "", class, 1.5)
      raises(_thread.TypeError, "_thread.Semaphore expected", class().acquire, _thread.RLock())
    end)

    it("gives as many units as it has", function()
      local semaphore = class(3)
      for _ = 1, 3 do assert.is_true(semaphore:acquire()) end
      assert.is_false(semaphore:acquire(false))
      assert.is_false(semaphore:acquire { blocking = false })
      assert.is_false(semaphore:acquire(true, 0.001))
      assert.is_false(semaphore:acquire { timeout = 0 })
      semaphore:release()
      assert.is_true(semaphore:acquire { timeout = 1 })
      assert.equal(0, value_of(semaphore))
    end)

    it("has the arguments that locks have", function()
      local semaphore = class()
      raises(_thread.ValueError, "non-blocking", semaphore.acquire, semaphore, false, 1)
      raises(_thread.ValueError, "", semaphore.acquire, semaphore, true, 0 / 0)
      raises(_thread.TypeError, "", semaphore.acquire, semaphore, 0.5)
      assert.equal(1, value_of(semaphore))
    end)

    it("gets several units back at once", function()
      local semaphore = class(3)
      for _ = 1, 3 do semaphore:acquire() end
      semaphore:release(2)
      assert.equal(2, value_of(semaphore))
      semaphore:release { n = 1 }
      assert.equal(3, value_of(semaphore))
      for _, n in ipairs { 0, -1, math.mininteger } do
        raises(_thread.ValueError, "n is " .. n, semaphore.release, semaphore, n)
      end
      assert.equal(3, value_of(semaphore))
    end)

    it("wakes as many as it gets units", function()
      local semaphore, got = class(3), _thread.shared { count = 0 }
      for _ = 1, 3 do semaphore:acquire() end
      local handles = {}
      for i = 1, 5 do
        handles[i] = start(function()
          semaphore:acquire()
          _thread.add(got, "count", 1)
        end)
        assert.is_true(threads.await_blocked(handles[i].ident))
      end
      semaphore:release(3)
      assert.is_true(threads.eventually(function() return got.count == 3 end))
      assert.equal(0, value_of(semaphore))
      semaphore:release(2)
      for _, handle in ipairs(handles) do assert.is_true(handle:join(threads.LONG)) end
      assert.equal(5, got.count)
      assert.equal(0, value_of(semaphore))
    end)

    it("is the same one in every thread, and released by any", function()
      local semaphore = class()
      semaphore:acquire()
      local same = threads.call(function()
        semaphore:release()
        return semaphore
      end)
      assert.equal(semaphore, same)
      assert.equal(1, value_of(semaphore))
    end)

    it("is held until the end of a scope or call, however that ends", function()
      local semaphore = class(2)
      do
        local _ <close> = semaphore:hold()
        assert.equal(1, value_of(semaphore))
        local function look(x) return value_of(semaphore), x end
        assert.same({ 0, "x" }, { semaphore:with(look, "x") })
      end
      assert.equal(2, value_of(semaphore))
      assert.is_false(pcall(semaphore.with, semaphore, error))
      assert.is_false(pcall(function()
        local _ <close> = semaphore:hold()
        error "no"
      end))
      assert.equal(2, value_of(semaphore))
      raises(_thread.TypeError, "hold()", function() local _ <close> = semaphore end)
      raises(_thread.TypeError, "", semaphore.hold, semaphore, 1)
      raises(_thread.TypeError, "", semaphore.with, semaphore, 1)
      assert.equal(2, value_of(semaphore))
    end)

    it("gets back what a dropped coroutine has held", function()
      local semaphore = class()
      coroutine.wrap(function()
        local _ <close> = semaphore:hold()
        coroutine.yield()
      end)()
      assert.is_false(semaphore:acquire(false))
      collectgarbage()
      collectgarbage()
      assert.is_true(semaphore:acquire(false))
    end)

    it("is told of in a dump", function()
      local semaphore = class(0)
      local handle = start(semaphore.acquire, semaphore)
      assert.is_true(threads.await_blocked(handle.ident))
      local text = ""
      _thread.dump_traceback { write = function(_, more) text = text .. more end }
      local part = threads.part_of_dump(text, handle.ident)
      local address = tostring(semaphore):match "at (%S+):"
      assert.truthy(part:find("blocked on Semaphore " .. address .. " for ", 1, true), part)
      handle:interrupt()
      assert.is_true(handle:join(threads.LONG))
    end)

    it("never has fewer units, or more, than are not taken", function()
      local semaphore, inside = class(2), _thread.shared { count = 0, most = 0 }
      local handles = {}
      for i = 1, 4 do
        handles[i] = start(function()
          for _ = 1, 3000 do
            local _ <close> = semaphore:hold()
            local count = _thread.add(inside, "count", 1)
            if count > inside.most then inside.most = count end
            _thread.add(inside, "count", -1)
          end
          return true
        end)
      end
      for _, handle in ipairs(handles) do assert.is_true(threads.result(handle)) end
      assert.is_true(inside.most <= 2)
      assert.equal(2, value_of(semaphore))
    end)

    it("loses no unit, wherever interrupts strike and time is up", function()
      threads.quiet(finally)
      local semaphore, stop = class(2), _thread.Event()
      local handles = {}
      for i = 1, 4 do
        handles[i] = start(function()
          while not stop:is_set() do
            pcall(function()
              if i == 1 then
                for _ = 1, 100 do
                  if semaphore:acquire(true, 0.00001) then semaphore:release() end
                end
              else
                for _ = 1, 100 do local _ <close> = semaphore:hold() end
              end
            end)
          end
        end)
      end
      for round = 1, 300 do
        for i = 2, 4 do handles[i]:interrupt(_thread.ValueError(round)) end
        if round % 50 == 0 then
          assert.is_true(semaphore:acquire(true, threads.LONG))
          semaphore:release()
        end
      end
      stop:set()
      for _, handle in ipairs(handles) do assert.is_true(handle:join(threads.LONG)) end
      assert.equal(2, value_of(semaphore))
    end)

    it("is given up by those who wait at the end of the script", function()
      local output = child(([[
        local _thread = require "lthread"
        local semaphore, there = _thread.%s(0), _thread.Event()
        _thread.start_new_thread(function()
          there:set()
          local _ <close> = semaphore:hold()
        end, {})
        there:wait()
      ]]):format(name))
      assert.equal("status 0\n", output)
    end)
  end)
end

describe("a Semaphore", function()
  it("has as many units as it gets", function()
    local semaphore = _thread.Semaphore(0)
    semaphore:release(5)
    semaphore:release()
    assert.equal(6, value_of(semaphore))
  end)

  it("has no more units than it can count", function()
    local semaphore = _thread.Semaphore(math.maxinteger)
    raises(_thread.OverflowError, "count", semaphore.release, semaphore)
    assert.is_true(semaphore:acquire())
    raises(_thread.OverflowError, "count", semaphore.release, semaphore, math.maxinteger)
    semaphore:release()
    assert.equal(math.maxinteger, value_of(semaphore))
  end)

  it("lets nobody starve", function()
    local semaphore, stop = _thread.Semaphore(1), _thread.Event()
    local greedy = start(function()
      while not stop:is_set() do
        semaphore:acquire()
        semaphore:release()
      end
    end)
    for _ = 1, 20 do
      assert.is_true(semaphore:acquire(true, threads.LONG))
      semaphore:release()
    end
    stop:set()
    assert.is_true(greedy:join(threads.LONG))
  end)
end)

describe("a BoundedSemaphore", function()
  it("never gets more units than it had, and then none of them", function()
    local semaphore = _thread.BoundedSemaphore(3)
    raises(_thread.ValueError, "too many times", semaphore.release, semaphore)
    semaphore:acquire()
    raises(_thread.ValueError, "had 3", semaphore.release, semaphore, 2)
    raises(_thread.ValueError, "had 3", semaphore.release, semaphore, math.maxinteger)
    assert.equal(2, value_of(semaphore))
    semaphore:release()
    assert.equal(3, value_of(semaphore))
  end)

  it("of no unit gets none", function()
    local semaphore = _thread.BoundedSemaphore(0)
    raises(_thread.ValueError, "had 0", semaphore.release, semaphore)
    assert.is_false(semaphore:acquire(false))
  end)

  it("tells at the end of a scope if the unit was given back within", function()
    local semaphore = _thread.BoundedSemaphore()
    raises(_thread.RuntimeError, "too many times", semaphore.with, semaphore, semaphore.release,
      semaphore)
    assert.equal(1, value_of(semaphore))
  end)
end)
