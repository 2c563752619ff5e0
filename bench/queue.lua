-- Queues: how many messages pass, how long one takes, and what a large one costs.

local floor = require "floor"
local records = require "support.records"

-- Seconds until produce, in a thread of its own, and consume have ended. Both begin together, so
-- that the start of the thread is not measured.
local function with_producer(lthread, produce, consume)
  local ready, go = lthread.allocate_lock(), lthread.allocate_lock()
  ready:acquire()
  go:acquire()
  local handle = lthread.start_joinable_thread(function()
    ready:release()
    go:acquire()
    produce()
  end)
  ready:acquire()
  local begin = floor.now()
  go:release()
  consume()
  handle:join()
  return floor.now() - begin
end

-- Integers a second.
local function rate(lthread)
  local queue, count = require "lthread.queue".SimpleQueue(), 1000000
  return count / with_producer(lthread, function()
    for i = 1, count do queue:put(i) end
  end, function()
    for _ = 1, count do queue:get() end
  end)
end

-- The same by so many at a time.
local function rate_of_many(lthread, batch)
  local queue, count = require "lthread.queue".SimpleQueue(), 1000000
  return count / with_producer(lthread, function()
    local list = {}
    for i = 1, batch do list[i] = i end
    for _ = 1, count // batch do queue:put_many(list) end
  end, function()
    local got = 0
    while got < count do
      got = got + queue:get_many(batch).n
    end
  end)
end

-- Seconds for one round trip over two queues.
local function round_trip(lthread)
  local SimpleQueue = require "lthread.queue".SimpleQueue
  local there, back, count = SimpleQueue(), SimpleQueue(), 5000
  return with_producer(lthread, function()
    for _ = 1, count do back:put(there:get()) end
  end, function()
    for i = 1, count do
      there:put(i)
      back:get()
    end
  end) / count
end

-- Seconds for one call of move, with a list of 1,000 records.
local function of_records(move)
  local list, count = records.new(1000), 25
  local begin = floor.now()
  for _ = 1, count do move(list) end
  return (floor.now() - begin) / count
end

local function records_line(what, move)
  return {
    what = what, unit = "ms", at_most = 0.7,
    base = "deep copy in Lua",
    floor = function() return of_records(records.deep_copy) end,
    ours = function()
      local queue = require "lthread.queue".SimpleQueue()
      return of_records(function(list) move(queue, list) end)
    end,
    peers = {
      cjson = function(cjson)
        return of_records(function(list) return cjson.decode(cjson.encode(list)) end)
      end,
    },
  }
end

local lines = {
  {
    what = "queue, 1 producer, 1 consumer, integers", unit = "M/s", at_least = 1.5,
    base = "CPython SimpleQueue",
    floor = "queue 1000000", ours = rate,
  },
  {
    what = "queue, integers by 100 at a time", unit = "M/s", at_least = 30e6, absolute = true,
    ours = function(lthread) return rate_of_many(lthread, 100) end,
  },
  {
    what = "queue, integers by 1,000 at a time", unit = "M/s", at_least = 30e6, absolute = true,
    ours = function(lthread) return rate_of_many(lthread, 1000) end,
  },
  {
    what = "round trip over two queues", unit = "us", at_most = 1.1, rounds = 7,
    base = "futex round trip",
    floor = function() return floor.round_trip(5000, false) end,
    ours = round_trip,
  },
  records_line("1,000 records through a queue", function(queue, list)
    queue:put(list)
    queue:get()
  end),
  records_line("1,000 records by put_many, get_many", function(queue, list)
    queue:put_many(list)
    queue:get_many(#list)
  end),
  records_line("1,000 records through a queue, one by one", function(queue, list)
    for i = 1, #list do queue:put(list[i]) end
    for _ = 1, #list do queue:get() end
  end),
}

local function new_queue()
  return require "lthread.queue".Queue()
end

return require "support.crowd".append(lines, "put + get, on one queue", new_queue, function(queue)
  queue:put(1)
  queue:get()
end)
