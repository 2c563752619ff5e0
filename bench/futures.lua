-- Pools of threads: what a task costs, a map of many small ones, and what two threads gain.

local floor = require "floor"

-- Seconds for one round trip of a message over two queues.
local function round_trip(lthread, message)
  local SimpleQueue = require "lthread.queue".SimpleQueue
  local there, back, count = SimpleQueue(), SimpleQueue(), 3000
  local handle = lthread.start_joinable_thread(function()
    for _ = 1, count do
      there:get()
      back:put(1)
    end
  end)
  there:put(message)
  back:get()
  local begin = floor.now()
  for _ = 2, count do
    there:put(message)
    back:get()
  end
  local taken = floor.now() - begin
  handle:join()
  return taken / (count - 1)
end

local function empty() end

-- Seconds for one task of a pool with one thread.
local function submit_and_result(f)
  local futures = require "lthread.futures"
  local pool <close> = futures.ThreadPoolExecutor { max_workers = 1 }
  local count = 3000
  pool:submit(f):result()
  local begin = floor.now()
  for _ = 1, count do pool:submit(f):result() end
  return (floor.now() - begin) / count
end

-- Items a second.
local function map_integers()
  local futures = require "lthread.futures"
  local pool <close> = futures.ThreadPoolExecutor { max_workers = 2 }
  local list, count = {}, 100000
  for i = 1, count do list[i] = i end
  pool:submit(empty):result()
  local begin, sum = floor.now(), 0
  for _, n in pool:map(function(n) return n end, list, { chunksize = 100 }) do sum = sum + n end
  local taken = floor.now() - begin
  assert(sum == count * (count + 1) // 2)
  return count / taken
end

local function compute(n)
  local x, found = 1, 0
  for _ = 1, n do
    x = (x * 1103515245 + 12345) & 0x7fffffff
    if x % 7 == 0 then found = found + 1 end
  end
  return found
end

-- Tasks a second, of a pool of so many threads.
local function compute_in(threads)
  local futures = require "lthread.futures"
  local pool <close> = futures.ThreadPoolExecutor { max_workers = threads }
  local count, sizes = 16, {}
  for i = 1, count do sizes[i] = 500000 end
  local begin = floor.now()
  for _ in pool:map(compute, sizes) do end -- luacheck: ignore (an empty body)
  return count / (floor.now() - begin)
end

return {
  {
    what = "submit + result of an empty function", unit = "us", at_most = 1.5,
    base = "the function over two queues",
    floor = function() return round_trip(require "lthread", empty) end,
    ours = function() return submit_and_result(empty) end,
    peers = { python3 = "submit 3000" },
  },
  {
    what = "submit + result of a task of it", unit = "us",
    base = "an integer over two queues",
    floor = function() return round_trip(require "lthread", 1) end,
    ours = function() return submit_and_result(require "lthread.futures".task(empty)) end,
  },
  {
    what = "map over 100,000 integers, 100 a chunk", unit = "M/s", at_least = 3e6, absolute = true,
    ours = map_integers,
    peers = { python3 = "map 100000" },
  },
  {
    what = "a pool of 2 that computes", unit = "/s", at_least = 1.95,
    base = "a pool of 1",
    floor = function() return compute_in(1) end,
    ours = function() return compute_in(2) end,
  },
}
