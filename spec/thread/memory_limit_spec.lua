local _thread = require "lthread"
local futures = require "lthread.futures"
local queue = require "lthread.queue"
local threading = require "lthread.threading"
local raised = require "support.raised"
local threads = require "support.threads"

local MEGABYTE = 1 << 20

-- The results of f in a thread of its own under this limit.
local function within(bytes, f, ...)
  return _thread.start_joinable_thread(f, {
    memory = bytes, report = false, args = table.pack(...),
  }):result()
end

-- Takes memory until there is no more of it.
local function fill()
  local list = {}
  for i = 1, math.huge do list[i] = ("x"):rep(1000) .. i end
  return list
end

local function has_no_limit()
  return #threads.call(function()
    local list = {}
    for i = 1, 4000 do list[i] = ("x"):rep(1000) .. i end
    return list
  end) == 4000
end

-- What a thread may want memory for, again and again.
local wants = {
  strings = function(i) return ("x"):rep(100) .. i end,
  tables = function(i) return { i } end,
  functions = function(i) return function() return i end end,
  coroutines = function() return coroutine.create(print) end,
  ["long strings"] = function(i) return ("x"):rep(100000 + i) end,
  ["compiled chunks"] = function(i) return assert(load("return " .. i)) end,
  userdata = function() return require "lthread".allocate_lock() end,
}

describe("the memory limit of a thread", function()
  it("raises Lua's own error, which ends the thread, and result raises it", function()
    local ok, problem = pcall(within, 4 * MEGABYTE, fill)
    assert.is_false(ok)
    assert.equal("not enough memory", problem)
  end)

  for what, want in pairs(wants) do
    it("counts " .. what .. ", and the thread goes on when it has caught the error", function()
      local count, problem, most, after = within(2 * MEGABYTE, function()
        local list, most = {}, 0
        local _, problem = pcall(function()
          for i = 1, 1e7 do
            list[i] = want(i)
            most = math.max(most, collectgarbage "count")
          end
        end)
        local count = #list
        for i in pairs(list) do list[i] = nil end
        collectgarbage()
        local again = {}
        for i = 1, 5000 do again[i] = { i } end
        return count, problem, most, #again
      end)
      assert.matches("not enough memory$", problem)
      assert.is_true(count > 0)
      assert.is_true(most <= 2 * 1024)
      assert.equal(5000, after)
    end)
  end

  it("is held by garbage only until that is collected", function()
    assert.equal(20000, (within(MEGABYTE, function()
      local count = 0
      for i = 1, 20000 do
        local list = {}
        for j = 1, 10 do list[j] = i .. "," .. j end
        count = count + #list // 10
      end
      return count
    end)))
  end)

  it("holds in coroutines, finalizers and when the state is closed", function()
    local inner, finalizer = within(2 * MEGABYTE, function()
      local _, inner = coroutine.resume(coroutine.create(fill))
      local problem
      setmetatable({}, { __gc = function() problem = select(2, pcall(fill)) end })
      collectgarbage()
      setmetatable({}, { __gc = fill })
      return inner, problem
    end)
    assert.equal("not enough memory", inner)
    assert.equal("not enough memory", finalizer)
  end)

  it("is raised by result where the start does not fit", function()
    for _, bytes in ipairs { 1, 1000, 20000 } do
      assert.same({ false, "not enough memory" }, { pcall(within, bytes, function() end) })
    end
    local argument = ("x"):rep(MEGABYTE)
    assert.same({ false, "not enough memory" }, { pcall(within, MEGABYTE, rawlen, argument) })
    assert.equal(MEGABYTE, (within(2 * MEGABYTE, rawlen, argument)))
  end)

  it("is that of the threads that it starts, which may have less and never more", function()
    local same, less, more, given = within(3 * MEGABYTE, function(f)
      local lthread = require "lthread"
      local function most(memory)
        return (lthread.start_joinable_thread(f, { memory = memory, report = false }):result())
      end
      local ok, problem = pcall(most, (3 << 20) + 1)
      return most(nil), most(1 << 20), not ok and problem, most(3 << 20)
    end, function()
      local list = {}
      pcall(function() for i = 1, math.huge do list[i] = ("x"):rep(1000) .. i end end)
      return #list > 0 and collectgarbage "count"
    end)
    assert.is_true(same > 2000 and same <= 3 * 1024)
    assert.is_true(given > 2000 and given <= 3 * 1024)
    assert.is_true(less > 500 and less <= 1024)
    assert.is_true(_thread.isinstance(more, _thread.ValueError))
    assert.matches("memory is 3145729 bytes, but the thread that starts this one may give no more "
      .. "than 3145728;", more.message, 1, true)
  end)

  it("is inherited by grandchildren and by threads that other functions start", function()
    local grandchild, generated, made = within(2 * MEGABYTE, function(f)
      local lthread = require "lthread"
      local thread = require "lthread.threading".Thread { target = f, report = false }
      thread:start()
      local _, generated = pcall(lthread.generator(f))
      return lthread.start_joinable_thread(function()
        return select(2, pcall(function()
          return require "lthread".start_joinable_thread(f, { report = false }):result()
        end))
      end):result(), generated, select(2, pcall(thread.result, thread))
    end, fill)
    assert.equal("not enough memory", grandchild)
    assert.equal("not enough memory", generated)
    assert.equal("not enough memory", made)
  end)

  it("is no limit of the next thread on the same OS thread", function()
    for _ = 1, 20 do
      pcall(within, MEGABYTE, fill)
      assert.is_true(has_no_limit())
    end
  end)

  it("is raised by what receives a message that does not fit", function()
    local messages = queue.Queue()
    messages:put { ("x"):rep(MEGABYTE) }
    assert.equal("not enough memory", (within(MEGABYTE, function()
      return select(2, pcall(messages.get, messages))
    end)))
    messages:join()
  end)

  it("is of each thread by itself, however many there are", function()
    local handles = {}
    for i = 1, 300 do
      handles[i] = _thread.start_joinable_thread(function(limited)
        local list = {}
        local ok = pcall(function()
          for j = 1, 3000 do list[j] = ("x"):rep(200) .. j end
        end)
        return ok ~= limited and #list > 100
      end, { memory = i % 2 == 1 and 300000 or nil, args = { i % 2 == 1 } })
    end
    for i = 1, 300 do assert.is_true((handles[i]:result())) end
  end)

  it("is an option of start_new_thread, Thread and ThreadPoolExecutor", function()
    local answers = queue.Queue()
    _thread.start_new_thread(function(f)
      answers:put(select(2, pcall(f)))
    end, { fill }, nil, { memory = 2 * MEGABYTE })
    assert.equal("not enough memory", answers:get())
    local thread = threading.Thread { target = fill, memory = 2 * MEGABYTE, report = false }
    thread:start()
    assert.same({ false, "not enough memory" }, { pcall(thread.result, thread) })
    local pool <close> = futures.ThreadPoolExecutor { max_workers = 1, memory = 2 * MEGABYTE }
    local future = pool:submit(fill)
    assert.same({ false, "not enough memory" }, { pcall(future.result, future) })
    assert.equal(1, (pool:submit(function() return 1 end):result()))
  end)

  it("is a positive integer", function()
    local e = raised(_thread.ValueError, _thread.start_joinable_thread, print, { memory = 0 })
    assert.matches("memory must be positive, got 0 bytes", e.message, 1, true)
    raised(_thread.ValueError, _thread.start_joinable_thread, print, { memory = -1 })
    raised(_thread.TypeError, _thread.start_joinable_thread, print, { memory = "all" })
    raised(_thread.TypeError, _thread.start_new_thread, print, {}, nil, { memory = 1.5 })
    raised(_thread.TypeError, threading.Thread, { target = print, memory = {} })
    raised(_thread.ValueError, futures.ThreadPoolExecutor, { memory = 0 })
    assert.equal(1, (within(math.maxinteger, function() return 1 end)))
  end)
end)
