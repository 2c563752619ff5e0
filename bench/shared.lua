-- The speed of shared tables, against userdata whose metamethods do nothing, in one run.
-- usage: make bench-shared
local _thread = require "lthread"

local ROUNDS = 9

-- The work of one thread. Returns when it began and when it ended.
local function get_and_set(open, count)
  local t = open()
  for i = 1, 10000 do local _ = t.x t.x = i end
  local begin = _thread.monotonic()
  for i = 1, count do local _ = t.x t.x = i end
  return begin, _thread.monotonic()
end

local function get(open, count)
  local t = open()
  for _ = 1, 10000 do local _ = t.x end
  local begin = _thread.monotonic()
  for _ = 1, count do local _ = t.x end
  return begin, _thread.monotonic()
end

-- Nanoseconds for each operation, of all threads together.
local function time(thread_count, work, opens, count)
  local threads, first, last = {}, math.huge, 0
  for i = 1, thread_count do
    threads[i] = _thread.start_joinable_thread(work, {args = {opens[i], count}})
  end
  for i = 1, thread_count do
    local begin, finish = threads[i]:result()
    first, last = math.min(first, begin), math.max(last, finish)
  end
  return (last - first) / (count * thread_count) * 1e9
end

local one, other = _thread.shared {x = 1}, _thread.shared {x = 1}
local function floor() return require "floor_shared" end
local function open_one() return one end
local function open_other() return other end

local best = {}
local function measure(name, ...)
  best[name] = math.min(best[name] or math.huge, time(...))
end

local COUNT = 1000000
for _ = 1, ROUNDS do
  measure("floor 1", 1, get_and_set, {floor}, COUNT)
  measure("table 1", 1, get_and_set, {open_one}, COUNT)
  measure("floor 2", 2, get_and_set, {floor, floor}, COUNT)
  measure("tables 2", 2, get_and_set, {open_one, open_other}, COUNT)
  measure("same 2", 2, get_and_set, {open_one, open_one}, COUNT // 4)
end
for _ = 1, ROUNDS do
  measure("floor read 1", 1, get, {floor}, COUNT)
  measure("read 1", 1, get, {open_one}, COUNT)
  measure("floor read 2", 2, get, {floor, floor}, COUNT)
  measure("read 2", 2, get, {open_one, open_one}, COUNT)
end

-- A live heap: so many shared tables, each referred to once.
local function collection(count)
  local root = _thread.shared()
  for i = 1, count // 1000 do
    local list = {}
    for j = 1, 1000 do list[j] = {number = j} end
    root[i] = list
  end
  collectgarbage()
  local most, result = math.huge, nil
  for _ = 1, 3 do
    local run = _thread.collect()
    if run.seconds < most then most, result = run.seconds, run end
  end
  return result
end

local run = collection(1000000)
local G = _thread.globals
G.f = function() end
local function calls(count)
  local begin = _thread.monotonic()
  for _ = 1, count do local _ = G.f end
  return (_thread.monotonic() - begin) / count * 1e9
end

print "| what | measured | target | floor in this run |"
print "|---|---|---|---|"
local function row(what, format, measured, target, reference)
  print(("| %s | %s | %s | %s |"):format(what, format:format(measured), target, reference or ""))
end
local function scale(name_1, name_2)
  return best[name_1] / best[name_2]
end
row("get + set, one thread, times the floor", "%.2f", best["table 1"] / best["floor 1"],
  "at most 2.5")
row("get + set, one thread", "%.0f ns", best["table 1"], "under 150 ns",
  ("%.0f ns"):format(best["floor 1"]))
row("two threads on two tables, times the throughput of one", "%.2f",
  scale("table 1", "tables 2"), "1.9", ("%.2f"):format(scale("floor 1", "floor 2")))
row("two readers of one table, times the throughput of one", "%.2f",
  scale("read 1", "read 2"), "1.7", ("%.2f"):format(scale("floor read 1", "floor read 2")))
row("get + set by two threads on one table", "%.0f ns", best["same 2"], "")
row("get of a function", "%.0f ns", calls(1000000), "")
row(("collection with %d live tables"):format(run.objects), "%.0f ms", run.seconds * 1000, "")
row("longest time it held one table", "%.0f us", run.longest_step * 1e6, "")
