local _thread = require "lthread"
local queue = require "lthread.queue"
local check = require "support.fifo"
local waiting = require "support.waiting"

local start = waiting.start

local function results(handles)
  local list = {}
  for i, handle in ipairs(handles) do
    list[i] = handle:result()
  end
  return list
end

-- Each producer puts its number and 1 to count in one; a consumer checks that those of one producer
-- come in order, and ends at the message 'stop'.
local function produce(q, number, count, batch)
  local list = {}
  for i = 1, count do
    list[#list + 1] = number * 1000000 + i
    if batch == 0 then
      q:put(list[1])
      list = {}
    elseif #list == batch then
      q:put_many(list)
      list = {}
    end
  end
  q:put_many(list)
end

local function consume(q, batch, stop, in_order)
  local last, sum, count = {}, 0, 0
  while true do
    local list = batch == 0 and { n = 1, (q:get()) } or q:get_many(batch)
    for i = 1, list.n do
      local value = list[i]
      if value == stop then
        q:put_many { n = list.n - i, table.unpack(list, i + 1, list.n) }
        return { sum = sum, count = count }
      end
      local producer, number = value // 1000000, value % 1000000
      assert(not in_order or number > (last[producer] or 0), "out of order")
      last[producer] = number
      sum, count = sum + number, count + 1
    end
  end
end

for name, new in pairs {
  ["a SimpleQueue"] = queue.SimpleQueue,
  ["a Queue"] = queue.Queue,
  ["a bounded Queue"] = function() return queue.Queue(10) end,
  ["a Queue of one"] = function() return queue.Queue(1) end,
  ["a LifoQueue"] = queue.LifoQueue,
  ["a bounded PriorityQueue"] = function() return queue.PriorityQueue(10) end,
} do
  describe(name .. " between many threads", function()
    for _, shape in ipairs { { 1, 1 }, { 4, 1 }, { 1, 4 }, { 3, 3 } } do
      for _, batch in ipairs { 0, 7 } do
        local producers, consumers = shape[1], shape[2]
        it(("loses nothing, %d to %d, %s"):format(producers, consumers,
          batch == 0 and "one by one" or "many at once"), function()
          local q = new()
          local numeric = name:find "Priority"
          local stop = numeric and math.huge or "stop"
          local count = 2000
          local in_order = not name:find "Lifo" and not numeric
          local makers, takers = {}, {}
          for i = 1, consumers do
            takers[i] = start(consume, q, batch, stop, in_order)
          end
          for i = 1, producers do
            makers[i] = start(produce, q, i, count, batch)
          end
          results(makers)
          -- A stack gives what was put last first: so the stops must not come before the rest.
          while name:find "Lifo" and not q:empty() do
            _thread.sleep(0.0005)
          end
          for _ = 1, consumers do
            q:put(stop)
          end
          local sum, received = 0, 0
          for _, result in ipairs(results(takers)) do
            sum, received = sum + result.sum, received + result.count
          end
          assert.equal(producers * count, received)
          assert.equal(producers * count * (count + 1) // 2, sum)
          assert.equal(0, q:qsize())
        end)
      end
    end
  end)
end

describe("the check of histories", function()
  local function history(...)
    local list = {}
    for _, entry in ipairs { ... } do
      list[#list + 1] = { op = entry[1], value = entry[2], from = entry[3], to = entry[4] }
    end
    return list
  end

  it("accepts what a queue may do", function()
    assert.is_nil(check(history({ "put", 1, 0, 1 }, { "get", 1, 2, 3 }, { "get", nil, 4, 5 })))
    assert.is_nil(check(history({ "put", 1, 0, 5 }, { "put", 2, 1, 4 }, { "get", 2, 2, 3 },
      { "get", nil, 2, 3 }, { "get", 1, 6, 7 })))
    assert.is_nil(check(history({ "put", 1, 0, 1 }, { "put", 2, 0, 1 }, { "get", 2, 2, 3 })))
  end)

  it("finds what it may not", function()
    assert.matches("never put", check(history({ "get", 1, 0, 1 })))
    assert.matches("before it was put", check(history({ "get", 1, 0, 1 }, { "put", 1, 2, 3 })))
    assert.matches("twice", check(history({ "put", 1, 0, 1 }, { "get", 1, 2, 3 },
      { "get", 1, 2, 3 })))
    assert.matches("2 overtook 1", check(history({ "put", 1, 0, 1 }, { "put", 2, 2, 3 },
      { "get", 2, 4, 5 }, { "get", 1, 6, 7 })))
    assert.matches("2 overtook 1", check(history({ "put", 1, 0, 1 }, { "put", 2, 2, 3 },
      { "get", 2, 4, 5 })))
    assert.matches("empty", check(history({ "put", 1, 0, 1 }, { "get", nil, 2, 3 })))
    assert.matches("empty", check(history({ "put", 1, 0, 1 }, { "put", 2, 2, 3 },
      { "get", 1, 4, 9 }, { "get", nil, 2, 8 }, { "get", 2, 9, 10 })))
  end)
end)

-- What one thread does and sees. Its own number is in all values that it puts.
local function work(q, number, count, go)
  local log, clock = {}, _thread.monotonic
  local Empty = require "lthread.queue".Empty
  local seed = number * 7919
  local function add(op, value, from)
    log[#log + 1] = { op = op, value = value, from = from, to = clock() }
  end
  go:acquire()
  go:release()
  for i = 1, count do
    seed = (seed * 1103515245 + 12345) % 2147483648
    local what, from = seed // 65536 % 4, clock()
    if what == 0 then
      q:put(number * 100000 + i)
      add("put", number * 100000 + i, from)
    elseif what == 1 then
      q:put_many { number * 100000 + i }
      add("put", number * 100000 + i, from)
    elseif what == 2 then
      local ok, value = pcall(q.get_nowait, q)
      assert(ok or _thread.isinstance(value, Empty))
      add("get", ok and value or nil, from)
    else
      add("get", q:get_many(1, 0)[1], from)
    end
  end
  return log
end

describe("histories of concurrent operations are linearizable", function()
  for _, class in ipairs { queue.SimpleQueue, queue.Queue } do
    for _, count in ipairs { 2, 3, 4, 8 } do
      it(("on a %s with %d threads"):format(class.__name__, count), function()
        for _ = 1, 5 do
          local q, go, handles, history = class(), _thread.allocate_lock(), {}, {}
          go:acquire()
          for i = 1, count do
            handles[i] = start(work, q, i, 1200 // count, go)
          end
          go:release()
          for _, log in ipairs(results(handles)) do
            table.move(log, 1, #log, #history + 1, history)
          end
          assert.is_nil(check(history))
        end
      end)
    end
  end
end)

describe("threads that wait in a queue", function()
  it("lose no wake-up while others give up", function()
    local q = queue.SimpleQueue()
    local quitters, getters = {}, {}
    for i = 1, 2 do
      quitters[i] = start(function()
        local Empty, got = require "lthread.queue".Empty, 0
        for _ = 1, 400 do
          local ok, value = pcall(q.get, q, true, 0.0001)
          assert(ok or _thread.isinstance(value, Empty))
          got = got + (ok and 1 or 0)
        end
        return got
      end)
    end
    for i = 1, 2 do
      getters[i] = start(function()
        local got = 0
        while q:get() do
          got = got + 1
        end
        return got
      end)
    end
    for i = 1, 3000 do
      q:put(i)
      if i % 50 == 0 then
        _thread.sleep(0.0005)
      end
    end
    local sum = 0
    for _, got in ipairs(results(quitters)) do
      sum = sum + got
    end
    q:put_many { false, false }
    for _, got in ipairs(results(getters)) do
      sum = sum + got
    end
    assert.equal(3000, sum)
  end)

  -- A thread that has an end of a queue to itself for long goes on faster; also then it must see
  -- who waits there.
  it("are woken after a long run of puts, or of gets, by one thread", function()
    local there, back = queue.SimpleQueue(), queue.Queue(1)
    local ROUNDS, RUN = 60, 3000
    local peer = start(function()
      for _ = 1, ROUNDS do
        for _ = 1, RUN do there:get() end
        back:put(there:get())
        back:put "room"
      end
    end)
    local received = 0
    for round = 1, ROUNDS do
      for i = 1, RUN do there:put(i) end
      if round % 3 == 0 then _thread.sleep(0.0002) end
      there:put(round)
      local value = back:get { timeout = 60 }
      received = received + (value == round and 1 or 0)
      assert.equal("room", back:get { timeout = 60 })
    end
    assert.equal(ROUNDS, received)
    assert.is_true(peer:join(60))
  end)

  it("pass messages round a ring", function()
    local ring, handles = {}, {}
    for i = 1, 5 do
      ring[i] = queue.Queue(1)
    end
    for i = 1, 5 do
      handles[i] = start(function()
        local from, to = ring[i], ring[i % 5 + 1]
        repeat
          local n = from:get()
          if n < 2000 or i < 5 then
            to:put(n + 1)
          end
        until n >= 1996
      end)
    end
    ring[1]:put(1)
    results(handles)
    for i = 1, 5 do
      assert.is_true(ring[i]:qsize() <= 1)
    end
  end)

  it("all see a shutdown in the midst of work", function()
    for _ = 1, 20 do
      local q, handles = queue.Queue(4), {}
      for i = 1, 3 do
        handles[i] = start(pcall, function()
          while true do
            q:put(i)
          end
        end)
        handles[i + 3] = start(pcall, function()
          while true do
            q:get()
            q:task_done()
          end
        end)
      end
      q:shutdown(true)
      for _, handle in ipairs(handles) do
        local _, e = handle:result()
        assert.is_true(_thread.isinstance(e, queue.ShutDown))
      end
      assert.equal(0, q:qsize())
    end
  end)

  it("keep what they have got, wherever an interrupt strikes", function()
    for _, take in ipairs {
      function(q, got) while true do got[q:get_nowait()] = true end end,
      function(q, got) while true do got[q:get()] = true end end,
    } do
      local q, got, COUNT = queue.SimpleQueue(), _thread.shared(), 2000
      _thread.set_excepthook(function() end)
      local put, rounds = 0, 0
      while put < COUNT do
        local taker = start(take, q, got)
        for _ = 1, 100 do
          put = put + 1
          q:put(put)
        end
        while q:qsize() > 50 and not taker:is_done() do _thread.sleep(0) end
        _thread.interrupt(taker.ident, _thread.KeyboardInterrupt)
        taker:join()
        rounds = rounds + 1
      end
      _thread.set_excepthook(nil)
      while not q:empty() do got[q:get()] = true end
      local lost = {}
      for i = 1, COUNT do
        if not got[i] then lost[#lost + 1] = i end
      end
      assert.equal("", table.concat(lost, " "))
      assert.is_true(rounds >= 20)
    end
  end)

  describe("end by an interrupt", function()
    local blocks, KeyboardInterrupt = waiting.blocks, _thread.KeyboardInterrupt

    local function interrupted(q, method, ...)
      local handle = start(function(...)
        local ok, e = pcall(q[method], q, ...)
        return not ok and _thread.isinstance(e, KeyboardInterrupt)
      end, ...)
      assert.is_true(blocks(handle))
      assert.is_true(_thread.interrupt(handle.ident, KeyboardInterrupt))
      return handle:result()
    end

    it("that leaves the queue as it was", function()
      for _, class in ipairs { queue.Queue, queue.LifoQueue, queue.PriorityQueue } do
        local q = class(1)
        assert.is_true(interrupted(q, "get"))
        assert.is_true(interrupted(q, "get", { timeout = 60 }))
        assert.is_true(interrupted(q, "get_many", 10))
        assert.equal(0, q:qsize())
        q:put(1)
        assert.is_true(interrupted(q, "put", 2))
        assert.is_true(interrupted(q, "put", { 2, ("x"):rep(100), q }))
        assert.is_true(interrupted(q, "put_many", { 2, 3 }))
        assert.is_true(interrupted(q, "join"))
        assert.equal(1, q:qsize())
        assert.equal(1, q:get())
        local getter = start(function() return q:get() end)
        assert.is_true(blocks(getter))
        q:put(4)
        assert.equal(4, getter:result())
      end
    end)

    it("that comes before a message, and leaves it to another, or after it", function()
      for _ = 1, 200 do
        local q = queue.Queue()
        local first = start(function()
          local got
          pcall(function()
            got = q:get()
            _thread.sleep(60)
          end)
          return got
        end)
        local second = start(function()
          local ok, value = pcall(q.get, q)
          return ok and value or nil
        end)
        assert.is_true(blocks(first))
        assert.is_true(blocks(second))
        local interrupter = start(function() _thread.interrupt(first.ident, KeyboardInterrupt) end)
        q:put(1)
        interrupter:result()
        local got = first:result()
        q:shutdown()
        local other = second:result()
        assert.equal(1, got or other)
        assert.is_false(got == 1 and other == 1)
        assert.is_true(q:empty())
      end
    end)
  end)
end)
