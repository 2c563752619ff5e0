local _thread = require "lthread"
local queue = require "lthread.queue"

-- How many traced objects there are, when all garbage is gone.
local function count_objects()
  collectgarbage()
  collectgarbage()
  local collection = _thread.collect()
  return collection.objects - collection.freed
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
