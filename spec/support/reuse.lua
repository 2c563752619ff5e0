-- Threads that run one after the other on one OS thread.
local _thread = require "lthread"
local threads = require "support.threads"

local reuse = {}

local function run(place, f, ...)
  place.native_id = _thread.get_native_id()
  return f(...)
end

local function start(f, ...)
  local place = _thread.shared()
  local handle = threads.start(run, place, f, ...)
  if not handle:join(threads.LONG) then
    error("the thread has not ended", 0)
  end
  return handle, place.native_id
end

-- Starts and joins a thread that calls earlier(...), then one that calls later(...), as often as
-- it takes until both have run on the same OS thread. Returns their handles. How an earlier one
-- ends is not looked at.
function reuse.both(earlier, later, ...)
  for try = 1, 200 do
    local first, one = start(earlier, ...)
    -- The OS thread gets ready for the next one; if another one is sooner, that is given the work.
    _thread.sleep(try * 0.0005)
    local second, other = start(later, ...)
    if one and one == other then
      return first, second
    end
  end
  error("no OS thread was used again", 2)
end

-- The results of the later one.
function reuse.after(earlier, later, ...)
  local _, second = reuse.both(earlier, later, ...)
  return second:result()
end

return reuse
