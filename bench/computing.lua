-- Lua code that runs long in a thread: on several processors, and with much to allocate.

local floor = require "floor"

local size = 5000000

local function compute(n)
  local x, found = 1, 0
  for _ = 1, n do
    x = (x * 1103515245 + 12345) & 0x7fffffff
    if x % 7 == 0 then found = found + 1 end
  end
  return found
end

-- Turns of the loop in a second, of all threads together.
local function rate(lthread, threads)
  local handles, begin = {}, floor.now()
  for i = 1, threads do
    handles[i] = lthread.start_joinable_thread(compute, { args = { size } })
  end
  for i = 1, threads do handles[i]:join() end
  return threads * size / (floor.now() - begin)
end

local function in_two(lthread)
  return rate(lthread, 2)
end

local function rate_of_c(threads)
  local begin = floor.now()
  floor.run(threads, string.dump(compute), size)
  return threads * size / (floor.now() - begin)
end

-- Makes a million small tables, of which the last 'kept' are in use; returns the rate.
local function allocate(kept)
  local now = require "floor".now
  local begin, tables = now(), {}
  for i = 1, 1000000 do
    tables[i % kept] = { i, name = "x" }
  end
  local taken = now() - begin
  assert(#tables > 0)
  return 1000000 / taken
end

local function allocation_line(what, kept)
  return {
    what = what, unit = "M/s", at_least = 1.25,
    base = "stock interpreter",
    floor = function() return allocate(kept) end,
    ours = function(lthread)
      return lthread.start_joinable_thread(allocate, { args = { kept } }):result()
    end,
  }
end

return {
  {
    what = "a function that computes, in 2 threads", unit = "M/s", at_least = 1.97,
    base = "1 thread of ours",
    floor = function() return rate(require "lthread", 1) end,
    ours = in_two,
  },
  {
    what = "a function that computes, against C", unit = "M/s",
    base = "2 C threads with states",
    floor = function() return rate_of_c(2) end,
    ours = in_two,
  },
  {
    what = "2 C threads that compute", unit = "M/s",
    base = "1 C thread with state",
    floor = function() return rate_of_c(1) end,
    ours = function() return rate_of_c(2) end,
  },
  allocation_line("a million small tables, 1,000 in use", 1000),
  allocation_line("a million small tables, all in use", 1000001),
}
