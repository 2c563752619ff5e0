-- Programs that chance has made: threads that start others, interrupt each other, put, get, lock,
-- share, collect and end, with finalizers that do such things in the middle of all. Each round is a
-- process of its own, made of a seed: its choices are the same each time, their order is not.
--
-- usage: lua spec/chance.lua [seconds [seed [same]]]   rounds with this seed, the next and so on;
--                                                      with 'same' with this one again and again
--        lua spec/chance.lua round seed                one round, in this process
local _thread = require "lthread"
local threads = require "support.threads"
local chances = require "support.chances"
local pace = require "support.pace"

-- Whoever hangs tells by this signal where, before it is killed.
local LIMIT <const> = 120
threads.LONG = 60
local COMMAND <const> = "LTHREAD_DUMP=USR1 %s timeout -s USR1 -k 10 %d '%s' '%s' round %d 2>&1"

local random = math.random

-- Until nothing changes any more: each collection may free what keeps other things.
local function settle()
  repeat
    collectgarbage()
    collectgarbage()
  until _thread.collect().freed == 0
  return _thread.shared_memory()
end

-- Who waits in a queue gets or has room for something, whatever it waits for.
local function pump(c, with_messages)
  for i, q in ipairs(c.world.queues) do
    if with_messages then pcall(chances.put, c, q, c.world.kinds[i], false) end
    pcall(chances.get_many, c, q, c.world.kinds[i], 10, 0)
  end
end

-- Main thread's part, for so many seconds.
local function take_part(c, seconds)
  local finish = _thread.monotonic() + seconds
  while _thread.monotonic() < finish do
    local ident = c.world.idents[random(20)]
    if ident then _thread.interrupt(ident, chances.Strike(random(100))) end
    if random(20) == 1 then pump(c, true) end
    for _ = 1, random(5) do
      if random(4) == 1 then _thread.sleep(0.001 * random()) end
      chances.try(c)
    end
  end
end

-- All that was put was got, once.
local function check_messages(ledgers, dropped)
  local by, faults, tried = {}, {}, {}
  for _, ledger in ipairs(ledgers) do
    for number, q in pairs(ledger.tried) do tried[number] = q end
    for number in pairs(ledger.got) do
      if by[number] and number > 0 then
        faults[#faults + 1] = ("message %d came to thread %d and to thread %d"):format(number,
          by[number], ledger.number)
      end
      by[number] = ledger.number
    end
  end
  for _, ledger in ipairs(ledgers) do
    for number, q in pairs(ledger.got) do
      if number > 0 and tried[number] ~= q then
        faults[#faults + 1] = ("message %d was never put there"):format(number)
      end
    end
    for number, q in pairs(ledger.put) do
      if not by[number] and not dropped[q] then
        faults[#faults + 1] = ("message %d is lost"):format(number)
      end
    end
  end
  return faults
end

local function check_sum(world, ledgers)
  local least, most, sum = 0, 0, world.shared.sum or 0
  for _, ledger in ipairs(ledgers) do
    least, most = least + ledger.adds, most + ledger.adds_tried
  end
  assert(least <= sum and sum <= most, ("%d is not between %d and %d"):format(sum, least, most))
end

local function check(c, dropped)
  local world, ledgers = c.world, { c.ledger }
  for _, ledger in ipairs(world.ledgers:get_many(1000000, 0)) do ledgers[#ledgers + 1] = ledger end
  local faults = check_messages(ledgers, dropped)
  for _, fault in ipairs(world.faults:get_many(1000000, 0)) do faults[#faults + 1] = fault end
  for i, lock in ipairs(world.locks) do
    if lock:locked() then faults[#faults + 1] = "lock " .. i .. " stays locked" end
    if world.rlocks[i]:locked() then faults[#faults + 1] = "RLock " .. i .. " stays locked" end
  end
  if #faults > 0 then error(table.concat(faults, "\n", 1, math.min(#faults, 20)), 0) end
  check_sum(world, ledgers)
  for i, q in ipairs(world.queues) do
    if world.kinds[i] ~= "SimpleQueue" then
      assert(q:join(threads.LONG), "a message was not counted as done")
    end
  end
  local count = 0
  for _, ledger in ipairs(ledgers) do
    for _ in pairs(ledger.got) do count = count + 1 end
  end
  return #ledgers, count
end

-- Until all threads have ended.
local function stop(c, handles)
  local world, dropped = c.world, {}
  world.shared.stop = true
  for i, q in ipairs(world.queues) do
    if world.kinds[i] ~= "SimpleQueue" and random(6) == 1 then
      local immediate = random(2) == 1
      q:shutdown(immediate)
      dropped[q] = immediate
    end
  end
  for i in pairs(world.idents) do
    if random(4) == 1 then handles[i]:interrupt() end
  end
  assert(threads.eventually(function()
    pump(c, true)
    return _thread._count() == 0
  end), "threads have not ended")
  for _, handle in ipairs(handles) do assert(handle:is_done()) end
  repeat
    pump(c)
    local left = false
    for _, q in ipairs(world.queues) do left = left or not q:empty() end
  until not left
  return dropped
end

local function orderly_round()
  local c = chances.context(chances.make_world(), false, 1)
  local handles = chances.start_workers(c.world)
  take_part(c, 0.3 * random())
  collectgarbage() -- finalizers of this state put nothing later
  return check(c, stop(c, handles))
end

local ways_to_end = {
  function() end,
  function() os.exit(true, true) end,
  function() os.exit(true) end,
  function() collectgarbage "stop" end,
}

-- The main state closes while all are at work. What threads do until then must go well.
local function abrupt_round()
  local world = chances.make_world()
  world.only_daemons = true
  local c = chances.context(world, false, 1)
  chances.start_workers(world, true)
  _thread.start_joinable_thread(chances.work,
    { args = { world, random(0), false, 20, 3 }, daemon = random(2) == 1 })
  take_part(c, 0.1 * random())
  local faults = world.faults:get_many(10, 0)
  if #faults > 0 then error(table.concat(faults, "\n"), 0) end
  print "ok 0 0"
  io.stdout:flush()
  world.shared.stop = true
  ways_to_end[random(#ways_to_end)]()
end

local function run_round(seed)
  math.randomseed(seed)
  _thread.set_excepthook(function() end)
  if random(3) == 1 then collectgarbage "generational" end
  if random(3) == 1 then pace.set("pause", random(100)) end
  if random(3) == 1 then return abrupt_round() end
  local before = settle()
  local ledgers, count = orderly_round()
  assert(threads.eventually(function() return settle() <= before end),
    ("%d bytes of shared memory are left"):format(_thread.shared_memory() - before))
  print(("ok %d %d"):format(ledgers, count))
end

-- Returns how many threads and messages there were, or nil and what went wrong.
local function run_process(seed)
  local interpreter = os.getenv "LTHREAD_LUA" or arg[-1]
  local environment = seed % 8 == 0 and "LTHREAD_DEADLOCK=1" or ""
  local pipe = io.popen(COMMAND:format(environment, LIMIT, interpreter, arg[0], seed))
  local text = pipe:read "a"
  local ok, how, status = pipe:close()
  local ledgers, count = text:match "^ok (%d+) (%d+)\n$"
  if ok and ledgers then return tonumber(ledgers), tonumber(count) end
  return nil, ("%s\nended by %s %s"):format(text, how, status)
end

local function run_processes(seconds, first, same)
  print(("seed %d, %g seconds"):format(first, seconds))
  local seed, rounds, all_threads, messages, failed = first, 0, 0, 0, 0
  local finish = _thread.monotonic() + seconds
  repeat
    local count, result = run_process(seed)
    rounds = rounds + 1
    if count then
      all_threads, messages = all_threads + count, messages + result
    else
      failed = failed + 1
      print(("FAILED with seed %d (make chance SEED=%d SAME=1):\n%s"):format(seed, seed, result))
    end
    seed = same and seed or seed + 1
  until _thread.monotonic() >= finish or failed >= 5
  print(("%d rounds from seed %d on, %d threads, %d messages: %d failed"):format(rounds, first,
    all_threads, messages, failed))
  os.exit(failed == 0, true)
end

if arg[1] == "round" then
  run_round(tonumber(arg[2]))
else
  local seed = tonumber(arg[2])
  run_processes(tonumber(arg[1]) or 30, seed or os.time() % 1000000 * 1000, arg[3])
end
