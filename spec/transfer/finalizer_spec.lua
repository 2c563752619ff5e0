-- Finalizers and hooks run while values are on their way: what arrives is what was sent.
local _thread = require "lthread"
local queue = require "lthread.queue"
local native = require "support.native"
local pace = require "support.pace"
local transfers = require "support.transfers"
local with_global = transfers.with_global

transfers.clean_up()

-- Functions whose transfer makes the collector work.
local function new_work(count)
  local work = {}
  for i = 1, count do
    work[i] = load("return " .. i)
  end
  return work
end

-- Calls 'change' at the end of each cycle of the collector, again and again while f runs.
local function while_finalizing(change, f)
  local pause = pace.set("pause", 110)
  collectgarbage() -- the next one comes when there is a tenth more
  local active, count = true, 0
  local function watch()
    setmetatable({}, { __gc = function()
      if active then
        count = count + 1
        change(count)
        watch()
      end
    end })
  end
  watch()
  local ok, e = pcall(f)
  active = false
  pace.set("pause", pause)
  if not ok or count == 0 then
    error(ok and "no finalizer has run" or e, 0)
  end
end

-- Sends { old, work, new } where one finalizer empties 'old' and a later one fills 'new'. Returns
-- how many of the values that arrive are others than those that were sent. For a thread: in a small
-- state a cycle of the collector is short.
local function count_wrong(new_value, text_of)
  local q = require("lthread.queue").SimpleQueue()
  local old, new, wrong = {}, {}, 0
  while_finalizing(function(count)
    for i = 1, count % 3 == 1 and #old or 0 do old[i] = false end
    for i = 1, count % 3 == 0 and #new or 0 do new[i] = new_value("new " .. i) end
  end, function()
    for _ = 1, 10 do
      local first, last = {}, {}
      for i = 1, 1000 do
        first[i], last[i] = new_value("old " .. i), false
      end
      local work = new_work(5000)
      old, new = first, last
      q:put { old, work, new }
      local got = q:get()
      for i = 1, 1000 do
        local before, after = got[1][i], got[3][i]
        wrong = wrong + (before and text_of(before) ~= "old " .. i and 1 or 0)
          + (after and text_of(after) ~= "new " .. i and 1 or 0)
      end
    end
  end)
  return wrong
end

describe("finalizers that run in a sender", function()
  it("do not make one table another", function()
    assert.equal(0, (transfers.call(count_wrong, function(text) return { text } end,
      function(value) return value[1] end)))
  end)

  it("do not make one function's upvalue another's", function()
    assert.equal(0, (transfers.call(count_wrong, function(text)
      return function() return text end
    end, function(value) return value() end)))
  end)

  it("may load modules", function()
    package.preload["lt_spec.wide"] = function()
      local members = {}
      for i = 1, 500 do members["f" .. i] = load("return " .. i) end
      return members
    end
    assert.equal(0, (transfers.call(function()
      local SimpleQueue = require("lthread.queue").SimpleQueue
      local q, again, wrong = SimpleQueue(), SimpleQueue(), 0
      local module = require "lt_spec.wide"
      while_finalizing(function(count)
        if count % 5 == 0 then
          package.loaded["lt_spec.late"] = { count }
          again:put {}
          again:get()
        end
      end, function()
        for _ = 1, 20 do
          local users = {}
          for i = 1, 500 do
            local f = module["f" .. i]
            users[i] = function() return f end
          end
          q:put(users)
          for i, user in ipairs(q:get()) do
            wrong = wrong + (user() == module["f" .. i] and 0 or 1)
          end
        end
      end)
      return wrong
    end)))
  end)

  it("do not change a table that is being shared", function()
    assert.equal(0, (transfers.call(function()
      local list, wrong = {}, 0
      while_finalizing(function()
        for i = 1, #list do list[i] = false end
        list["more"] = { #list }
      end, function()
        for _ = 1, 20 do
          local fresh, count = {}, 2000
          for i = 1, count do
            fresh[i] = i % 2 == 0 and { i } or load("return " .. i)
          end
          list = fresh
          local shared = _thread.shared(list)
          local first = shared[2] ~= false
          for i = 2, count, 2 do
            wrong = wrong + ((shared[i] ~= false) == first and 0 or 1)
          end
        end
      end)
      return wrong
    end)))
  end)
end)

describe("the collector of a sender", function()
  local function new_message()
    return { new_work(20), { {}, {} } }
  end

  it("goes on after what was sent, and after what was refused", function()
    for _, mode in ipairs { "incremental", "generational" } do
      local before = collectgarbage(mode)
      local q, refused = queue.SimpleQueue(), { coroutine.create(print) }
      local finalized, rounds = 0, 0
      repeat
        rounds = rounds + 1
        setmetatable({}, { __gc = function() finalized = finalized + 1 end })
        q:put(new_message())
        q:get()
        assert.is_false((pcall(q.put, q, refused)))
      until rounds >= 500 and finalized > 0 or rounds == 100000
      assert.is_true(collectgarbage "isrunning")
      collectgarbage(before)
      assert.is_true(finalized > 0, mode)
    end
  end)

  it("stands still if it stood still", function()
    collectgarbage "stop"
    finally(function() collectgarbage "restart" end)
    local finalized = false
    setmetatable({}, { __gc = function() finalized = true end })
    local q = queue.SimpleQueue()
    for _ = 1, 200 do
      q:put(new_message())
      q:get()
    end
    assert.is_false(collectgarbage "isrunning")
    assert.is_false(finalized)
  end)
end)

describe("other code that runs in a sender", function()
  it("in a hook of calls does not make one value another", function()
    local q = queue.SimpleQueue()
    local old, new = {}, {}
    for i = 1, 100 do old[i], new[i] = { "old " .. i }, false end
    local message = { old, new_work(100), new }
    local calls, put = 0, q.put
    finally(function() debug.sethook() end)
    debug.sethook(function()
      calls = calls + 1
      if calls == 10 then
        for i = 1, #old do old[i] = false end
        collectgarbage()
        for i = 1, #new do new[i] = { "new " .. i } end
      end
    end, "c")
    put(q, message)
    debug.sethook()
    for i, value in ipairs(q:get()[3]) do
      assert.equal("new " .. i, value and value[1] or "new " .. i)
    end
  end)

  it("to send a userdata does not make one value another", function()
    local old, new = {}, {}
    for i = 1, 100 do old[i], new[i] = { "old " .. i }, false end
    local calls = 0
    local userdata = native.new_calling(function()
      calls = calls + 1
      for i = 1, #old do old[i] = false end
      collectgarbage()
      for i = 1, #new do new[i] = { "new " .. i } end
    end)
    local q = queue.SimpleQueue()
    q:put { old, userdata, new }
    local got = q:get()
    assert.equal(1, calls)
    assert.is_true(got[2])
    for i = 1, 100 do
      assert.equal("old " .. i, got[1][i][1])
      assert.equal("new " .. i, got[3][i][1])
    end
  end)

  it("in an environment may drop a function's upvalue", function()
    local fresh, holders = {}, {}
    local function new_holder(text)
      local upvalue = text
      return function() return upvalue end
    end
    for i = 1, 100 do holders[i] = new_holder("first " .. i) end
    local environment = setmetatable({}, { __index = function(_, name)
      if name == "lt_spec_a" then
        for i = 1, 100 do debug.upvaluejoin(holders[i], 1, new_holder "joined", 1) end
        collectgarbage()
        for i = 1, 100 do fresh[i] = new_holder("fresh " .. i) end
      end
      return transfers.globals[name]
    end })
    local asking = load("return lt_spec_a", "=asking", "t", environment)
    local q = queue.SimpleQueue()
    q:put { holders, asking, fresh }
    local first, _, received = table.unpack(q:get())
    for i = 1, 100 do
      assert.equal("first " .. i, first[i]())
      assert.equal("fresh " .. i, received[i]())
    end
  end)

  it("does not take long names of globals for each other", function()
    local code, sum = { "return 0" }, 0
    for i = 1, 300 do
      local name = "lt_spec_" .. ("long_"):rep(10) .. i
      with_global(name, i)
      code[#code + 1] = " + " .. name
      sum = sum + i
    end
    local f = load(table.concat(code), "=long", "t", setmetatable({}, {
      __index = function(_, name)
        collectgarbage()
        return transfers.globals[name]
      end,
    }))
    assert.equal(sum, (transfers.call(f)))
  end)
end)

describe("want of memory in a sender", function()
  it("does not make one table another", function()
    local program = assert(os.getenv "LTHREAD_FAILING", "make test builds it")
    local pipe <close> = io.popen(("timeout 120 '%s' spec/support/failing_finalizers.lua 2>&1")
      :format(program))
    assert.equal("passed\n", pipe:read "a")
  end)
end)
