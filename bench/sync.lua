-- Events, conditions and barriers: two threads that wake each other, and what they cost alone.

local alone = require "support.alone"
local floor = require "floor"

local count = 5000

-- Seconds for one round of two threads, each of which calls its function as often.
local function rounds_of_two(lthread, ours, other)
  local handle = lthread.start_joinable_thread(function()
    for _ = 1, count do other() end
  end)
  local begin = floor.now()
  for _ = 1, count do ours() end
  local taken = (floor.now() - begin) / count
  handle:join()
  return taken
end

local function events(lthread)
  local there, back = lthread.Event(), lthread.Event()
  return rounds_of_two(lthread, function()
    there:set()
    back:wait()
    back:clear()
  end, function()
    there:wait()
    there:clear()
    back:set()
  end)
end

local function conditions(lthread)
  local condition, turns = lthread.Condition(), lthread.shared { [1] = 0 }
  local function take(turn)
    condition:acquire()
    while turns[1] % 2 ~= turn do condition:wait() end
    turns[1] = turns[1] + 1
    condition:notify()
    condition:release()
  end
  return rounds_of_two(lthread, function() take(0) end, function() take(1) end)
end

local function barriers(lthread)
  local barrier = lthread.Barrier(2)
  return rounds_of_two(lthread, function() barrier:wait() end, function() barrier:wait() end)
end

local function round_trip() return floor.round_trip(count, false) end

local function line_of_two(what, ours, python)
  return {
    what = what, unit = "us", base = "futex round trip", floor = round_trip, ours = ours,
    peers = { python3 = ("%s %d"):format(python, count) },
  }
end

return {
  line_of_two("two events, a round trip", events, "events"),
  line_of_two("a condition, a round trip of wait and notify", conditions, "conditions"),
  line_of_two("a barrier of two, a round", barriers, "barriers"),
  {
    what = "set + is_set + clear of an event", unit = "ns",
    base = "two methods that do nothing",
    floor = function() return alone(floor.nothing()) end,
    ours = function(lthread)
      local event, n = lthread.Event(), 1000000
      local begin = floor.now()
      for _ = 1, n do
        event:set()
        event:is_set()
        event:clear()
      end
      return (floor.now() - begin) / n
    end,
    peers = { python3 = "event 300000" },
  },
}
