-- What it costs to look into a program: two threads hand a turn over and compute in between, so
-- that they wait more than 10,000 times a second. And what a lock costs that nobody waits for,
-- while a trace is written.

local alone = require "support.alone"

local turns = 4000

-- Seconds for all turns.
local function hand_over()
  local lthread = require "lthread"
  local queue = require "lthread.queue"
  local there, back = queue.Queue(), queue.Queue()
  local function compute()
    local sum = 0
    for i = 1, 12000 do sum = sum + i end
    return sum
  end
  local handle = lthread.start_joinable_thread(function()
    for _ = 1, turns do
      there:get()
      compute()
      back:put(1)
    end
  end)
  local begin = lthread.monotonic()
  for _ = 1, turns do
    compute()
    there:put(1)
    back:get()
  end
  local taken = lthread.monotonic() - begin
  handle:join()
  return taken
end

local function looked_at(what, start)
  return {
    what = "4000 turns, " .. what, unit = "ms", at_most = 1.05, base = "not looked at",
    floor = hand_over,
    ours = function(lthread)
      start(lthread)
      return hand_over()
    end,
  }
end

local function uncontended()
  return alone(require "lthread".lock())
end

return {
  looked_at("traced", function(lthread) lthread.trace_start "/dev/null" end),
  looked_at("contention counted", function(lthread) lthread.contention_start() end),
  looked_at("a profile at 100 Hz", function(lthread) lthread.profile_start(100) end),
  {
    what = "acquire + release, traced", unit = "ns", at_most = 1.1, base = "not traced",
    floor = uncontended,
    ours = function(lthread)
      lthread.trace_start "/dev/null"
      return uncontended()
    end,
  },
}
