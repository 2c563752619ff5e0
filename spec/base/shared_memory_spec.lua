-- The memory of the shared data space.
local _thread = require "lthread"

local function start(f, ...)
  return _thread.start_joinable_thread(f, {args = table.pack(...)})
end

-- Until nothing changes any more: each collection may free what keeps other things.
local function settle()
  repeat
    collectgarbage()
    collectgarbage()
  until _thread.collect().freed == 0
  return _thread.shared_memory()
end

local function cycle(size)
  local first = _thread.shared {text = ("x"):rep(100)}
  local last = first
  for i = 2, size do
    last.next = {number = i}
    last = last.next
  end
  last.next = first
  return first
end

describe("Shared memory", function()
  local before

  before_each(function()
    before = settle()
  end)

  -- A thread that has been joined may be about to give its last references back.
  after_each(function()
    local deadline = _thread.monotonic() + 20
    local now
    repeat now = settle() until now <= before or _thread.monotonic() > deadline
    assert.is_true(now <= before, ("%d bytes more"):format(now - before))
  end)

  it("is counted in bytes", function()
    local t = _thread.shared()
    for i = 1, 1000 do t[i] = i end
    assert.is_true(_thread.shared_memory() - before >= 16000)
    t.text = ("x"):rep(1e6)
    assert.is_true(_thread.shared_memory() - before >= 1e6)
    t.text = nil
    assert.is_true(_thread.shared_memory() - before < 1e6)
  end)

  for _, kind in ipairs { "SimpleQueue", "LifoQueue", "PriorityQueue" } do
    it("is counted for a " .. kind, function()
      local q = require "lthread.queue"[kind]()
      for i = 1, 10000 do q:put(i) end
      assert.is_true(_thread.shared_memory() - before >= 160000)
      q:get_many(10000)
      q = nil -- luacheck: ignore
      collectgarbage()
      assert.is_true(_thread.shared_memory() <= before)
    end)
  end

  it("is freed at once with the last reference, however long the chain", function()
    local t = _thread.shared()
    t.chain = {}
    local last = t.chain
    for _ = 1, 100000 do
      last.next = {}
      last = last.next
    end
    last = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    local full = _thread.shared_memory()
    t.chain = nil
    assert.is_true(_thread.shared_memory() < full / 100)
  end)

  it("is freed when tables refer to themselves and each other", function()
    for size = 1, 30 do cycle(size) end
    local t = _thread.shared()
    t[t] = t
    t = nil -- luacheck: ignore
    assert.is_true(_thread.shared_memory() > before)
    settle()
    assert.is_true(_thread.shared_memory() <= before)
  end)

  it("is freed when a function's upvalue closes the cycle", function()
    local t = _thread.shared {inner = {}}
    t.f = function() return t end
    t.inner.g = function() return t.f end
    start(function() return t.inner.g()() == t end):result()
    t = nil -- luacheck: ignore
  end)

  it("is freed when a thread's result closes the cycle", function()
    local t = _thread.shared()
    t.handle = start(function() return t, {t} end)
    assert.equal(t, (t.handle:result()))
    t = nil -- luacheck: ignore
  end)

  it("is freed when another thread made and left it", function()
    local t = _thread.shared()
    for _ = 1, 3 do
      start(function()
        t.cycle = cycle(100)
        t.f = function() return t.cycle end
      end):result()
    end
    t.cycle, t.f = nil, nil
  end)

  it("keeps what can still be reached", function()
    local t = _thread.shared()
    for i = 1, 100 do t[i] = cycle(10) end
    for i = 1, 100, 2 do t[i] = nil end
    local held = t[2].next.next
    t[2] = nil
    collectgarbage()
    collectgarbage()
    assert.equal(500, _thread.collect().freed)
    for i = 4, 100, 2 do
      local node = t[i]
      for _ = 1, 10 do node = node.next end
      assert.equal(t[i], node)
      assert.equal(100, #node.text)
    end
    assert.equal(3, held.number)
    assert.equal(100, #held.next.next.next.next.next.next.next.next.text)
  end)

  it("is kept in bounds by collections that come by themselves", function()
    local most = 0
    for i = 1, 60000 do
      local t = _thread.shared {text = "some text of some length"}
      t.self = t
      if i % 100 == 0 then most = math.max(most, _thread.shared_memory() - before) end
    end
    assert.is_true(most < 30e6, most)
  end)

  it("is kept in bounds when few tables are large", function()
    local text, most = ("x"):rep(100000), 0
    for i = 1, 2000 do
      local t = _thread.shared {text .. i}
      if i % 2 == 0 then t.self = t end
      most = math.max(most, _thread.shared_memory() - before)
    end
    assert.is_true(most < 60e6, most)
  end)

  it("loses nothing to collections while threads move what they refer to", function()
    local t = _thread.shared()
    for i = 1, 20 do t[i] = cycle(5) end
    t.live = true
    local function move(seed)
      local n = seed
      for _ = 1, 3000 do
        n = (n * 1103515245 + 12345) % 2147483648
        local i, j = n // 65536 % 20 + 1, n // 16 % 20 + 1
        t[i] = _thread.swap(t, j, t[i])
        local node = t[j]
        for k = 1, 5 do
          if node == nil then error("lost " .. k) end
          node = node.next
        end
        if n % 7 == 0 then t[i] = cycle(5) end
      end
    end
    local collector = start(function()
      while t.live do _thread.collect() end
    end)
    local threads = {}
    for i = 1, 3 do threads[i] = start(move, i) end
    for i = 1, 3 do threads[i]:result() end
    t.live = nil
    collector:result()
  end)

  it("is not taken for garbage while the one reference to a web moves about in it", function()
    local box = _thread.shared()
    local web = {}
    for i = 1, 30000 do web[i] = {alive = true} end
    for i, node in ipairs(web) do
      node.next = web[i % #web + 1]
      node.far = web[i * 769 % #web + 1]
    end
    box.node = web[1]
    local collector = start(function()
      local runs = 0
      while not box.stop do
        _thread.collect()
        runs = runs + 1
      end
      return runs
    end)
    local walker = start(function()
      local node = box.node
      box.node = nil
      for i = 1, 60000 do
        node = i % 3 == 0 and node.next or node.far
        collectgarbage() -- gives back what there was before
        if not (node and node.alive and node.next and node.far) then return "lost", i end
      end
      return "fine"
    end)
    local result = table.pack(walker:result())
    box.stop = true
    assert.is_true(collector:result() > 0)
    assert.equal("fine", result[1], result[2])
  end)

  it("is not kept by a thread that dies in the middle of its work", function()
    local t = _thread.shared()
    local thread = start(function()
      local held = cycle(3)
      for i = 1, math.huge do
        t.last = cycle(3)
        t.f = function() return held end
        if i == 100 then error(_thread.SystemExit "died") end
      end
    end)
    local ok, message = pcall(thread.result, thread)
    assert.same({false, "died"}, {ok, message.message})
    assert.equal(t.last, t.last.next.next.next)
    t.last, t.f = nil, nil
  end)
end)
