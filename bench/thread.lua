-- Starting threads, and how many there can be.

local floor = require "floor"

local function nothing() end

-- Seconds for one call of start_and_join, with a pause after each.
local function mean(count, pause, start_and_join)
  local total = 0
  for _ = 1, count do
    local begin = floor.now()
    start_and_join()
    total = total + floor.now() - begin
    if pause > 0 then floor.sleep(pause) end
  end
  return total / count
end

local function start_line(what, count, pause)
  return {
    what = what, unit = "us", at_most = 0.5,
    base = "C thread with state",
    floor = function()
      return floor.start_and_join(count, pause, true)
    end,
    ours = function(lthread)
      return mean(count, pause, function()
        lthread.start_joinable_thread(nothing):join()
      end)
    end,
    peers = {
      python3 = ("start %d %g"):format(count, pause),
      luv = function(luv)
        return mean(count, pause, function()
          luv.new_thread(nothing):join()
        end)
      end,
      cqueues = function()
        local thread = require "cqueues.thread"
        return mean(count, pause, function()
          thread.start(nothing):join()
        end)
      end,
    },
  }
end

-- Starts so many threads that wait for a lock; when the last one does, calls f. Returns the
-- seconds until then.
local function block(lthread, count, f)
  local gate, ready, handles = lthread.allocate_lock(), lthread.allocate_lock(), {}
  gate:acquire()
  ready:acquire()
  local function wait(is_last)
    if is_last then ready:release() end
    gate:acquire()
    gate:release()
  end
  local begin = floor.now()
  for i = 1, count do
    handles[i] = lthread.start_joinable_thread(wait, { args = { i == count } })
  end
  ready:acquire()
  local taken = floor.now() - begin
  f()
  gate:release()
  for i = 1, count do handles[i]:join() end
  return taken
end

-- Bytes for each of so many threads.
local function memory_each(count, blocked)
  local before, after = floor.memory(), nil
  blocked(count, function()
    floor.sleep(0.2)
    after = floor.memory()
  end)
  return (after - before) / count
end

local function rate_at(count)
  return function(lthread)
    return count / block(lthread or require "lthread", count, nothing)
  end
end

return {
  {
    what = "a C thread without state", unit = "us",
    base = "C thread with state",
    floor = function() return floor.start_and_join(500, 0, true) end,
    ours = function() return floor.start_and_join(500, 0, false) end,
  },
  start_line("start + join, back to back", 500, 0),
  start_line("start + join, with pauses of 2 ms", 60, 0.002),
  {
    what = "1,000 blocked threads, memory of each", unit = "KB", at_most = 1.1, rounds = 5,
    base = "C threads with states",
    floor = function() return memory_each(1000, floor.block) end,
    ours = function(lthread)
      return memory_each(1000, function(...) return block(lthread, ...) end)
    end,
    peers = { python3 = "memory 1000" },
  },
  {
    what = "10,000 blocked threads, starts a second", unit = "/s", at_least = 1, rounds = 5,
    base = "1,000 of ours",
    floor = rate_at(1000), ours = rate_at(10000),
  },
  {
    what = "10,000 blocked threads, against C", unit = "/s", rounds = 5,
    base = "10,000 C threads with states",
    floor = function() return 10000 / floor.block(10000, nothing) end,
    ours = rate_at(10000),
  },
}
