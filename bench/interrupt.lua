-- Interrupts: how soon they arrive, and what it costs that they can.

-- Called in a thread, until they are interrupted.
local function compute(ready)
  ready:release()
  while true do end
end

local function compute_in_coroutine(ready)
  coroutine.wrap(function()
    ready:release()
    while true do end
  end)()
end

local function wait_for_lock(ready, gate)
  ready:release()
  gate:acquire()
end

-- Seconds from the interrupt to the return of the pcall around 'work', as the share of 1,000 has
-- them at most.
local function latency(lthread, work, share)
  local count, ready, gate = 1000, lthread.allocate_lock(), lthread.allocate_lock()
  ready:acquire()
  gate:acquire()
  local handle = lthread.start_joinable_thread(function()
    local monotonic, times = lthread.monotonic, {}
    for i = 1, count do
      pcall(work, ready, gate)
      times[i] = monotonic()
    end
    return times
  end)
  local times = {}
  for i = 1, count do
    ready:acquire()
    times[i] = lthread.monotonic()
    lthread.interrupt(handle.ident, lthread.Exception)
  end
  for i, arrived in ipairs(handle:result()) do times[i] = arrived - times[i] end
  table.sort(times)
  return times[math.ceil(share * count)]
end

local function latency_line(what, work, share)
  return {
    what = ("interrupt of %s, %s"):format(what, share == 0.5 and "median" or "99 of 100"),
    unit = "us", rounds = 3,
    ours = function(lthread) return latency(lthread, work, share) end,
  }
end

-- Turns of a loop in a second.
local function loop_rate()
  local now = require "floor".now
  local begin, x, turns = now(), 1, 10000000
  for _ = 1, turns do
    x = (x * 1103515245 + 12345) & 0x7fffffff
  end
  return turns / (now() - begin)
end

return {
  latency_line("a loop", compute, 0.5),
  latency_line("a loop", compute, 0.99),
  latency_line("a loop in a coroutine", compute_in_coroutine, 0.5),
  latency_line("a loop in a coroutine", compute_in_coroutine, 0.99),
  latency_line("a wait for a lock", wait_for_lock, 0.5),
  latency_line("a wait for a lock", wait_for_lock, 0.99),
  {
    what = "a loop that nobody interrupts", unit = "M/s", at_least = 0.98, rounds = 7,
    base = "stock interpreter",
    floor = loop_rate,
    ours = function(lthread) return lthread.start_joinable_thread(loop_rate):result() end,
  },
}
