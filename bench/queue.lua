-- How fast queues are, beside what they are to be compared with, measured in turns in the same run:
--   lua5.4 bench/queue.lua [turns]
-- PYTHON names the CPython to compare with, CC the compiler for the floor. Prints a table in
-- Markdown. Of all turns the best counts, for both sides: what is above it is other processes.

local _thread = require "lthread"
local queue = require "lthread.queue"

local turns = tonumber(arg[1]) or 7
local here = arg[0]:match "^(.*)/" or "."

-- The first number that a command prints, or nil.
local function run(command)
  local pipe <close> = assert(io.popen(command .. " 2>/dev/null"))
  return tonumber(pipe:read "n")
end

local function seconds(f)
  local begin = _thread.monotonic()
  f()
  return _thread.monotonic() - begin
end

-- Both ends begin together, so that the start of the thread is not measured.
local function with_producer(produce, consume)
  local ready, go = _thread.allocate_lock(), _thread.allocate_lock()
  ready:acquire()
  go:acquire()
  local handle = _thread.start_joinable_thread(function()
    ready:release()
    go:acquire()
    produce()
  end)
  ready:acquire()
  return seconds(function()
    go:release()
    consume()
    handle:join()
  end)
end

local python = os.getenv "PYTHON" or "python3"
local python_code = [[
import queue, threading, time
q, n = queue.SimpleQueue(), 1000000
def produce():
    for i in range(n): q.put(i)
thread = threading.Thread(target=produce)
begin = time.perf_counter()
thread.start()
get = q.get
for i in range(n): get()
thread.join()
print(n / (time.perf_counter() - begin) / 1e6)
]]

local function python_rate()
  return run(("'%s' -c '%s'"):format(python, python_code))
end

local function rate()
  local q, n = queue.SimpleQueue(), 3000000
  local taken = with_producer(function()
    for i = 1, n do q:put(i) end
  end, function()
    for _ = 1, n do q:get() end
  end)
  return n / taken / 1e6
end

local function rate_of_many(batch)
  local q, n = queue.SimpleQueue(), 6000000
  local taken = with_producer(function()
    local list = {}
    for i = 1, batch do list[i] = i end
    for _ = 1, n // batch do q:put_many(list) end
  end, function()
    local count = 0
    while count < n do
      count = count + q:get_many(batch).n
    end
  end)
  return n / taken / 1e6
end

local function round_trip()
  local there, back, n = queue.SimpleQueue(), queue.SimpleQueue(), 20000
  return with_producer(function()
    for _ = 1, n do back:put(there:get()) end
  end, function()
    for i = 1, n do
      there:put(i)
      back:get()
    end
  end) / n * 1e6
end

local records = {}
for i = 1, 1000 do
  records[i] = { id = i, name = "item" .. i, tags = { "a", "b", "c" }, v = 1.5 }
end

local function deep_copy(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for k, v in pairs(value) do
    copy[deep_copy(k)] = deep_copy(v)
  end
  return copy
end

local function of_records(move)
  return function()
    local n = 20
    return seconds(function()
      for _ = 1, n do move() end
    end) / n * 1000
  end
end

local q = queue.SimpleQueue()
local copy_records = of_records(function() return deep_copy(records) end)

local floor = os.tmpname()
local compile = "'%s' -O2 -pthread -o '%s' '%s/futex.c'"
local compiled = os.execute(compile:format(os.getenv "CC" or "cc", floor, here))

local function futex_round_trip()
  return compiled and run(("'%s' 20000"):format(floor)) or nil
end

local function none() end

local lines = {
  { what = "1 producer, 1 consumer, integers, M/s", unit = "CPython SimpleQueue",
    floor = python_rate, ours = rate, better = math.max, target = "at least 1.5" },
  { what = "the same by put_many and get_many, 100 each, M/s", unit = "", floor = none,
    ours = function() return rate_of_many(100) end, better = math.max, target = "30 M/s" },
  { what = "the same, 1000 each, M/s", unit = "", floor = none,
    ours = function() return rate_of_many(1000) end, better = math.max, target = "30 M/s" },
  { what = "round trip over two queues, us", unit = "futex", floor = futex_round_trip,
    ours = round_trip, better = math.min, target = "at most 1.1" },
  { what = "1000 records in one message, ms", unit = "deep copy in Lua", floor = copy_records,
    ours = of_records(function()
      q:put(records)
      q:get()
    end), better = math.min, target = "at most 0.7" },
  { what = "1000 records by put_many and get_many, ms", unit = "deep copy in Lua",
    floor = copy_records, ours = of_records(function()
      q:put_many(records)
      q:get_many(1000)
    end), better = math.min, target = "at most 0.7" },
  { what = "1000 records one by one, ms", unit = "deep copy in Lua", floor = copy_records,
    ours = of_records(function()
      for i = 1, 1000 do q:put(records[i]) end
      for _ = 1, 1000 do q:get() end
    end), better = math.min, target = "at most 0.7" },
}

for _ = 1, turns do
  for _, line in ipairs(lines) do
    local low, own = line.floor(), line.ours()
    line.low = low and line.better(low, line.low or low)
    line.own = line.better(own, line.own or own)
  end
end
os.remove(floor)

print "| what | floor | ours | ratio | target |"
print "|---|---|---|---|---|"
for _, line in ipairs(lines) do
  print(("| %s | %s | %.2f | %s | %s |"):format(line.what,
    line.low and ("%.2f (%s)"):format(line.low, line.unit) or "-", line.own,
    line.low and ("%.2f"):format(line.own / line.low) or "-", line.target))
end
