local _thread = require "lthread"
local queue = require "lthread.queue"
local raised = require "support.raised"

-- How many traced objects there are, when all garbage is gone: also what other files have left, and
-- finalizers bring back for a while.
local function count_objects()
  local last, count
  repeat
    last = count
    collectgarbage()
    collectgarbage()
    local collection = _thread.collect()
    count = collection.objects - collection.freed
  until count == last
  return count
end

-- What f leaves behind.
local function left_by(f)
  local before = count_objects()
  f()
  return count_objects() - before
end

for _, class in ipairs { queue.SimpleQueue, queue.Queue, queue.LifoQueue } do
  describe("garbage in cycles through a " .. class.__name__ .. " is freed", function()
    it("where the queue is in its own message", function()
      assert.equal(0, left_by(function()
        for _ = 1, 100 do
          local q = class()
          q:put(q)
          q:put { "and", { q, q } }
        end
      end))
    end)

    it("where queues are in each other", function()
      assert.equal(0, left_by(function()
        local first = class()
        local last = first
        for _ = 1, 1000 do
          local q = class()
          q:put(last)
          last = q
        end
        first:put(last)
      end))
    end)

    it("where a shared table and a function come between", function()
      assert.equal(0, left_by(function()
        local q = class()
        local shared = _thread.shared { list = { q } }
        q:put(function() return shared end)
        q:put(shared.list)
      end))
    end)

    it("where there is much in the queue", function()
      assert.equal(0, left_by(function()
        local q, other = class(), class()
        local many = {}
        for i = 1, 3000 do
          many[i] = other
        end
        for i = 1, 5000 do
          q:put(i % 2 == 0 and i or { other })
        end
        q:put(many)
        other:put(q)
        for _ = 1, 700 do
          q:get()
        end
      end))
    end)

    it("but not what somebody can still reach", function()
      local q = class()
      local inner = class()
      inner:put "here"
      inner:put(inner)
      q:put { inner }
      q:put(q)
      inner = nil -- luacheck: ignore
      count_objects()
      local found
      for _ = 1, 2 do
        local message = q:get()
        found = type(message) == "table" and message[1] or found
      end
      assert.equal(2, found:qsize())
    end)
  end)
end

describe("the collector", function()
  it("frees nothing that threads put and get meanwhile", function()
    local ring, workers = {}, {}
    for i = 1, 3 do
      ring[i] = queue.Queue()
    end
    for i = 1, 3 do
      workers[i] = _thread.start_joinable_thread(function()
        local from, to = ring[i], ring[i % 3 + 1]
        local Queue = require "lthread.queue".Queue
        for n = 1, 1000 do
          local message = Queue()
          message:put(n)
          message:put(message)
          to:put { message }
          local got = from:get()[1]
          assert(got:get() == n and got:get() == got)
        end
      end)
    end
    for _ = 1, 50 do
      _thread.collect()
    end
    for i = 1, 3 do
      workers[i]:result()
      assert.is_true(ring[i]:empty())
    end
  end)
end)

describe("a message is given, or still in the queue, or counted as done", function()
  it("wherever an allocation fails", function()
    local program = assert(os.getenv "LTHREAD_FAILING", "make test builds it")
    local pipe <close> = io.popen(("timeout 120 '%s' spec/support/queue_failures.lua 2>&1")
      :format(program))
    assert.equal("passed\n", pipe:read "a")
  end)

  -- Calls f with so many calls of C below.
  local function at_depth(depth, f)
    if depth == 0 then
      return f()
    end
    string.gsub("x", "x", function() at_depth(depth - 1, f) end)
  end

  local function check_at(depth, q, operation)
    local given = 0
    local ok, message = pcall(at_depth, depth, function() given = operation(q) end)
    local left = q:qsize()
    for _ = 1, left do
      q:get()
    end
    for _ = 1, given + left do
      q:task_done()
    end
    assert.is_true(q:join(0), ("%d calls deep: %s"):format(depth, message))
    raised(_thread.ValueError, q.task_done, q)
    return ok
  end

  local operations = {
    get = function(q) q:get() return 1 end,
    get_many = function(q) return q:get_many(3).n end,
    put = function(q) q:put { 6 } return 0 end,
    put_many = function(q) q:put_many { 6, { 7 }, "eight" } return 0 end,
  }

  local lock = _thread.allocate_lock()
  local messages = { integer = 5, string = "text", table = { 1, { 2 } }, lock = lock }

  for name, operation in pairs(operations) do
    for kind, message in pairs(messages) do
      it("where the C stack ends, by " .. name .. " among " .. kind .. "s", function()
        local succeeded, failed = 0, 0
        for depth = 180, 200 do
          local q = queue.Queue(100)
          for _ = 1, 5 do
            q:put(message)
          end
          if check_at(depth, q, operation) then
            succeeded = succeeded + 1
          else
            failed = failed + 1
          end
        end
        assert.is_true(succeeded > 0 and failed > 0)
      end)
    end
  end
end)
