-- Which globals a function takes along, and which of them the receiver takes over.
local _thread = require "lthread"
local queue = require "lthread.queue"
local threads = require "support.threads"
local transfers = require "support.transfers"
local call, with_global, globals = transfers.call, transfers.with_global, transfers.globals

transfers.clean_up()

-- The queues of the workers that a spec has made, by their handles.
local workers = {}

after_each(function()
  for handle, jobs in pairs(workers) do
    jobs:put(false)
    jobs:put(false)
    assert.is_true(handle:join(threads.LONG))
    workers[handle] = nil
  end
end)

-- A thread that calls what it gets out of a queue, with the arguments that come with it. It returns
-- a function that does so and tells the results.
local function new_worker()
  local jobs, results = queue.SimpleQueue(), queue.SimpleQueue()
  local handle = threads.start(function()
    while true do
      local f, first = jobs:get(), jobs:get()
      if not f then return end
      results:put(table.pack(f(first)))
    end
  end)
  workers[handle] = jobs
  return function(f, options, first)
    jobs:put(f, options)
    jobs:put(first)
    local list = results:get(true, threads.LONG)
    return table.unpack(list, 1, list.n)
  end
end

local function set(name, value)
  return load(("%s = %s"):format(name, value))
end

describe("a function that arrives brings its globals as they are", function()
  it("each time that it is put", function()
    local get = load("return lt_spec_limit")
    local run = new_worker()
    for n = 1, 5 do
      with_global("lt_spec_limit", n)
      assert.equal(n, (run(get)))
    end
  end)

  it("by put_nowait and put_many, and through each kind of queue", function()
    local get = load("return lt_spec_limit")
    for _, class in ipairs { queue.SimpleQueue, queue.Queue, queue.LifoQueue } do
      local q, answers = class(), queue.SimpleQueue()
      local handle = threads.start(function()
        for _ = 1, 3 do answers:put((q:get()())) end
        answers:put((q:get_many(1)[1]()))
      end)
      for n, put in ipairs { q.put, q.put_nowait,
        function(_, f) q:put_many { f } end, q.put } do
        with_global("lt_spec_limit", n)
        put(q, get)
        assert.equal(n, answers:get(true, threads.LONG))
      end
      assert.is_true(handle:join(threads.LONG))
    end
  end)

  it("whatever they are, and wherever it is in the message", function()
    local run = new_worker()
    local read = load("return lt_spec_settings.list[1], lt_spec_f and lt_spec_f()")
    local function apply(t) return t.deep[1]() end
    with_global("lt_spec_settings", { list = { 1 } })
    with_global("lt_spec_f", function() return "one" end)
    assert.same({ 1, "one" }, { run(apply, nil, { deep = { read } }) })
    globals.lt_spec_settings.list[1] = 2
    with_global("lt_spec_f", function() return "two" end)
    assert.same({ 2, "two" }, { run(apply, nil, { deep = { read } }) })
    with_global("lt_spec_f", false)
    assert.same({ 2, false }, { run(apply, nil, { deep = { read } }) })
  end)

  it("and takes away those that are gone, but none of the receiver's own", function()
    local run = new_worker()
    local read = load("return lt_spec_sent, lt_spec_own")
    with_global("lt_spec_sent", "sent")
    run(set("lt_spec_own", "'own'"))
    assert.same({ "sent", "own" }, { run(read) })
    with_global("lt_spec_sent", nil)
    assert.same({ nil, "own" }, { run(read) })
  end)

  it("also if the receiver has one of its own", function()
    local run = new_worker()
    run(set("lt_spec_limit", "'theirs'"))
    with_global("lt_spec_limit", "mine")
    assert.equal("mine", (run(load("return lt_spec_limit"))))
  end)

  it("over other threads", function()
    local get = load("return lt_spec_limit")
    local first, second = queue.SimpleQueue(), queue.SimpleQueue()
    local answers = queue.SimpleQueue()
    with_global("lt_spec_limit", 0)
    local relay = threads.start(function()
      for _ = 1, 2 do second:put(first:get()) end
      return lt_spec_limit -- luacheck: ignore
    end)
    local worker = threads.start(function()
      for _ = 1, 2 do answers:put((second:get()())) end
      return lt_spec_limit -- luacheck: ignore
    end)
    for n = 1, 2 do
      with_global("lt_spec_limit", n)
      first:put(get)
      assert.equal(n, answers:get(true, threads.LONG))
    end
    assert.same({ 2, 2 }, { relay:result(), worker:result() })
  end)

  it("and is not made older by one who has an older one", function()
    local get = load("return lt_spec_limit")
    with_global("lt_spec_limit", 1)
    local go, q, run = threads.held(), queue.SimpleQueue(), new_worker()
    local late = threads.start(function()
      go:acquire()
      q:put(get)
    end)
    with_global("lt_spec_limit", 2)
    assert.equal(2, (run(get)))
    go:release()
    assert.is_true(late:join(threads.LONG))
    assert.equal(2, (run(function(from) return from:get()() end, { globals = false }, q)))
  end)
end)

describe("what a thread returns", function()
  it("brings the globals that the thread has set", function()
    with_global("lt_spec_limit", "mine")
    local get = call(load([[
      lt_spec_limit = "theirs"
      return function() return lt_spec_limit end
    ]]))
    assert.equal("theirs", get())
    assert.equal("theirs", globals.lt_spec_limit)
  end)

  it("brings nothing back that the thread has only received", function()
    local settings = { 1 }
    with_global("lt_spec_limit", 1)
    with_global("lt_spec_settings", settings)
    local go = threads.held()
    local handle = threads.start(load([[
      local go = ...
      go:acquire()
      return function() return lt_spec_limit, lt_spec_settings end
    ]]), go)
    with_global("lt_spec_limit", 2)
    go:release()
    assert.same({ 2, settings }, { handle:result()() })
    assert.equal(settings, globals.lt_spec_settings)
  end)

  it("if it is an error, only what is not there", function()
    _thread.set_excepthook(function() end)
    finally(function() _thread.set_excepthook(nil) end)
    with_global("lt_spec_limit", "mine")
    with_global("lt_spec_new", nil)
    local handle = threads.start(load([[
      lt_spec_limit, lt_spec_new = "theirs", "new"
      error { f = function() return lt_spec_limit, lt_spec_new end }
    ]]))
    local _, e = pcall(handle.result, handle)
    assert.same({ "mine", "new" }, { e.f() })
  end)
end)

describe("a function in a shared table", function()
  it("brings only globals that the reader has not", function()
    local shared = _thread.shared {}
    with_global("lt_spec_limit", 1)
    with_global("lt_spec_other", 1)
    shared.f = load("return lt_spec_limit, lt_spec_other")
    assert.same({ "own", 1 }, { call(function(s)
      set("lt_spec_limit", "'own'")()
      return s.f()
    end, shared) })
  end)
end)

describe("the option globals", function()
  local read = load("return lt_spec_a, lt_spec_b, lt_spec_c")
  local dynamic = load("local name = ... return _ENV['lt_spec_' .. name]")

  before_each(function()
    with_global("lt_spec_a", "a")
    with_global("lt_spec_b", "b")
    with_global("lt_spec_c", "c")
  end)

  -- How a function is sent with it: its results come back.
  local ways = {
    start_joinable_thread = function(f, choice, ...)
      return _thread.start_joinable_thread(f, { args = { ... }, globals = choice }):result()
    end,
    start_new_thread = function(f, choice, ...)
      local back = queue.SimpleQueue()
      _thread.start_new_thread(function(run, ...) back:put(table.pack(run(...))) end,
        { f, ... }, nil, { globals = choice })
      local list = back:get(true, threads.LONG)
      return table.unpack(list, 1, list.n)
    end,
    put = function(f, choice, ...)
      return (new_worker())(f, { globals = choice }, ...)
    end,
    put_nowait = function(f, choice, ...)
      local q = queue.SimpleQueue()
      q:put_nowait(f, { globals = choice })
      return call(function(from, ...) return from:get()(...) end, q, ...)
    end,
    put_many = function(f, choice, ...)
      local q = queue.Queue()
      q:put_many({ f, f }, { globals = choice })
      return call(function(from, ...) from:get() return from:get()(...) end, q, ...)
    end,
  }

  for name, send in pairs(ways) do
    it("of " .. name .. " leaves all out", function()
      assert.same({ nil, nil, nil }, { send(read, false) })
    end)

    it("of " .. name .. " takes exactly those of a list", function()
      assert.same({ "a", nil, "c" }, { send(read, { "a", "lt_spec_a", "lt_spec_c", "print" }) })
      assert.is_nil((send(dynamic, nil, "b")))
      assert.equal("b", (send(dynamic, { "lt_spec_b" }, "b")))
    end)

    it("of " .. name .. " takes those that it names if it is true or nil", function()
      assert.same({ "a", "b", "c" }, { send(read, true) })
      assert.same({ "a", "b", "c" }, { send(read, nil) })
    end)

    it("of " .. name .. " is the way out for what can't cross", function()
      with_global("lt_spec_socket", coroutine.create(print))
      local f = load("local use = ... if use then lt_spec_socket() end return lt_spec_a")
      local ok, e = pcall(send, f)
      assert.is_false(ok)
      assert.is_true(_thread.isinstance(e, _thread.TypeError))
      assert.matches("'s global lt_spec_socket%); ", e.message)
      assert.truthy(e.message:find('{globals = false} takes no globals along, ', 1, true))
      assert.is_nil((send(f, false)))
      assert.equal("a", (send(f, { "lt_spec_a" })))
      assert.has_error(function() send(f, { "lt_spec_socket" }) end)
    end)

    it("of " .. name .. " is checked", function()
      for _, wrong in ipairs { 1, "lt_spec_a", { 1 }, { "lt_spec_a", false }, { n = 2 } } do
        local ok, e = pcall(send, read, wrong)
        assert.is_false(ok)
        assert.is_true(_thread.isinstance(e, _thread.TypeError), tostring(e))
        assert.matches("globals", e.message)
      end
    end)
  end

  it("is a copy of the list", function()
    local list = { "lt_spec_a" }
    local environment = setmetatable({}, { __index = function(_, name)
      list[1] = 1
      return globals[name]
    end })
    local f = load("return lt_spec_a", "=f", "t", environment)
    assert.equal("a", (_thread.start_joinable_thread(f, { globals = list }):result()))
  end)

  it("also holds for a bounded queue and one of priorities", function()
    local bounded, ordered = queue.Queue(1), queue.PriorityQueue()
    bounded:put(read, true, 1, false)
    ordered:put({ 1, read }, { globals = { "lt_spec_b" } })
    assert.same({ nil, "b", nil }, { call(function()
      assert(select("#", bounded:get()()) == 3)
      return ordered:get()[2]()
    end) })
  end)

  it("is not for a function that has no environment", function()
    local n = 1
    assert.equal(1, (_thread.start_joinable_thread(function() return n end,
      { globals = { "lt_spec_a" } }):result()))
    assert.equal("a", (_thread.start_joinable_thread(function(f) return n and f("lt_spec_a") end,
      { args = { function(name) return load("return " .. name)() end },
        globals = { "lt_spec_a" } }):result()))
  end)
end)

describe("a global is named by", function()
  -- Each returns a function that reads lt_spec_box.v, and is given what 'outside' returns.
  local ways = {
    ["_G.name"] = "return function() return _G.lt_spec_box.v end",
    ["_G['name']"] = "return function() return _G['lt_spec_box'].v end",
    ["_G._G.name"] = "return function() return _G._G.lt_spec_box.v end",
    ["_ENV.name"] = "return function() return _ENV.lt_spec_box.v end",
    ["_ENV._G.name"] = "return function() return _ENV._G.lt_spec_box.v end",
    ["a method"] = "return function() return _G.lt_spec_box:get() end",
    ["a method of _G"] = "return function() return _G:lt_spec_get() end",
    ["a local variable"] = "return function() local g = _G return g.lt_spec_box.v end",
    ["an upvalue"] = "local g = _G return function() return g.lt_spec_box.v end",
    ["an upvalue, beside _ENV"] = [[
      local g = _G
      return function() return tonumber(g.lt_spec_box.v) end]],
    ["_ENV as a local variable"] = "return function() local _ENV = _G return lt_spec_box.v end",
    ["_ENV as an upvalue"] = "local _ENV = _G return function() return lt_spec_box.v end",
    ["a name in a local variable"] = [[
      return function() local name = "lt_spec_box" return _G[name].v end]],
    ["a function within"] = [[
      return function() local g = _G return (function() return g.lt_spec_box.v end)() end]],
    ["a function within one within"] = [[
      return function()
        local _ENV = _G
        return (function() return (function() return lt_spec_box.v end)() end)()
      end]],
    ["a variable that is set after it was captured"] = [[
      return function()
        local g
        local function get() return g.lt_spec_box.v end
        g = _G
        return get()
      end]],
    ["an upvalue that the function sets"] = [[
      local g
      return function() g = _G return g.lt_spec_box.v end]],
    ["a variable of a closure in a loop"] = [[
      return function()
        local get
        for _ = 1, 3 do
          local g = _G
          get = get or function() return g.lt_spec_box.v end
        end
        return get()
      end]],
    ["what may be something else"] = [[
      return function(other)
        local g = other or _G
        local h
        if other then h = other else h = g end
        return h.lt_spec_box.v
      end]],
    ["what was set the last time"] = [[
      return function()
        local g
        for _ = 1, 2 do
          if g then return g.lt_spec_box.v end
          g = _G
        end
      end]],
    ["what is jumped to"] = [[
      return function()
        local g = _G
        goto last
        ::first:: do return g.lt_spec_box.v end
        ::last:: goto first
      end]],
    ["many constants later"] = (function()
      local code = { "return function() local g, t = _G, {" }
      for i = 1, 400 do code[#code + 1] = ("'constant %d',"):format(i) end
      code[#code + 1] = "} g.lt_spec_box.t = t return g.lt_spec_box.v, _G.lt_spec_other end"
      return table.concat(code)
    end)(),
  }

  before_each(function()
    with_global("lt_spec_box", { v = 42, get = function(self) return self.v end })
    with_global("lt_spec_get", function() return 42 end)
  end)

  for what, code in pairs(ways) do
    it(what, function()
      local f = load(code)()
      assert.equal(42, (call(f)))
      assert.equal(42, (call(load(string.dump(load("local f = ... return (f())"))), f)))
    end)
  end

  it("an assignment to a field of _G", function()
    with_global("lt_spec_box", 1)
    local f = load([[
      local g, before = _G, rawget(_G, "lt_spec" .. "_box")
      g.lt_spec_box = 2
      return before, _G.lt_spec_box]])
    assert.same({ 1, 2 }, { call(f) })
    assert.equal(1, globals.lt_spec_box)
  end)

  it("the _G of an environment that has its own", function()
    local environment = setmetatable({}, { __index = globals })
    environment._G = environment
    environment.lt_spec_own = 1
    assert.same({ 1, 42 }, { call(load("return _G.lt_spec_own, _G.lt_spec_box.v", "=f", "t",
      environment)) })
    assert.same({ 2, 1 }, { call(load("local g = ... return lt_spec_own, g", "=f", "t",
      setmetatable({ lt_spec_own = 2 }, { __index = globals })), 1) })
  end)

  it("a variable that two functions share, and one of them sets", function()
    local g = globals
    local function get() return g.lt_spec_box end
    local function change() g = { lt_spec_box = "other" } end
    assert.same({ 42, "other" }, { call(function(first, second)
      local before = first().v
      second()
      return before, first()
    end, get, change) })
  end)

  it("nothing, if it is only guessed and can't cross", function()
    with_global("lt_spec_box", { coroutine.create(print) })
    local f = load("local t = ... local g = t or _G return g.lt_spec_box, lt_spec_other")
    with_global("lt_spec_other", "other")
    assert.same({ "mine", "other" }, { call(f, { lt_spec_box = "mine" }) })
    assert.same({ nil, "other" }, { call(f) })
    assert.has_error(function() call(load("return _G.lt_spec_box")) end)
  end)

  it("nothing that takes the place of another, if it is only guessed", function()
    local run = new_worker()
    run(set("lt_spec_box", "'theirs'"))
    local guess = load("local t = ... local g = t or _G return g.lt_spec_box")
    assert.equal("theirs", (run(guess)))
    assert.equal(42, run(load("return _G.lt_spec_box")).v)
  end)

  it("something in a _G that raises an error for what is not there", function()
    setmetatable(globals, { __index = function(_, name) error("undeclared " .. name) end })
    finally(function() setmetatable(globals, nil) end)
    assert.same({ 42, nil }, { call(load([[
      if ... then return lt_spec_undeclared, _G.lt_spec_other end
      return _G.lt_spec_box.v]])) })
  end)
end)
