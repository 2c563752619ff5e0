-- What a thread may be doing when it is interrupted.
local _thread = require "lthread"

local activities = {}

-- Each says first that it is there.
activities.computing = {
  ["an empty loop"] = function(there)
    there:release()
    while true do end
  end,
  ["a numeric loop"] = function(there)
    there:release()
    for _ = 1, math.maxinteger do end
  end,
  ["a loop with goto"] = function(there)
    there:release()
    ::again::
    goto again
  end,
  ["a loop that makes garbage"] = function(there)
    there:release()
    while true do local _ = { {} } end
  end,
  ["an endless recursion of tail calls"] = function(there)
    local function again() return again() end
    there:release()
    again()
  end,
  ["calls of a C function"] = function(there)
    there:release()
    while true do (" "):rep(100):gsub(" ", "x") end
  end,
  ["a C function that calls back"] = function(there)
    there:release()
    table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = function()
      return 1
    end, __newindex = function() end }), function() return false end)
  end,
  ["a coroutine that never yields"] = function(there)
    coroutine.wrap(function()
      there:release()
      while true do end
    end)()
  end,
  ["a coroutine of a coroutine"] = function(there)
    coroutine.wrap(function()
      coroutine.wrap(function()
        coroutine.wrap(function()
          there:release()
          while true do end
        end)()
      end)()
    end)()
  end,
  ["coroutines that take turns"] = function(there)
    local function turn() while true do coroutine.yield() end end
    local one, other = coroutine.wrap(turn), coroutine.wrap(turn)
    there:release()
    while true do one() other() end
  end,
  ["new coroutines all the time"] = function(there)
    there:release()
    while true do coroutine.wrap(function() coroutine.wrap(function() end)() end)() end
  end,
  ["a deep nest of pcalls that pass it on"] = function(there)
    local function nest(depth)
      if depth == 0 then
        there:release()
        while true do end
      end
      local ok, e = pcall(nest, depth - 1)
      if not ok then error(e, 0) end
    end
    nest(150)
  end,
}

-- Each is given a lock that nobody releases, the handle of a thread that does not end, and an RLock
-- that another thread has.
activities.waiting = {
  ["acquire"] = function(never) never:acquire() end,
  ["acquire with a timeout"] = function(never) never:acquire(true, 1e6) end,
  ["acquire in a coroutine"] = function(never)
    coroutine.wrap(function() coroutine.wrap(function() never:acquire() end)() end)()
  end,
  ["hold"] = function(never) local _ <close> = never:hold() end,
  ["with"] = function(never) never:with(print) end,
  ["__enter__"] = function(never) never:__enter__() end,
  ["RLock.acquire"] = function(_, _, rlock) rlock:acquire() end,
  ["RLock.hold"] = function(_, _, rlock) local _ <close> = rlock:hold() end,
  ["Barrier.wait"] = function() _thread.Barrier(2):wait() end,
  ["Condition.wait"] = function()
    local condition = _thread.Condition()
    condition:with(condition.wait, condition)
  end,
  ["Event.wait"] = function() _thread.Event():wait() end,
  ["Semaphore.acquire"] = function() _thread.Semaphore(0):acquire() end,
  ["Semaphore.hold"] = function() local _ <close> = _thread.Semaphore(0):hold() end,
  ["join"] = function(_, endless) endless:join() end,
  ["join with a timeout"] = function(_, endless) endless:join(1e6) end,
  ["result"] = function(_, endless) endless:result() end,
  ["sleep"] = function() _thread.sleep(1e6) end,
  ["sleep in a coroutine"] = function() coroutine.wrap(_thread.sleep)(1e6) end,
}

return activities
