-- Many interrupts, against threads that do all that threads do. Each is an exception of its own, so
-- it is known of each that was accepted what became of it.
local _thread = require "lthread"
local threads = require "support.threads"

-- The sanitizers are slower by far.
local TOTAL <const> = os.getenv "LTHREAD_SANITIZER" and 2000 or 10000
local WORKERS <const> = 4
local BRIEF <const> = 4
local STRIKES <const> = 50 -- for each worker, before it ends

local Strike = _thread.Exception:subclass "Strike"

-- What a worker does, again and again.
local function jobs_with(locks, rlock)
  return {
    function(i)
      local _ <close> = locks[i % #locks + 1]:hold()
      local _ <close> = rlock:hold()
      local _ <close> = rlock:hold()
    end,
    function(i) return locks[i % #locks + 1]:with(function() return { i } end) end,
    function()
      local co = coroutine.wrap(function(...)
        local sum = ...
        for _ = 1, 10 do sum = sum + coroutine.yield(sum) end
        return sum
      end)
      for i = 1, 10 do co(i) end
    end,
    function(i)
      coroutine.wrap(function()
        local _ <close> = locks[i % #locks + 1]:hold()
        coroutine.wrap(function() local _ <close> = rlock:hold() end)()
      end)()
    end,
    function(i)
      local list = {}
      for k = 1, 50 do list[k] = { k, tostring(k) } end
      return #table.concat({ #list, i }, ",")
    end,
    function(i)
      local handle = _thread.start_joinable_thread(function(t) return t end,
        { args = { { i, { "nested" }, lock = rlock } } })
      return (handle:result())
    end,
    function() _thread.sleep(0.0001) end,
  }
end

-- A worker returns the numbers of the strikes that it has caught. Its next one comes when it has
-- released 'caught', so that none comes while another is recorded.
local function work(locks, rlock, caught, stop)
  local jobs, seen, count = jobs_with(locks, rlock), {}, 0
  local function record(e)
    seen[#seen + 1] = _thread.isinstance(e, Strike) and e.args[1] or tostring(e)
    caught:release()
  end
  while stop:locked() do
    xpcall(function()
      while stop:locked() do
        count = count + 1
        jobs[count % #jobs + 1](count)
      end
    end, record) -- what strikes outside of it is the end of the thread
  end
  return seen
end

local function start_worker(locks, rlock, stop)
  local worker = { caught = threads.held(), sent = {} }
  worker.handle = threads.start(work, locks, rlock, worker.caught, stop)
  return worker
end

local function strike(worker, number)
  if worker.handle:interrupt(Strike(number)) then
    table.insert(worker.sent, number)
    worker.struck = true
  end
end

local function await_caught(worker)
  while worker.struck and not worker.caught:acquire(true, 0.01) and not worker.handle:is_done() do
  end
  worker.struck = false
end

-- Whether all that was sent to a worker was raised there once. The last may be its end.
local function check(worker)
  assert.is_true(worker.handle:join(threads.LONG), "a worker has not ended")
  local ok, result = pcall(worker.handle.result, worker.handle)
  if ok then
    assert.same(worker.sent, result)
  else
    assert.is_true(_thread.isinstance(result, Strike), tostring(result))
    assert.equal(worker.sent[#worker.sent], result.args[1])
  end
  return ok
end

-- A thread that is struck as soon as it is started, and ends by itself soon.
local function strike_brief(number, lock, kept)
  local handle = threads.start(function(t)
    local _ <close> = lock:hold()
    return t
  end, { number })
  for _ = 1, number % 50 * 20 do end
  kept[#kept + 1] = { handle, number, handle:interrupt(Strike(number)) }
end

local function check_brief(handle, number, accepted)
  assert.is_true(handle:join(threads.LONG), "a thread has not ended")
  local ok, result = pcall(handle.result, handle)
  assert.equal(not accepted, ok)
  assert.equal(number, accepted and result.args[1] or result[1])
end

describe("threads that are interrupted all the time", function()
  it("lose no interrupt, and leave no lock locked", function()
    _thread.set_excepthook(function() end)
    finally(function() _thread.set_excepthook(nil) end)
    local number, caught, ends, brief_struck = 0, 0, 0, 0
    while caught + ends + brief_struck < TOTAL or ends == 0 or brief_struck == 0 do
      local locks = { _thread.allocate_lock(), _thread.allocate_lock(), _thread.allocate_lock() }
      local rlock, stop = _thread.RLock(), threads.held()
      local workers, brief = {}, {}
      for i = 1, WORKERS do workers[i] = start_worker(locks, rlock, stop) end
      for _ = 1, STRIKES do
        for _, worker in ipairs(workers) do
          number = number + 1
          strike(worker, number)
        end
        for _, worker in ipairs(workers) do await_caught(worker) end
      end
      for i = 1, BRIEF do
        number = number + 1
        strike_brief(number, locks[i % #locks + 1], brief)
      end
      stop:release()
      for _, worker in ipairs(workers) do
        if check(worker) then
          caught = caught + #worker.sent
        else
          caught = caught + #worker.sent - 1
          ends = ends + 1
        end
      end
      for _, each in ipairs(brief) do
        check_brief(table.unpack(each))
        brief_struck = brief_struck + (each[3] and 1 or 0)
      end
      for _, lock in ipairs(locks) do
        assert.is_false(lock:locked())
      end
      assert.is_false(rlock:locked())
      assert.is_true(threads.eventually(function() return _thread._count() == 0 end))
    end
    if os.getenv "LTHREAD_STRESS_REPORT" then
      print(("%d tried: %d caught, %d ended a worker, %d struck a brief thread"):format(
        number, caught, ends, brief_struck))
    end
    assert.is_true(caught > 0)
  end)
end)
