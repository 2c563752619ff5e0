-- Many kinds of work on the shared data space for a long time: mixed operations, cycles, threads
-- that come and die. Memory must stay flat. usage: lua spec/soak.lua [seconds]
local _thread = require "lthread"

local seconds = tonumber(arg[1]) or 600
local STEPS = 20 -- into which the time is divided, each ending with a look at the memory

local G = _thread.globals
G.tables, G.counters, G.queue = {}, {}, {first = 1, last = 0}
G.lock = _thread.allocate_lock()
for i = 1, 16 do G.tables[i] = {} end

-- One thread's work: until the time is over, or its life is.
local function work(seed, finish, operations)
  local T = require "lthread"
  local shared, random = T.globals, seed
  local function choose(n)
    random = (random * 1103515245 + 12345) % 2147483648
    return random // 65536 % n + 1
  end
  local function any() return shared.tables[choose(16)] end

  local kinds = {
    function() any()[choose(100)] = choose(1000) end,
    function() any()["k" .. choose(100)] = ("x"):rep(choose(200)) end,
    function() any()[choose(100)] = nil end,
    function() any()["k" .. choose(100)] = nil end,
    function() local t = any() t["t" .. choose(10)] = {choose(9), {name = "inner", up = {}}} end,
    function() local t = any() t["c" .. choose(10)] = any() end,
    function() local t = any() t["c" .. choose(10)] = nil end,
    function() -- a cycle that is garbage at once
      local t = T.shared {text = "cycle", inner = {}}
      t.inner.up, t[t] = t, t
    end,
    function() -- a cycle through a function's upvalue
      local t = T.shared()
      t.f = function() return t end
      any().f = t.f
    end,
    function() -- an object, and a cycle through its class
      local class = {__call = function(self, n) return self.n + n end}
      class.__index = class
      class.first = T.shared({n = 1}, class)
      any().o = T.shared({n = 2}, class)
    end,
    function() local o = any().o if o then assert(o(1) == 3 and o.first(1) == 2) end end,
    function() local f = any().f if f then assert(f().f ~= nil) end end,
    function() shared.tables[choose(16)] = {x = choose(10)} end,
    function() T.add(shared.counters, "n" .. choose(4), 1) end,
    function() T.update(shared.counters, "u", function(n) return (n or 0) + 1 end) end,
    function() T.swap(any(), "s", {choose(5)}) end,
    function() local t = any() T.cas(t, "s", t.s, choose(5)) end,
    function() local n = 0 for _ in pairs(any()) do n = n + 1 if n > 50 then break end end end,
    function() -- only of a table that is no part of a web
      local t = T.shared {{1, 2}, {3}}
      assert(T.copy(t)[1][2] == 2)
    end,
    function()
      shared.lock:with(function()
        local queue = shared.queue
        queue.last = queue.last + 1
        queue[queue.last] = {id = queue.last}
        if queue.last - queue.first > 20 then
          assert(queue[queue.first].id == queue.first)
          queue[queue.first] = nil
          queue.first = queue.first + 1
        end
      end)
    end,
  }

  local done = 0
  while done < operations and T.monotonic() < finish do
    kinds[choose(#kinds)]()
    done = done + 1
    T.add(shared.counters, "done", 1)
  end
  local way = choose(3)
  if way == 1 then T.exit() end
  if way == 2 then error(T.SystemExit "died", 0) end
end

-- Bytes in memory, where the system tells.
local function resident()
  local file = io.open "/proc/self/statm"
  if not file then return 0 end
  local pages = file:read("a"):match "^%d+ (%d+)"
  file:close()
  return tonumber(pages) * 4096
end

local function settle()
  repeat
    collectgarbage()
    collectgarbage()
  until _thread.collect().freed == 0
end

local seed = 0
local function run_until(finish)
  local threads = {}
  while _thread.monotonic() < finish do
    for i = 1, 4 do
      if not threads[i] or threads[i]:is_done() then
        seed = seed + 1
        local operations = 500 + seed % 20 * 500
        threads[i] = _thread.start_joinable_thread(work, {args = {seed, finish, operations}})
      end
    end
    _thread.sleep(0.005)
  end
  for i = 1, 4 do threads[i]:join() end
end

print(("%8s %12s %8s %14s %14s"):format(
  "second", "operations", "threads", "shared bytes", "resident"))
local begin = _thread.monotonic()
local shared, total = {}, {}
for step = 1, STEPS do
  run_until(begin + seconds * step / STEPS)
  G.counters.checked = step
  settle()
  shared[step], total[step] = _thread.shared_memory(), resident()
  print(("%8.0f %12d %8d %14d %14d"):format(_thread.monotonic() - begin, G.counters.done, seed,
    shared[step], total[step]))
end

-- The most in the second half against the most in the first.
local function growth(list)
  local most = {0, 0}
  for step, value in ipairs(list) do
    local half = step <= STEPS // 2 and 1 or 2
    most[half] = math.max(most[half], value)
  end
  return most[2] - most[1]
end

local shared_growth, total_growth = growth(shared), growth(total)
print(("growth from the first half to the second: %d shared bytes, %d resident"):format(
  shared_growth, total_growth))
for key in pairs(G) do G[key] = nil end
settle()
print(("left when all is gone: %d shared bytes"):format(_thread.shared_memory()))
if shared_growth > 500000 or total_growth > 16e6 then
  print "memory has grown"
  os.exit(1, true)
end
