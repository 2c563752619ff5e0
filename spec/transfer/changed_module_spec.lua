-- What a script has put into a module, or changed there, crosses with it; what the module has
-- anyway goes by name. It is the same for the first thread, which is started before anybody knows
-- what a fresh module has, for later ones, and for one that goes on.
local _thread = require "lthread"
local queue = require "lthread.queue"
local raised = require "support.raised"
local transfers = require "support.transfers"
local call, new_module = transfers.call, transfers.new_module

transfers.clean_up()

local function nothing() end

local count = 0

-- A module that no thread has loaded yet.
local function new_settings()
  count = count + 1
  return new_module("lt_spec.settings" .. count, function()
    return {
      limit = 1,
      handlers = {},
      list = {},
      deep = { inner = { x = 1 } },
      get = function() return "as it was" end,
      other = function() return "other" end,
    }
  end)
end

-- f(module, ...) in two threads, one after the other: the first one learns what a fresh one has.
local function twice(expected, module, f, ...)
  assert.same(expected, { call(f, module, ...) })
  assert.same(expected, { call(f, module, ...) })
end

describe("what a script has set in a module", function()
  it("is seen by a thread: scalars", function()
    local module = new_settings()
    module.limit, module.name, module.flag, module[3] = 99, "x", false, 1.5
    twice({ 99, "x", false, 1.5, "other" }, module, function(m)
      return m.limit, m.name, m.flag, m[3], m.other()
    end)
    for _ = 1, 2 do
      assert.equal(99, (call(function() return module.limit end)))
    end
    transfers.with_global("lt_spec_settings", module)
    for _ = 1, 2 do
      assert.equal(99, (call(load "return lt_spec_settings.limit")))
    end
  end)

  it("is not what one module's file has added to the table of another", function()
    count = count + 1
    local whole, inner = "lt_spec.whole" .. count, "lt_spec.whole" .. count .. ".core"
    new_module(inner, function() return { get = function() return "inner" end } end)
    local module = new_module(whole, function()
      local both = require(inner)
      both.iterator = ("x"):gmatch "x" -- can't cross
      return both
    end)
    twice({ "inner", "x" }, module, function(m) return m.get(), m.iterator() end)
  end)

  it("is seen by a thread: in tables of the module", function()
    local module = new_settings()
    module.handlers.foo = function() return "foo" end
    module.deep.inner.x, module.deep.inner.y = 2, { 3 }
    table.insert(module.list, function() return module.limit end)
    twice({ "foo", 2, 3, 1 }, module, function(m)
      return m.handlers.foo(), m.deep.inner.x, m.deep.inner.y[1], m.list[1]()
    end)
  end)

  it("is seen by a thread: functions that replace others", function()
    local module = new_settings()
    module.get = function() return "changed" end
    local get, other = module.get, module.other
    twice({ "changed", "other", "changed" }, module, function(m) return m.get(), other(), get() end)
  end)

  it("crosses as what it is, also alone", function()
    local module = new_settings()
    module.extra = { 1, 2 }
    module.handlers.foo = function() return module.extra[1] end
    module.upper = string.upper
    local extra, foo, upper = module.extra, module.handlers.foo, module.upper
    for _ = 1, 2 do
      assert.equal(2, (call(function() return extra[2] end)))
      assert.equal(1, (call(function() return foo() end)))
      assert.equal("X", (call(function() return upper "x" end)))
      assert.same({ 2, 1, "X" }, { call(function(e, f, u) return e[2], f(), u "x" end, extra, foo,
        upper) })
    end
  end)

  it("is the same in the module and beside it", function()
    local module = new_settings()
    local state = { 0 }
    module.extra = {}
    module.step = function() state[1] = state[1] + 1 return state[1] end
    module.value = function() return state[1] end
    local extra, step = module.extra, module.step
    twice({ true, true, 1 }, module, function(m)
      step()
      return m.extra == extra, m.step == step, m.value()
    end)
  end)

  it("may be a class", function()
    local module = new_settings()
    local Animal = {}
    Animal.__index = Animal
    function Animal:speak() return self.name, getmetatable(self) == module.Animal end
    module.Animal = Animal
    local pet = setmetatable({ name = "Rex" }, Animal)
    for _ = 1, 2 do
      assert.same({ "Rex", true }, { call(function(p) return p:speak() end, pet) })
      assert.same({ "Rex", true }, { call(function() return pet:speak() end) })
      assert.same({ "Tom", true }, { call(function()
        return setmetatable({ name = "Tom" }, module.Animal):speak()
      end) })
    end
  end)

  it("crosses through queues, shared tables and results", function()
    local module = new_settings()
    local q, shared = queue.SimpleQueue(), _thread.shared {}
    module.limit, module.extra = 99, { 5 }
    for _ = 1, 2 do
      q:put { module, module.extra }
      shared.module, shared.extra = module, module.extra
      assert.same({ 99, 5, 99, 5 }, { call(function()
        local message = q:get()
        return message[1].limit, message[2][1], shared.module.limit, shared.extra[1]
      end) })
    end
    local back, extra = call(function(m) return m, m.extra end, module)
    assert.equal(module, back)
    assert.same({ 5 }, extra)
  end)

  it("takes no part of other modules along", function()
    local module = new_settings()
    local other = new_settings()
    other.limit, module.other_module, module.lua = 7, other, string
    twice({ 7, true, true }, module, function(m)
      return m.other_module.limit, m.other_module == other, m.lua == string
    end)
  end)

  it("may lead back to the module", function()
    local module = new_settings()
    module.extra = { module }
    module.extra.self = module.extra
    setmetatable(module.extra, { __index = module, owner = module })
    twice({ true, true, true, true }, module, function(m)
      return m.extra[1] == m, m.extra.self == m.extra, getmetatable(m.extra).owner == m,
        m.extra.limit == m.limit
    end)
  end)

  it("runs no metamethods of the module", function()
    local ran = 0
    local module = new_settings()
    local function refuse() ran = ran + 1 error "not to be called" end
    setmetatable(module, { __index = refuse, __newindex = refuse, __pairs = refuse,
      __len = refuse })
    rawset(module, "extra", { 1 })
    twice({ 1, 1 }, module, function(m) return rawget(m, "extra")[1], rawget(m, "limit") end)
    assert.equal(0, ran)
  end)
end)

describe("a thread that goes on", function()
  local requests, answers, handle, module

  local function ask(f, ...)
    requests:put { f, ... }
    return answers:get(true, 20)
  end

  before_each(function()
    module = new_settings()
    requests, answers = queue.SimpleQueue(), queue.SimpleQueue()
    handle = _thread.start_joinable_thread(function()
      local request = requests:get()
      while request do
        local ok, result = pcall(table.unpack(request))
        answers:put { ok, result }
        request = requests:get()
      end
    end)
  end)

  after_each(function()
    requests:put(false)
    handle:join()
  end)

  local function get(m, name) return m[name] end
  local function set(m, name, value) m[name] = value end

  it("sees what is changed later", function()
    assert.same({ true, 1 }, ask(get, module, "limit"))
    module.limit = 2
    assert.same({ true, 2 }, ask(get, module, "limit"))
    module.limit, module.extra = 3, { 1 }
    assert.same({ true, 3 }, ask(get, module, "limit"))
    assert.same({ true, { 1 } }, ask(get, module, "extra"))
    module.extra[1] = 2
    assert.same({ true, { 2 } }, ask(get, module, "extra"))
  end)

  it("sees what is set back later", function()
    module.limit, module.handlers.foo = 99, 1
    assert.same({ true, 99 }, ask(get, module, "limit"))
    module.limit = 1
    assert.same({ true, 1 }, ask(get, module, "limit"))
    local old = module.get
    module.get, module.other = function() return "new" end, 7
    assert.same({ true, "new" }, ask(function(m) return m.get() end, module))
    transfers.new_module("lt_spec.unrelated", function() return {} end)
    module.get, module.limit = old, 2
    assert.same({ true, "as it was" }, ask(function(m) return m.get() end, module))
    module.limit = 1
    assert.same({ true, 1 }, ask(get, module, "limit"))
    assert.equal(1, (call(function() return module.limit end)))
  end)

  it("sees what has been set back before anybody knew a fresh one", function()
    module.limit, module.deep.inner.x = 99, 99
    assert.same({ true, 99 }, ask(get, module, "limit"))
    module.limit, module.deep.inner.x = 1, 1
    assert.same({ true, 1 }, ask(get, module, "limit"))
    assert.same({ true, { inner = { x = 1 } } }, ask(get, module, "deep"))
  end)

  it("keeps what it has changed itself", function()
    assert.same({ true }, ask(set, module, "limit", 50))
    module.limit, module.extra = 99, 1
    assert.same({ true, 50 }, ask(get, module, "limit"))
    assert.same({ true }, ask(set, module, "extra", 60))
    module.extra = 2
    assert.same({ true, 60 }, ask(get, module, "extra"))
    assert.equal(99, (call(function() return module.limit end)))
  end)

  it("also when it has required the module before", function()
    local name = "lt_spec.settings" .. count
    assert.same({ true }, ask(function(n) set(require(n), "limit", 50) end, name))
    module.limit, module.extra = 99, 1
    assert.same({ true, 50 }, ask(get, module, "limit"))
    assert.same({ true, 1 }, ask(get, module, "extra"))
    assert.equal(99, (call(function() return module.limit end)))
  end)
end)

describe("what can't cross", function()
  local co = coroutine.create(nothing)

  before_each(function() _thread.set_excepthook(nothing) end)
  after_each(function() _thread.set_excepthook(nil) end)

  it("is refused at the start as soon as it is known that a fresh module lacks it", function()
    local module = new_settings()
    module.handlers.co = co
    local e = raised(_thread.RuntimeError, call, function() return module.limit end)
    assert.matches("a coroutine %(lt_spec.settings%d+.handlers.co%)", e.message)
    e = raised(_thread.TypeError, call, function() return module.limit end)
    assert.matches("a coroutine %(lt_spec.settings%d+.handlers.co%)", e.message)
    module.handlers.co = nil
    assert.equal(1, (call(function() return module.limit end)))
    module.extra = { { co } }
    e = raised(_thread.TypeError, call, function() return module.limit end)
    assert.matches("a coroutine %(lt_spec.settings%d+.extra%[1%]%[1%]%)", e.message)
  end)

  it("does not matter where a fresh module has it", function()
    local name = "lt_spec.with_coroutine"
    local module = new_module(name, function()
      local own = coroutine.create(nothing)
      return { co = own, f = function() return own end, t = { own } }
    end)
    local f = module.f
    twice({ "thread", "thread", "thread" }, module, function(m)
      return type(m.co), type(f()), type(m.t[1])
    end)
  end)

  it("does not matter in a function that replaces another: the thread has its own", function()
    local module = new_settings()
    module.get = function() return co end
    module.limit = 5
    twice({ "as it was", 5 }, module, function(m) return m.get(), m.limit end)
  end)
end)

describe("a module that a thread can't require", function()
  it("crosses as what it is: set by hand", function()
    package.loaded["lt_spec.by_hand"] = { f = function() return "f" end, sub = { 1 }, n = 7 }
    local module = package.loaded["lt_spec.by_hand"]
    local f = module.f
    transfers.with_global("lt_spec_by_hand", module)
    for _ = 1, 2 do
      assert.same({ "f", 1, 7, "f" }, { call(function(m) return m.f(), m.sub[1], module.n, f() end,
        module) })
      assert.equal("f", (call(load "return lt_spec_by_hand.f()")))
    end
  end)

  it("crosses as what it is: of a searcher of one's own", function()
    table.insert(package.searchers, 2, function(name)
      return name == "lt_spec.found" and function()
        local Class = {}
        Class.__index = Class
        function Class:get() return self.x end
        return { Class = Class, upper = string.upper }
      end
    end)
    finally(function() table.remove(package.searchers, 2) end)
    local module = require "lt_spec.found"
    local object = setmetatable({ x = 3 }, module.Class)
    assert.same({ 3, "X", true }, { call(function(o)
      return o:get(), module.upper "x", getmetatable(o) == module.Class
    end, object) })
  end)

  it("crosses as what it is: its loader can't cross, for the first start, too", function()
    local thread = coroutine.create(function() end)
    local module = transfers.new_module("lt_spec.stuck", function()
      return { f = function() return "f" end, thread = thread }
    end)
    module.thread = nil
    assert.equal("f", (call(function() return module.f() end)))
  end)

  it("crosses as what it is: its loader can't cross", function()
    local co = coroutine.create(nothing)
    local module = new_module("lt_spec.bound", function()
      return { own = co and 5, f = function() return 6 end }
    end)
    _thread.start_joinable_thread(nothing):join() -- finds out what threads inherit
    for _ = 1, 2 do
      assert.same({ 5, 6 }, { call(function() return module.own, module.f() end) })
    end
  end)

  it("may have odd names, or be no table", function()
    local f = function() return "f" end
    package.loaded["lt_spec.a function"], package.loaded["lt_spec.zero\0"] = f, { 1 }
    package.loaded[f], package.loaded[1.5] = { 2 }, { 3 }
    finally(function() package.loaded[f], package.loaded[1.5] = nil, nil end)
    assert.same({ "f", 1, 2, 3 }, { call(function(a, b, c, d) return a(), b[1], c[1], d[1] end, f,
      package.loaded["lt_spec.zero\0"], package.loaded[f], package.loaded[1.5]) })
    for _, value in ipairs { true, "text", 12 } do
      local module = new_module("lt_spec.value", function() return value end)
      assert.equal(value, (call(function(m) return m end, module)))
      package.loaded["lt_spec.value"] = nil
    end
  end)
end)

describe("a module", function()
  it("that is loaded again is another one", function()
    local old = new_settings()
    local name = "lt_spec.settings" .. count
    assert.equal(1, (call(function() return old.limit end)))
    package.loaded[name] = nil
    package.preload[name] = function() return { limit = 10, new = true } end
    local new = require(name)
    new.limit = 11
    for _ = 1, 2 do
      assert.same({ 11, true }, { call(function() return new.limit, new.new end) })
      assert.equal(1, (call(function() return old.limit end)))
    end
  end)

  it("may send itself while it is loaded", function()
    local q = queue.SimpleQueue()
    local module = new_module("lt_spec.sending", function()
      local own = { q = q, limit = 1 }
      package.loaded["lt_spec.sending"] = own
      q:put { own, own.limit }
      return own
    end)
    q:get()
    module.limit = 2
    for _ = 1, 2 do
      assert.equal(2, (call(function() return module.limit end)))
      assert.equal(module, q:get()[1])
    end
  end)

  it("may need another one that needs it", function()
    local one, other = "lt_spec.one", "lt_spec.other"
    package.preload[other] = function() return { one = package.loaded[one], two = 2 } end
    local module = new_module(one, function()
      local own = { one = 1 }
      package.loaded[one] = own
      own.other = require(other)
      return own
    end)
    module.other.two, module.more = 22, { module.other }
    twice({ 1, 22, true, true }, module, function(m)
      return m.one, m.other.two, m.other.one == m, m.more[1] == m.other
    end)
  end)
end)
