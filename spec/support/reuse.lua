-- Threads that run one after the other on one OS thread.
--
-- An OS thread is given the next one only if that wants a stack of the same size. So those of a
-- size that nobody else asks for have one OS thread; unless they come so late that it has gone, or
-- as many others stay as may stay at a time, which go within a second.
local _thread = require "lthread"
local threads = require "support.threads"

local reuse = {}

local SIZE <const> = 1024 * 1024 + 4096

-- Calls f(...) while the threads that are started have stacks of this size. Returns its results.
function reuse.with_stacks_of(size, f, ...)
  local before = _thread.stack_size(size)
  local _ <close> = setmetatable({}, { __close = function() _thread.stack_size(before) end })
  return f(...)
end

-- Runs f(...) in a thread, which must end. Returns its handle and the OS thread's id.
local function run(f, ...)
  local place = _thread.shared()
  local handle = threads.start(function(...)
    place.native_id = _thread.get_native_id()
    return f(...)
  end, ...)
  if not handle:join(threads.LONG) then
    error("the thread has not ended", 0)
  end
  return handle, place.native_id
end

-- Runs earlier(...) in three threads, one after the other, then later(...) in another, until all
-- have had the same OS thread: what is kept from one to the next may be kept from the second on.
-- Returns the handles of the last two. How the earlier ones end is not looked at.
function reuse.both(earlier, later, ...)
  local first, second, is_same
  local function run_all(...)
    local _, id = run(earlier, ...)
    is_same = true
    local function run_next(f, ...)
      local handle, other = run(f, ...)
      is_same = is_same and id == other
      return handle
    end
    run_next(earlier, ...)
    first = run_next(earlier, ...)
    second = run_next(later, ...)
  end
  local limit = _thread.monotonic() + threads.LONG
  repeat
    if _thread.monotonic() > limit then
      error("no OS thread was used again", 2)
    end
    reuse.with_stacks_of(SIZE, run_all, ...)
  until is_same
  return first, second
end

-- The results of the later one.
function reuse.after(earlier, later, ...)
  local _, second = reuse.both(earlier, later, ...)
  return second:result()
end

return reuse
