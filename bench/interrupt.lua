-- What interrupts cost: how soon a thread that is interrupted raises, and that one that nobody
-- interrupts computes as fast as plain Lua.
-- usage: lua5.4 bench/interrupt.lua [interrupts = 1000 [rounds = 25]]
local _thread = require "lthread"

local COUNT <const> = tonumber(arg[1]) or 1000
local ROUNDS <const> = tonumber(arg[2]) or 25
local LOOP <const> = 4000000

-- The clock is the same in all threads. Each interrupt is timed from the call of interrupt to the
-- first instruction after the pcall that has caught it.

local function compute(there)
  there:release()
  while true do end
end

local function compute_in_coroutine(there)
  coroutine.wrap(function()
    coroutine.wrap(function()
      there:release()
      while true do end
    end)()
  end)()
end

local function block(there, never)
  there:release()
  never:acquire()
end

-- Sends the time of each catch back through the result: the i-th interrupt waits for 'there'.
local function victim(f, there, never, count)
  local caught = {}
  for i = 1, count do
    pcall(f, there, never)
    caught[i] = _thread.monotonic()
  end
  return caught
end

local function is_blocked(ident)
  for _, info in ipairs(_thread.enumerate()) do
    if info.ident == ident then return info.state == "blocked" end
  end
end

-- A list of latencies in microseconds, sorted.
local function latencies(f, blocks)
  local there, never = _thread.allocate_lock(), _thread.allocate_lock()
  there:acquire()
  never:acquire()
  local handle = _thread.start_joinable_thread(victim, { args = { f, there, never, COUNT } })
  local sent = {}
  for i = 1, COUNT do
    there:acquire()
    if blocks then
      while not is_blocked(handle.ident) do end
    else
      _thread.sleep(0.0002) -- into the midst of the loop
    end
    sent[i] = _thread.monotonic()
    handle:interrupt(_thread.Exception)
  end
  local caught, list = handle:result(), {}
  for i = 1, COUNT do
    list[i] = (caught[i] - sent[i]) * 1e6
  end
  table.sort(list)
  return list
end

local function quantile(list, part)
  return list[math.max(1, math.ceil(#list * part))]
end

-- A loop of calls, arithmetic and table accesses, and how much processor time it takes. While a
-- thread runs it the main one is blocked, so the time of the process is that of the thread.
local loop = ([[
  local clock = os.clock
  local t, sum = {}, 0
  local function step(x) return x * 3 % 7 end
  local begin = clock()
  for i = 1, COUNT do
    t[i & 15] = i
    sum = sum + (t[i >> 1 & 15] or 0) % 5
    if i & 7 == 0 then sum = sum + step(i) end
  end
  return clock() - begin
]]):gsub("COUNT", LOOP)

local function in_thread()
  return _thread.start_joinable_thread(load(loop)):result()
end

-- Plain Lua is a process of its own that never loads lthread.
local function in_plain_lua(path)
  local pipe <close> = assert(io.popen(("'%s' -e \"print(dofile('%s'))\""):format(arg[-1], path)))
  return pipe:read "n"
end

-- One after the other, round by round, so that a disturbance meets both.
local function ratios_of_loops()
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(loop)
  file:flush()
  local ratios = {}
  for i = 1, ROUNDS do
    local before, ours, after = in_plain_lua(path), in_thread(), in_plain_lua(path)
    ratios[i] = ours / ((before + after) / 2)
  end
  os.remove(path)
  table.sort(ratios)
  return ratios
end

local function row(what, list, target)
  print(("| %s | %.1f us | %.1f us | %s |"):format(what, quantile(list, 0.5), quantile(list, 0.99),
    target))
end

print(("%d interrupts each, %d rounds of the loop, %d processors\n"):format(COUNT, ROUNDS,
  _thread.cpu_count()))
print "| interrupt into | median | p99 | target |"
print "|---|---|---|---|"
row("a computing loop", latencies(compute), "1000 us")
row("a computing loop in a coroutine", latencies(compute_in_coroutine), "1000 us")
row("a blocked acquire", latencies(block, true), "1000 us")
local ratios = ratios_of_loops()
print "\n| loop | median | least | most | target |"
print "|---|---|---|---|---|"
print(("| in a thread of lthread / in plain Lua | %.3f | %.3f | %.3f | 1.00 |"):format(
  quantile(ratios, 0.5), ratios[1], ratios[#ratios]))
