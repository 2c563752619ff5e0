-- Locks are released, wherever interrupts strike.
local _thread = require "lthread"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start

setups.alone()
setups.quiet()

describe("a lock that is held", function()
  local function strike(work)
    for _ = 1, 8 do
      local lock, rlock = _thread.allocate_lock(), _thread.RLock()
      local ready, stop = held(), held()
      local handle = start(work, lock, rlock, ready, stop)
      assert.is_true(await(ready))
      local struck = 0
      while struck < 100 and handle:interrupt(_thread.ValueError(struck)) do
        struck = struck + 1
        if struck % 5 == 0 then
          for _, each in ipairs { lock, rlock } do
            assert.is_true(each:acquire(true, threads.LONG), "it is still locked")
            each:release()
          end
        end
      end
      stop:release()
      assert.is_true(handle:join(threads.LONG))
      assert.is_false(lock:locked())
      assert.is_false(rlock:locked())
    end
  end

  -- pcalls within one another: each interrupt that comes between takes away only one.
  local function stubborn(f, stop, depth)
    repeat
      if depth == 0 then f() else pcall(stubborn, f, stop, depth - 1) end
    until not stop:locked()
  end

  it("by hold is released however often interrupts strike", function()
    strike(function(lock, rlock, ready, stop)
      ready:release()
      stubborn(function()
        local _ <close> = lock:hold()
        local _ <close> = rlock:hold()
        local _ <close> = rlock:hold()
      end, stop, 50)
    end)
  end)

  it("by with is released however often interrupts strike", function()
    strike(function(lock, rlock, ready, stop)
      ready:release()
      stubborn(function()
        lock:with(rlock.with, rlock, function() rlock:with(function() end) end)
      end, stop, 50)
    end)
  end)

  it("by hold in a coroutine is released however often interrupts strike", function()
    strike(function(lock, rlock, ready, stop)
      ready:release()
      stubborn(function()
        coroutine.wrap(function()
          local _ <close> = lock:hold()
          local _ <close> = rlock:hold()
        end)()
      end, stop, 50)
    end)
  end)
end)
