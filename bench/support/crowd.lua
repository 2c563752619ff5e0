-- Crowds: many threads that use one object over and over. Both rates are of the library: the floor
-- is what two threads get.

local floor = require "floor"

local crowd = {}

local crowd_time = 0.3

-- How often this thread uses the object until the time is up, and its longest wait.
local function use_it(use, object, gate, time)
  local now = require "floor".now
  require "floor".pin()
  gate:acquire()
  gate:release()
  local count, longest, stop, before = 0, 0, time.stop, now()
  repeat
    use(object)
    local after = now()
    longest = math.max(longest, after - before)
    count, before = count + 1, after
  until after >= stop
  return count, longest
end

-- The uses of all a second, and the longest wait of any.
local function measure(threads, new, use)
  local lthread = require "lthread"
  local object, gate, time = new(lthread), lthread.allocate_lock(), lthread.shared()
  local handles = {}
  gate:acquire()
  for i = 1, threads do
    handles[i] = lthread.start_joinable_thread(use_it, { args = { use, object, gate, time } })
  end
  floor.sleep(0.05)
  time.stop = floor.now() + crowd_time
  gate:release()
  local total, longest = 0, 0
  for _, handle in ipairs(handles) do
    local count, wait = handle:result()
    total, longest = total + count, math.max(longest, wait)
  end
  return total / crowd_time, longest
end

-- Appends to a part of the benchmark the lines of 64 and of 400 threads.
function crowd.append(lines, what, new, use)
  for _, threads in ipairs { 64, 400 } do
    lines[#lines + 1] = {
      what = ("%s, %d threads"):format(what, threads), unit = "M/s", at_least = 0.5, rounds = 5,
      base = "two threads",
      floor = function() return (measure(2, new, use)) end,
      ours = function() return (measure(threads, new, use)) end,
    }
    lines[#lines + 1] = {
      what = ("the longest wait of %d threads"):format(threads), unit = "ms", rounds = 5,
      base = "two threads",
      floor = function() return (select(2, measure(2, new, use))) end,
      ours = function() return (select(2, measure(threads, new, use))) end,
    }
  end
  return lines
end

return crowd
