-- Threads that run loops of luv, fed by a queue, and ended by nobody but the end of the program.
--
--     lua5.4 examples/luv.lua [THREADS] [JOBS]
--
-- Each job waits for a while in the loop of the thread that took it, as one does for the network: a
-- thread has all its jobs at a time, and a thread without any sleeps in its loop.

local _thread = require "lthread"
local queue = require "lthread.queue"
local uv = require "luv"

-- Runs in every thread. `awake` is the number of a pipe that gets a byte for each job.
local function serve(name, awake, jobs, done)
  local pipe = uv.new_pipe()
  pipe:open(awake)
  pipe:read_start(function(_, bytes)
    for _ = 1, #bytes do
      local job = jobs:get()
      local timer = uv.new_timer()
      timer:start(job.milliseconds, 0, function()
        timer:close()
        done:put { job = job.number, by = name }
      end)
    end
  end)

  -- The end of the program: an idle loop wakes up for the descriptor, and where the exception would
  -- be raised, which no callback of luv may be left by, the loop is stopped instead.
  local interrupted = uv.new_poll(_thread.interrupt_fileno())
  interrupted:start("r", function() end)
  _thread.on_interrupt(uv.stop)

  uv.run()
  io.stderr:write(name .. " has left its loop\n")
end

local thread_count = tonumber(arg[1]) or 2
local job_count = tonumber(arg[2]) or 100

local done = queue.SimpleQueue()
local threads = {}
for i = 1, thread_count do
  local ends = assert(uv.pipe({ nonblock = true }, { nonblock = true }))
  local thread = { jobs = queue.SimpleQueue(), writable = ends.write }
  _thread.start_new_thread(serve, { "thread " .. i, ends.read, thread.jobs, done })
  threads[i] = thread
end

for i = 1, job_count do
  local thread = threads[(i - 1) % thread_count + 1]
  thread.jobs:put { number = i, milliseconds = math.random(50) }
  assert(uv.fs_write(thread.writable, "!"))
end

local count = {}
for _ = 1, job_count do
  local by = done:get().by
  count[by] = (count[by] or 0) + 1
end
for i = 1, thread_count do
  local name = "thread " .. i
  print(("%s has done %d jobs"):format(name, count[name] or 0))
end
