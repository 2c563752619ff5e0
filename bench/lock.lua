-- Locks: alone, fought for, and to wake each other.

local alone = require "support.alone"
local floor = require "floor"

-- How often this thread gets the lock, or the mutex of bare C, in so many seconds. A fight needs
-- two processors: threads that take turns on one hardly ever meet.
local function fight(seconds, lock)
  local now = require "floor".now
  require "floor".pin()
  lock = lock or require "floor".mutex()
  local count, stop = 0, now() + seconds
  repeat
    for _ = 1, 64 do
      lock:acquire()
      lock:release()
    end
    count = count + 64
  until now() >= stop
  return count
end

-- The longest wait for the lock, or the mutex of bare C, in so many seconds.
local function wait(seconds, lock)
  local now = require "floor".now
  require "floor".pin()
  lock = lock or require "floor".mutex()
  local longest, stop = 0, now() + seconds
  repeat
    local begin = now()
    lock:acquire()
    local got = now()
    lock:release()
    longest = math.max(longest, got - begin)
  until got >= stop
  return longest
end

-- Runs f in two threads; returns what each has returned.
local function in_two(lthread, f, seconds)
  local lock, handles = lthread.allocate_lock(), {}
  for i = 1, 2 do
    handles[i] = lthread.start_joinable_thread(f, { args = { seconds, lock } })
  end
  return handles[1]:result(), handles[2]:result()
end

local function in_two_of_c(f, seconds)
  return floor.run(2, string.dump(f), seconds)
end

-- Seconds for one round trip between two threads, each of which waits for the other's lock.
local function ping_pong(lthread, count, apart)
  local ping, pong = lthread.allocate_lock(), lthread.allocate_lock()
  ping:acquire()
  pong:acquire()
  local handle = lthread.start_joinable_thread(function()
    if apart then require "floor".pin() end
    for _ = 1, count do
      ping:acquire()
      pong:release()
    end
  end)
  if apart then floor.pin() end
  local begin = floor.now()
  for _ = 1, count do
    ping:release()
    pong:acquire()
  end
  local taken = (floor.now() - begin) / count
  handle:join()
  return taken
end

local function ping_pong_line(what, count, apart)
  return {
    what = what, unit = "us", at_most = 1, rounds = 7,
    base = "futex round trip",
    floor = function() return floor.round_trip(count, apart) end,
    ours = function(lthread) return ping_pong(lthread, count, apart) end,
    peers = { python3 = ("ping_pong %d %d"):format(count, apart and 1 or 0) },
  }
end

local fight_time = 0.1

local function rate(first, second)
  return (first + second) / fight_time
end

local lines = {
  {
    what = "acquire + release, nobody else", unit = "ns", at_most = 1.3,
    base = "two methods that do nothing",
    floor = function() return alone(floor.nothing()) end,
    ours = function(lthread) return alone(lthread.allocate_lock()) end,
    peers = { python3 = "lock 500000" },
  },
  {
    what = "acquire + release, against a mutex", unit = "ns",
    base = "pthread mutex in two methods",
    floor = function() return alone(floor.mutex()) end,
    ours = function(lthread) return alone(lthread.allocate_lock()) end,
  },
  {
    what = "the same of a semaphore, nobody else", unit = "ns", at_most = 1.3,
    base = "two methods that do nothing",
    floor = function() return alone(floor.nothing()) end,
    ours = function(lthread) return alone(lthread.Semaphore()) end,
    peers = { python3 = "semaphore 500000" },
  },
  {
    what = "acquire + release, two threads fight", unit = "M/s", at_least = 1.5, rounds = 7,
    base = "pthread mutex in two methods",
    floor = function() return rate(in_two_of_c(fight, fight_time)) end,
    ours = function(lthread) return rate(in_two(lthread, fight, fight_time)) end,
    peers = { python3 = "fight " .. fight_time },
  },
  {
    what = "the longest wait in such a fight", unit = "ms", rounds = 7,
    base = "pthread mutex in two methods",
    floor = function() return math.max(in_two_of_c(wait, fight_time)) end,
    ours = function(lthread) return math.max(in_two(lthread, wait, fight_time)) end,
    peers = { python3 = "wait " .. fight_time },
  },
  ping_pong_line("ping-pong of two threads, a round trip", 5000, false),
  ping_pong_line("ping-pong on two processors", 2000, true),
}

local function new_lock(lthread)
  return lthread.allocate_lock()
end

return require "support.crowd".append(lines, "acquire + release", new_lock, function(lock)
  lock:acquire()
  lock:release()
end)
