-- A main thread that sits in an event loop of luv, cqueues or copas, and is told there what a pool
-- of threads has computed. The loop goes on meanwhile: it ticks.
--
--     lua5.4 examples/loops.lua [luv | cqueues | copas] [JOBS]
--
-- A queue's fileno() is readable while there is something to take. That is a hint, as with every
-- descriptor: one takes what is there, and goes back into the loop.

local futures = require "lthread.futures"
local queue = require "lthread.queue"

local kind = arg[1] or "luv"
local job_count = tonumber(arg[2]) or 20
local finished = queue.SimpleQueue()
local tick_count, done_count, sum = 0, 0, 0

local function is_prime(n)
  for i = 2, math.floor(n ^ 0.5) do
    if n % i == 0 then return false end
  end
  return true
end

local function count_primes(from, to)
  local count = 0
  for n = math.max(from, 2), to do
    if is_prime(n) then count = count + 1 end
  end
  return count
end

-- Takes what has finished; whether that was all.
local function take()
  local is_there, message = finished:try_get()
  while is_there do
    local future, job = table.unpack(message)
    sum = sum + future:result()
    done_count = done_count + 1
    io.write(("job %d is done\n"):format(job))
    is_there, message = finished:try_get()
  end
  return done_count == job_count
end

local function tick() tick_count = tick_count + 1 end

local loops = {}

function loops.luv()
  local uv = require "luv"
  local timer, poll = uv.new_timer(), uv.new_poll(finished:fileno())
  timer:start(0, 1, tick)
  poll:start("r", function()
    if take() then
      poll:close()
      timer:close()
    end
  end)
  uv.run()
end

function loops.cqueues()
  local cqueues = require "cqueues"
  local loop, is_over = cqueues.new(), false
  loop:wrap(function()
    repeat cqueues.poll { pollfd = finished:fileno(), events = "r" } until take()
    is_over = true
  end)
  loop:wrap(function()
    repeat
      tick()
      cqueues.sleep(0.001)
    until is_over
  end)
  assert(loop:loop())
end

-- Copas waits for what looks like a socket.
function loops.copas()
  local copas = require "copas"
  local is_over = false
  local watched = {
    getfd = function() return finished:fileno() end,
    settimeout = function() end,
    accept = function()
      is_over = take()
      return nil, "timeout"
    end,
  }
  copas.addserver(watched, print)
  repeat
    tick()
    copas.step(0.01)
  until is_over
end

local run = loops[kind]
if not run then
  io.stderr:write(("loops: which loop, luv, cqueues or copas? There is no %s\n"):format(kind))
  os.exit(false)
end
local pool <close> = futures.ThreadPoolExecutor()
for job = 1, job_count do
  pool:submit(count_primes, (job - 1) * 5000, job * 5000 - 1):notify(finished, job)
end
run()
print(("%d primes below %d; the loop ticked on: %s"):format(sum, job_count * 5000,
  tick_count > 0 and "yes" or "no"))
