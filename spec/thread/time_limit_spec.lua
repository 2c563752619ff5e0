local _thread = require "lthread"
local queue = require "lthread.queue"
local threading = require "lthread.threading"
local raised = require "support.raised"
local threads = require "support.threads"

local SHORT = 0.02 -- seconds

-- What the thread of f dies of, which has so much time.
local function problem_of(f, ...)
  local ok, problem = pcall(function(...)
    return _thread.start_joinable_thread(f, {
      seconds = SHORT, report = false, args = table.pack(...),
    }):result(threads.LONG)
  end, ...)
  return not ok and problem
end

local function is_limit(problem)
  return _thread.isinstance(problem, _thread.TimeLimitError)
end

local function spin()
  while true do end
end

-- What would go on for ever.
local endless = {
  ["a loop"] = spin,
  ["a loop in a coroutine"] = function() coroutine.wrap(spin)() end,
  ["building strings"] = function()
    local s = ""
    while true do s = (s .. "x"):sub(-100) end
  end,
  ["calls of C functions"] = function() while true do math.max(1, 2) end end,
  sleep = function() _thread.sleep(threads.LONG) end,
  ["acquire"] = function()
    local lock = _thread.allocate_lock()
    lock:acquire()
    lock:acquire()
  end,
  get = function() queue.Queue():get() end,
  ["join of a thread that does not end"] = function()
    _thread.start_joinable_thread(function() while true do end end, { report = false }):join()
  end,
  ["errors that are caught"] = function() while true do pcall(spin) end end,
  ["sleeps that are caught"] = function() while true do pcall(_thread.sleep, threads.LONG) end end,
  ["errors that are caught in a coroutine"] = function()
    coroutine.wrap(function() while true do pcall(spin) end end)()
  end,
  ["handlers that do not end"] = function()
    local _ <close> = setmetatable({}, { __close = spin })
    error "left"
  end,
  ["handlers that wait"] = function()
    local _ <close> = setmetatable({}, { __close = function() _thread.sleep(threads.LONG) end })
    spin()
  end,
  ["a finalizer that waits"] = function()
    setmetatable({}, { __gc = function() _thread.sleep(threads.LONG) end })
    while true do collectgarbage() end
  end,
  ["a shield"] = function() _thread.shield(spin) end,
  ["a wait in a shield"] = function() _thread.shield(_thread.sleep, threads.LONG) end,
  ["a handler of interrupts"] = function()
    _thread.on_interrupt(function() end)
    spin()
  end,
  ["a handler of interrupts that waits"] = function()
    _thread.on_interrupt(function() _thread.sleep(threads.LONG) end)
    spin()
  end,
  ["a message handler that waits"] = function()
    xpcall(spin, function() _thread.sleep(threads.LONG) end)
    spin()
  end,
  ["a comparison in a sort"] = function()
    local list = {}
    for i = 1, 100 do list[i] = i end
    table.sort(list, spin)
  end,
}

describe("the time limit of a thread", function()
  for what, f in pairs(endless) do
    it("ends " .. what, function()
      local problem = problem_of(f)
      assert.is_true(is_limit(problem), tostring(problem))
    end)
  end

  it("is an exception that is no Exception, and tells what is over", function()
    local problem = problem_of(spin)
    assert.is_true(is_limit(problem))
    assert.is_false(_thread.isinstance(problem, _thread.Exception))
    assert.equal("the thread's time is over", problem.message)
    assert.is_true(is_limit(problem_of(function() while true do _thread.try(spin) end end)))
  end)

  it("is raised again in a thread that goes on, which may end by itself", function()
    local first, second = _thread.start_joinable_thread(function(f)
      local _, first = pcall(f)
      local _, second = pcall(f)
      return first, second
    end, { seconds = SHORT, args = { spin } }):result()
    assert.is_true(is_limit(first))
    assert.is_true(is_limit(second))
  end)

  it("lets handlers run that end soon", function()
    local closed = _thread.Event()
    local problem = problem_of(function()
      local _ <close> = setmetatable({}, { __close = function()
        for _ = 1, 1000 do math.max(1, 2) end
        closed:set()
      end })
      while true do end
    end)
    assert.is_true(is_limit(problem))
    assert.is_true(closed:is_set())
  end)

  it("is over before the shield that it comes in, and is raised as that ends", function()
    local done, problem = _thread.start_joinable_thread(function(limit)
      local monotonic = require "lthread".monotonic
      local done = false
      local _, problem = pcall(_thread.shield, function()
        local over = monotonic() + 2 * limit
        while monotonic() < over do end
        done = true
      end)
      return done, problem
    end, { seconds = SHORT, args = { SHORT } }):result()
    assert.is_true(done)
    assert.is_true(is_limit(problem))
  end)

  it("ends what finalizers wait for when the state is being closed", function()
    local handle = _thread.start_joinable_thread(function()
      setmetatable({}, { __gc = function() _thread.sleep(threads.LONG) end })
      return "returned"
    end, { seconds = SHORT })
    assert.equal("returned", handle:result(threads.LONG))
  end)

  it("lets a thread that ends in time return", function()
    local handle = _thread.start_joinable_thread(function() return 1 end, { seconds = 300 })
    assert.equal(1, handle:result())
  end)

  it("is told by the excepthook, which has time for that", function()
    local told = queue.Queue()
    _thread.set_excepthook(function(args)
      for _ = 1, 1000 do math.max(1, 2) end
      told:put(_thread.isinstance(args.exc_value, _thread.TimeLimitError))
    end)
    _thread.start_joinable_thread(function(f) while true do pcall(f) end end,
      { seconds = SHORT, args = { spin } }):join()
    local is_told = told:get(true, threads.LONG)
    _thread.set_excepthook()
    assert.is_true(is_told)
  end)

  it("is that of the threads that it starts, and theirs, whatever time they are given", function()
    local ends = queue.Queue()
    problem_of(function()
      local lthread = require "lthread"
      local function work()
        local ok, problem = pcall(function() while true do end end)
        ends:put(not ok and lthread.isinstance(problem, lthread.TimeLimitError))
      end
      local function start(f, options)
        options.report = false
        return lthread.start_joinable_thread(f, options)
      end
      start(work, {})
      start(work, { seconds = 300 })
      start(function() start(work, { seconds = 300 }) end, {})
      require "lthread.threading".Thread({ target = work, report = false }):start()
      while true do end
    end)
    for _ = 1, 4 do assert.is_true(ends:get(true, threads.LONG)) end
  end)

  it("of a child may end before that of its starter", function()
    assert.equal("in time", (_thread.start_joinable_thread(function(f, short)
      local lthread = require "lthread"
      local ok, problem = pcall(function()
        return lthread.start_joinable_thread(f, { seconds = short, report = false }):result()
      end)
      return not ok and lthread.isinstance(problem, lthread.TimeLimitError) and "in time"
    end, { seconds = 300, args = { spin, SHORT } }):result()))
  end)

  it("is no limit of the next thread on the same OS thread", function()
    for _ = 1, 10 do
      assert.is_true(is_limit(problem_of(spin)))
      assert.equal(1, (threads.call(function()
        local over = _thread.monotonic() + 0.03
        while _thread.monotonic() < over do end
        return 1
      end)))
    end
  end)

  it("holds for each of thousands of short threads", function()
    local others = {}
    for i = 1, 4 do
      others[i] = _thread.start_joinable_thread(spin, { seconds = 0.3, report = false })
    end
    local ended, over = 0, 0
    for _ = 1, 100 do
      local handles = {}
      for i = 1, 30 do
        handles[i] = _thread.start_joinable_thread(function(seconds)
          local until_then = _thread.monotonic() + seconds
          while _thread.monotonic() < until_then do end
          return true
        end, { seconds = i % 10 == 0 and 0.001 or 300, report = false,
          args = { i % 10 == 0 and 300 or 0 } })
      end
      for _, handle in ipairs(handles) do
        local ok, problem = pcall(handle.result, handle)
        ended = ended + (ok and 1 or 0)
        over = over + (not ok and is_limit(problem) and 1 or 0)
      end
    end
    assert.equal(2700, ended)
    assert.equal(300, over)
    for i = 1, 4 do
      local ok, problem = pcall(others[i].result, others[i])
      assert.is_true(not ok and is_limit(problem))
    end
  end)

  it("does not outlast the end of the main state", function()
    local child = require "fixtures.child"
    local output = child [[
      local _thread = require "lthread"
      local function spin() while true do end end
      local function go_on() while true do pcall(spin) end end
      _thread.start_joinable_thread(go_on, { seconds = 300 })
      _thread.start_joinable_thread(go_on, { seconds = 0.01, report = false })
    ]]
    assert.matches("status 0", output)
  end)

  it("is an option of start_new_thread and Thread", function()
    local told = queue.Queue()
    _thread.start_new_thread(function()
      local _, problem = pcall(function() while true do end end)
      told:put(_thread.isinstance(problem, _thread.TimeLimitError))
    end, {}, nil, { seconds = SHORT })
    assert.is_true(told:get(true, threads.LONG))
    local thread = threading.Thread { target = spin, seconds = SHORT, report = false }
    thread:start()
    local ok, problem = pcall(thread.result, thread)
    assert.is_true(not ok and is_limit(problem))
  end)

  it("is a positive number of seconds", function()
    local e = raised(_thread.ValueError, _thread.start_joinable_thread, print, { seconds = 0 })
    assert.matches("seconds must be positive, got 0.0", e.message, 1, true)
    raised(_thread.ValueError, _thread.start_joinable_thread, print, { seconds = -1 })
    raised(_thread.ValueError, _thread.start_joinable_thread, print, { seconds = 0 / 0 })
    raised(_thread.TypeError, _thread.start_joinable_thread, print, { seconds = "long" })
    raised(_thread.TypeError, _thread.start_new_thread, print, {}, nil, { seconds = {} })
    raised(_thread.TypeError, threading.Thread, { target = print, seconds = {} })
  end)
end)
