-- What interrupts cost: how soon a thread that is interrupted raises, and that one that nobody
-- interrupts computes as fast as plain Lua.
-- usage: lua5.4 bench/interrupt.lua [interrupts = 1000 [rounds = 15]]
local _thread = require "lthread"

local COUNT <const> = tonumber(arg[1]) or 1000
local ROUNDS <const> = tonumber(arg[2]) or 15
local LOOP <const> = 20000000

-- The clock is the same in all threads: each interrupt is timed from the call of interrupt to the
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

-- A loop of calls, arithmetic and table accesses, and how long it takes by its thread's clock.
local function loop(count)
  local clock = _thread.monotonic
  local t, sum = {}, 0
  local function step(x) return x * 3 % 7 end
  local begin = clock()
  for i = 1, count do
    t[i & 15] = i
    sum = sum + (t[i >> 1 & 15] or 0) % 5
    if i & 7 == 0 then sum = sum + step(i) end
  end
  return clock() - begin, sum
end

-- Plain Lua is a process of its own that never loads lthread.
local function in_plain_lua(count)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(([[
    local clock = os.clock
    local t, sum = {}, 0
    local function step(x) return x * 3 %% 7 end
    local begin = clock()
    for i = 1, %d do
      t[i & 15] = i
      sum = sum + (t[i >> 1 & 15] or 0) %% 5
      if i & 7 == 0 then sum = sum + step(i) end
    end
    print(clock() - begin)
  ]]):format(count))
  file:flush()
  local pipe <close> = assert(io.popen(("'%s' '%s'"):format(arg[-1], path)))
  local seconds = tonumber(pipe:read "l")
  os.remove(path)
  return seconds
end

local function ratio_of_loops()
  local ratios = {}
  for i = 1, ROUNDS do
    local plain = in_plain_lua(LOOP)
    local ours = _thread.start_joinable_thread(loop, { args = { LOOP } }):result()
    plain = (plain + in_plain_lua(LOOP)) / 2
    ratios[i] = ours / plain
  end
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
local ratios = ratio_of_loops()
print "\n| loop | median | least | most | target |"
print "|---|---|---|---|---|"
print(("| in a thread of lthread / in plain Lua | %.3f | %.3f | %.3f | 1.00 |"):format(
  quantile(ratios, 0.5), ratios[1], ratios[#ratios]))
